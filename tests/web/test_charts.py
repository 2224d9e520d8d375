"""Charts of durations: what their axis says."""

import re

import pytest

from luota.web.dashboard.charts import Column, columns, legend

UNITS = {"s": 1_000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}


def ticks(longest):
    """The ticks of an axis from zero up: how high each stands, and its label."""
    chart = columns([Column(longest, "success", "x")], None, "limit", "x")
    found = re.findall(r'<text x="-8" y="([\d.]+)%" dy="4" text-anchor="end">(.*?)</text>', chart)
    bottom = float(found[0][0])
    return [(bottom - float(y), label) for y, label in found]


def meant(label):
    parts = re.findall(r"([\d.]+) (\w+)", label)
    return sum(float(number) * UNITS[unit] for number, unit in parts)


def test_the_labels_of_the_axis_are_exact_and_distinct():
    for longest in (1, 999, *(round(1_000 * 1.2**n) for n in range(100))):
        found = ticks(longest)
        (_, first), (highest, last) = found[0], found[-1]
        assert first == "0"
        assert 2 <= len(found) == len({meant(label) for _, label in found}), found
        for height, label in found:
            assert height / highest == pytest.approx(meant(label) / meant(last), abs=0.001), found


def test_a_failed_run_has_a_cross_that_one_sees_without_colour_also_where_it_was_short_or_over_the_limit():
    found = [
        Column(0, "failed", "a"),
        Column(6_000, "failed", "b", over=True),
        Column(6_000, "success", "c", over=True),
    ]
    chart = columns([*found, Column(1_000, "success", "d")], 3_000, "limit", "x")
    drawn = re.findall(r'<(rect|text) class="chart-(bar|cap|cross)[^"]*"[^>]*>(?:<title>(\w)|&times;)', chart)
    assert [(what, of) for _, what, of in drawn] == [
        *(("bar", "a"), ("cross", "")),
        *(("bar", "b"), ("cap", "b"), ("cross", "")),
        *(("bar", "c"), ("cap", "c")),
        ("bar", "d"),
    ]


def test_the_legend_of_a_chart_names_what_is_drawn_in_it_and_nothing_else():
    ok, failed = Column(1_000, "success", "x"), Column(1_000, "failed", "x")
    assert legend([ok]) == []
    assert [word for _, word in legend([ok, failed])] == ["failed"]
    over = Column(6_000, "failed", "x", over=True)
    assert [word for _, word in legend([over, ok])] == ["failed", "over the limit"]
    hidden = Column(6_000, "unknown", "x", over=True)
    assert [word for _, word in legend([hidden, ok])] == ["over the limit"], "it is drawn as nothing else"
    others = [Column(1_000, state, "x") for state in ("running", "unknown")]
    assert [word for _, word in legend(others)] == ["unverified", "still open"]
