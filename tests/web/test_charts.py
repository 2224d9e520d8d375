"""Charts of durations: what their axis says."""

import re

import pytest

from luota.web.dashboard.charts import Column, columns

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
