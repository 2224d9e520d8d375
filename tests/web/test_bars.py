"""The words on a slot to hover."""

from luota.web.dashboard.bars import describe
from tests.core.recorded import HOURLY, pinged


def test_the_first_slot_of_a_young_monitor_tells_of_its_first_signal():
    (slot,) = pinged(HOURLY, "00:31", now="00:32", created="00:30")
    assert describe(slot) == "2026-03-10 00:30:00 UTC: in time, first signal 2026-03-10 00:31:00 UTC"
