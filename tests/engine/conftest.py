import pytest

from tests.clock import FakeClock
from tests.engines import engine_on
from tests.served import serve, served  # noqa: F401


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
async def engine(tmp_path, clock):
    async with engine_on(tmp_path, clock) as engine:
        yield engine
