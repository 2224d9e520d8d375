import pytest

from luota.clock import SystemClock
from tests.alerts.rig import Rig
from tests.engines import engine_on


@pytest.fixture
async def rig(tmp_path):
    """A rig whose time is the real one."""
    async with engine_on(tmp_path, SystemClock()) as engine:
        rig = Rig(engine)
        yield rig
        await rig.stop()
