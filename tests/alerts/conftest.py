import pytest

from luota.clock import SystemClock
from tests.alerts.rig import rigged
from tests.clock import FakeClock


@pytest.fixture
async def rig(tmp_path):
    """A rig whose time is the real one."""
    async with rigged(tmp_path, SystemClock()) as rig:
        yield rig


@pytest.fixture
async def timed(tmp_path):
    """A rig whose clock only the test moves."""
    async with rigged(tmp_path, FakeClock()) as timed:
        yield timed
