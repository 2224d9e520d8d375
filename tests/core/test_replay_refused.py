import pytest

from luota.core.errors import LuotaError
from luota.core.replay import Replay
from tests.core.test_replay import heartbeat, line, run, take, told


def refusal(*lines):
    *before, last = lines
    history = Replay()
    take(history, *before)
    with pytest.raises(LuotaError) as refused:
        take(history, last)
    return refused.value


OTHER = heartbeat("00:00:00", "other")
JOB = run("00:00:00")
CLOSED = (JOB, line("00:01:00", "start", "job", run="1"), line("00:02:00", "success", "job", run="1"))


@pytest.mark.parametrize(
    ("lines", "field", "words"),
    [
        ((OTHER, line("00:00:01", "ping", "hb")), "monitor", "hb is unknown"),
        ((OTHER, line("00:00:01", "archive", "other"), line("00:00:02", "ping", "other")), "monitor", "archived"),
        ((OTHER, line("00:00:01", "start", "other", run="1")), "monitor", "takes ping"),
        ((JOB, line("00:00:01", "ping", "job")), "monitor", "takes start"),
        ((JOB, line("00:00:01", "success", "job", run="1")), "run", "unknown"),
        ((*CLOSED, line("00:03:00", "fail", "job", run="1")), "event", "already ended: success"),
        ((JOB, line("00:00:01", "start", "job", run="")), "run", "empty"),
        ((JOB, heartbeat("00:00:01", "job")), "mode", "cannot change"),
        ((run("00:00:01"), line("00:00:00.999", "end")), "at", "before 2026-03-02T00:00:01.000Z"),
        ((JOB, line("00:00:01", "end"), line("00:00:02", "end")), "event", "has ended"),
        ((JOB, line("00:00:01", "up")), "event", "not down"),
        ((JOB, line("00:00:01", "down"), line("00:00:02", "down")), "event", "down already"),
        ((OTHER, line("00:00:01", "pause", "other", until="2026-03-02T00:00:01Z")), "until", "after"),
        ((OTHER, line("00:00:01", "ping", "other", occurredAt="yesterday")), "occurredAt", "ISO 8601"),
        ((heartbeat("00:00:00", every=0),), "schedule.every", "from 1 s"),
        ((heartbeat("00:00:00", monitor=""),), "monitor", "empty"),
    ],
)
def test_a_line_that_contradicts_those_before_it_is_refused_with_its_field(lines, field, words):
    refused = refusal(*lines)
    assert refused.field == field
    assert words in refused.message


def test_a_refused_line_changes_nothing():
    history = Replay()
    take(history, heartbeat("00:00:00"), line("00:00:00", "ping", "hb"))
    with pytest.raises(LuotaError):
        take(history, line("05:00:00", "ping", "nobody"))
    assert [told(step) for step in history.told()] == ["00:00:00 hb draft>healthy"]
    take(history, line("01:00:00", "end"))
    assert [told(step) for step in history.told()] == ["01:00:00 hb healthy>late"]
