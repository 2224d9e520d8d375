import pytest

from luota.core.errors import Code, LuotaError
from luota.core.model import Pause
from luota.core.spec.pauses import parse_pause

NOW = 1_767_225_600_000  # 2026-01-01T00:00:00Z


@pytest.mark.parametrize(
    ("doc", "pause"),
    [
        ({}, Pause(None, until_healthy=False)),
        ({"for": None, "until": None, "untilHealthy": None}, Pause(None, until_healthy=False)),
        ({"for": "90s"}, Pause(NOW + 90_000, until_healthy=False)),
        ({"for": 60, "untilHealthy": True}, Pause(NOW + 60_000, until_healthy=True)),
        ({"until": "2026-01-01T02:00:00+01:00"}, Pause(NOW + 3_600_000, until_healthy=False)),
    ],
)
def test_a_pause_lasts_or_ends_at_a_time_or_by_a_healthy_signal(doc, pause):
    assert parse_pause(doc, NOW) == pause


@pytest.mark.parametrize(
    ("doc", "field", "says"),
    [
        ({"untill": "2026-01-02T00:00:00Z"}, "body", "for, until and untilHealthy only"),
        ({"untilHealthy": "yes"}, "untilHealthy", "true or false"),
        ({"for": 60, "until": "2026-01-02T00:00:00Z"}, "until", "not both"),
        ({"until": "2026-01-01T00:00:00Z"}, "until", "in the future"),
        ({"for": 0}, "for", "from 1 s to 3650 d"),
        ({"for": "soon"}, "for", "for"),
        ({"until": "tomorrow"}, "until", "until"),
    ],
)
def test_a_pause_that_makes_no_sense_is_refused_with_its_field(doc, field, says):
    with pytest.raises(LuotaError) as caught:
        parse_pause(doc, NOW)
    assert (caught.value.code, caught.value.field) == (Code.INVALID, field)
    assert says in caught.value.message
