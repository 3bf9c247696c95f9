"""Axes of charts: where a value lies, and which values are written beside it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True)
class Axis:
    """A range of values, and the range of positions that they are drawn in.

    Attributes
    ----------
    low, high
        Values at both ends; above 0 on a logarithmic axis.
    start, end
        Positions of both ends; `end` may be the smaller one.
    logarithmic
        Whether equal ratios are equally far apart.
    """

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False

    @classmethod
    def around(
        cls, values: Iterable[float], start: float, end: float, *, logarithmic: bool = False, margin: float = 0.08
    ) -> Axis:
        """Return an axis that values fill but for a margin, a share of its length, at each end."""
        found = [math.log(value) if logarithmic else value for value in values]
        low, high = min(found), max(found)
        least = 0.7 if logarithmic else max(0.02, 0.02 * abs(high))
        spare = max(0.0, least - (high - low)) / 2 + margin * max(high - low, least)
        ends = (low - spare, high + spare)
        if logarithmic:
            ends = (math.exp(ends[0]), math.exp(ends[1]))
        return cls(*ends, start, end, logarithmic)

    def at(self, value: float) -> float:
        """Return the position of a value."""
        if self.logarithmic:
            share = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    def ticks(self) -> list[float]:
        """Return round values inside the range, at least two where it spans a factor of 2.5.

        >>> Axis(3, 70, 0, 1, logarithmic=True).ticks()
        [5.0, 10.0, 20.0, 50.0]
        >>> Axis(0.512, 0.573, 0, 1).ticks()
        [0.52, 0.54, 0.56]
        """
        if self.logarithmic:
            decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            wide = self.high / self.low > 2e3
            fine = (1, 1.5, 2, 3, 4, 5, 7) if self.high / self.low < 6 else (1, 2, 5)
            steps = (1,) if wide else fine
            found = [float(f"{step}e{decade}") for decade in decades for step in steps]
        else:
            raw = (self.high - self.low) / 5
            power = 10 ** math.floor(math.log10(raw))
            step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw)
            first = math.ceil(self.low / step)
            found = [float(f"{(first + index) * step:.12g}") for index in range(7)]
        return [value for value in found if self.low <= value <= self.high]
