import pytest

from luota.core.model import Kind
from luota.core.wants import EVERYTHING, Wants, untold

BEGINNINGS = ("incident.opened", "incident.updated", "incident.reminder")
END = "incident.resolved"
MISSED, STUCK, FAILED = Kind.MISSED, Kind.STUCK, Kind.FAILED


@pytest.mark.parametrize(
    ("wants", "of_missed", "of_failed", "end_of_missed", "end_of_failed"),
    [
        (EVERYTHING, "always", "always", "always", "always"),
        (Wants(kinds=(MISSED,)), "always", "never", "always", "if_told"),
        (Wants(opened=False), "never", "never", "always", "always"),
        (Wants(kinds=(MISSED,), opened=False), "never", "never", "always", "if_told"),
        (Wants(resolved=False), "always", "always", "if_on_its_way", "if_on_its_way"),
        (Wants(kinds=(MISSED,), resolved=False), "always", "never", "if_on_its_way", "if_on_its_way"),
        (Wants(delay=1), "always", "always", "always", "always"),
    ],
)
def test_what_a_channel_hears_of_an_incident_is_decided_by_type_and_kind(
    wants, of_missed, of_failed, end_of_missed, end_of_failed
):
    assert {wants.hears(type_, MISSED) for type_ in BEGINNINGS} == {of_missed}
    assert {wants.hears(type_, FAILED) for type_ in BEGINNINGS} == {of_failed}
    assert wants.hears(END, MISSED) == end_of_missed
    assert wants.hears(END, FAILED) == end_of_failed


@pytest.mark.parametrize(
    ("wants", "beginning", "end"),
    [
        (EVERYTHING, "if_lost", "if_told"),
        (Wants(kinds=(FAILED,)), "never", "if_told"),
        (Wants(opened=False), "never", "if_told"),
        (Wants(resolved=False), "if_lost", "if_on_its_way"),
    ],
)
def test_where_a_monitor_is_not_routed_what_was_lost_elsewhere_is_heard_and_the_end_of_what_was_told(
    wants, beginning, end
):
    assert {wants.hears(type_, MISSED, routed=False) for type_ in BEGINNINGS} == {beginning}
    assert wants.hears(END, MISSED, routed=False) == end


@pytest.mark.parametrize(
    ("before", "now", "wider"),
    [
        (EVERYTHING, EVERYTHING, False),
        (EVERYTHING, Wants(delay=1), False),
        (EVERYTHING, Wants(kinds=(MISSED,)), False),
        (Wants(kinds=(MISSED,)), EVERYTHING, True),
        (Wants(kinds=(MISSED,)), Wants(kinds=(FAILED,)), True),
        (Wants(opened=False), EVERYTHING, True),
        (Wants(opened=False), Wants(kinds=(MISSED,), opened=True), True),
        (Wants(kinds=(MISSED,), opened=False), Wants(opened=False), False),
        (Wants(resolved=False), EVERYTHING, False),
    ],
)
def test_a_channel_wants_more_when_it_hears_of_openings_of_which_it_did_not(before, now, wider):
    assert now.wider_than(before) is wider


@pytest.mark.parametrize(
    ("channels", "lacking"),
    [
        ([], (MISSED, STUCK, FAILED)),
        ([EVERYTHING], ()),
        ([Wants(delay=60_000)], ()),
        ([Wants(resolved=False)], ()),
        ([Wants(opened=False)], (MISSED, STUCK, FAILED)),
        ([Wants(kinds=(Kind.STALE,))], (MISSED, STUCK, FAILED)),
        ([Wants(kinds=(FAILED,)), Wants(kinds=(MISSED, FAILED))], (STUCK,)),
        ([Wants(kinds=(FAILED,)), Wants(kinds=(STUCK,), opened=False)], (MISSED, STUCK)),
    ],
)
def test_nobody_hears_of_a_kind_of_which_no_channel_wants_the_opening(channels, lacking):
    assert untold((MISSED, STUCK, FAILED), channels) == lacking


@pytest.mark.parametrize(
    ("wants", "words"),
    [
        (EVERYTHING, ""),
        (Wants(kinds=(FAILED,)), "only failed"),
        (Wants(kinds=(MISSED, STUCK, FAILED)), "only missed, stuck and failed"),
        (Wants(resolved=False), "not when resolved"),
        (Wants(opened=False), "only when resolved"),
        (
            Wants(kinds=(MISSED,), resolved=False, delay=90_000),
            "only missed, not when resolved, held back for 1 min 30 s",
        ),
    ],
)
def test_what_a_channel_wants_is_said_in_a_short_phrase_where_it_is_not_everything(wants, words):
    assert wants.in_words() == words
