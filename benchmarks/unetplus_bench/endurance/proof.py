"""What a part claims, how often that was looked at, and where it did not hold."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

_EXAMPLES = 10


@dataclass
class Claim:
    """A sentence that is to hold whenever it is looked at.

    Attributes
    ----------
    times
        How often it was looked at.
    failures
        How often it did not hold.
    examples
        What was found instead, of the first of these.
    """

    times: int = 0
    failures: int = 0
    examples: list[str] = field(default_factory=list)


class Proof:
    """Collects what is seen during a part.

    Attributes
    ----------
    claims
        By sentence, in the order in which they were looked at first.
    figures
        Measured quantities by name, in types that JSON has.
    """

    def __init__(self) -> None:
        self.claims: dict[str, Claim] = {}
        self.figures: dict[str, Any] = {}

    @property
    def holds(self) -> bool:
        """Whether something was claimed, and every claim held each time."""
        return bool(self.claims) and not any(claim.failures for claim in self.claims.values())

    def claim(self, sentence: str, holds: bool, found: object = "") -> bool:
        """Look at a claim once; return whether it holds.

        Parameters
        ----------
        sentence
            The claim.
        holds
            Whether it does.
        found
            What was found instead.
        """
        claim = self.claims.setdefault(sentence, Claim())
        claim.times += 1
        if not holds:
            claim.failures += 1
            if len(claim.examples) < _EXAMPLES:
                claim.examples.append(str(found))
        return holds

    def count(self, name: str, more: float = 1) -> None:
        """Add to a figure that begins at 0."""
        self.figures[name] = self.figures.get(name, 0) + more

    def observe(self, name: str, value: float) -> None:
        """Add a value to a figure that is summed up by `spread` in the end."""
        self.figures.setdefault(name, []).append(value)

    def summed_up(self) -> dict[str, Any]:
        """Return the figures, with the median and the extremes of those that were observed."""
        return {name: spread(value) if isinstance(value, list) else value for name, value in self.figures.items()}


def spread(values: list[float]) -> dict[str, float]:
    """Return how values are distributed; a percentile is the smallest value that so many percent do not exceed.

    >>> spread([3.0, 1.0, 2.0])
    {'count': 3, 'least': 1.0, 'p50': 2.0, 'p99': 3.0, 'most': 3.0}
    """
    ordered = sorted(values)

    def percentile(percent: int) -> float:
        return ordered[max(0, -(-percent * len(ordered) // 100) - 1)]

    return {
        "count": len(ordered),
        "least": ordered[0],
        "p50": percentile(50),
        "p99": percentile(99),
        "most": ordered[-1],
    }
