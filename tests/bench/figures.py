"""What a measurement yields: figures to read, and bars that they have to clear."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Bar:
    """A figure with its bar. `noisy` ones only warn in quick mode, since a short run on a busy host is no proof."""

    name: str
    value: float
    relation: str
    limit: float
    unit: str = ""
    noisy: bool = False

    @property
    def cleared(self) -> bool:
        """Tell whether the figure is on the right side of its bar."""
        return self.value >= self.limit if self.relation == ">=" else self.value <= self.limit


@dataclass(frozen=True)
class Part:
    """One measurement."""

    name: str
    figures: dict[str, Any]
    bars: list[Bar] = field(default_factory=list)


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the smallest value that `percent` per cent of all do not exceed; NaN, which clears no bar, of none."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)] if ordered else math.nan
