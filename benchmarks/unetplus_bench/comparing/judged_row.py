"""Whether a row of two files became slower: the part of the rule of `compare` that is about one row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from unetplus_bench.statistics import bootstrap_ratio, median_ms, ratios_by_round

if TYPE_CHECKING:
    from unetplus_bench.results import Row

CONFIDENCE: Final = 0.95
"""Of intervals."""

MIN_ROUNDS: Final = 5
"""The fewest rounds that an interval is drawn from."""

WIDEST: Final = 1.25
"""The largest ratio of an interval's bounds that is judged."""

_SEED = 0

Verdict = Literal["slower", "faster", "same", "unclear", "not judged"]
Kind = Literal["to the yardstick", "of times"]
_Ratios = tuple[tuple[float], ...]


@dataclass(frozen=True)
class ComparedRow:
    """A row that both files have.

    Attributes
    ----------
    name
        As the first file calls it.
    a_ms, b_ms
        Medians, in milliseconds a patch (or a frame).
    kind
        What `ratio` is a ratio of: B over A of what the row takes as a multiple of the yardstick, or of times.
    ratio
        Above 1 where B is slower. None where one of the files has no time.
    low, high
        Bounds of the interval; None where the row is not judged.
    verdict
        See the module.
    reason
        Why the row is not judged, in one sentence; None where it is.
    """

    name: str
    a_ms: float | None
    b_ms: float | None
    kind: Kind
    ratio: float | None
    low: float | None
    high: float | None
    verdict: Verdict
    reason: str | None


def judged_row(
    pair: tuple[Row, Row],
    yardstick: tuple[Row, Row] | None,
    limit: float,
    of_all: str | None = None,
    *,
    judge_times: bool = False,
) -> ComparedRow:
    """Compare a row of two files.

    Parameters
    ----------
    pair
        The row before and after.
    yardstick
        The row of both files that ratios are to, or None.
    limit
        How much slower is allowed: 0.05 for 5 %.
    of_all
        Why no row of these files is judged, or None.
    judge_times
        Judge the ratio of times, without a yardstick.
    """
    a, b = pair
    a_ms, b_ms = median_ms(a), median_ms(b)
    ratios = None if yardstick is None or pair == yardstick else _both_against(pair, yardstick)
    reason = (
        _no_times(pair) or of_all or (None if judge_times else _no_ratios(pair, yardstick, ratios)) or _too_few(pair)
    )
    kind: Kind = "of times" if ratios is None else "to the yardstick"
    if reason is None and a.rounds and b.rounds:
        before, after = ratios or (a.rounds, b.rounds)
        low, ratio, high = bootstrap_ratio(after, before, _SEED, CONFIDENCE)
        return ComparedRow(a.name, a_ms, b_ms, kind, ratio, low, high, _verdict(low, high, limit), None)
    if ratios is not None:
        known: float | None = float(np.median(ratios[1]) / np.median(ratios[0]))
    else:
        known = b_ms / a_ms if a_ms and b_ms else None
    return ComparedRow(a.name, a_ms, b_ms, kind, known, None, None, "not judged", reason)


def _no_times(pair: tuple[Row, Row]) -> str | None:
    failed = next((row for row in pair if row.error is not None), None)
    if failed is not None:
        return f"it was not measured: {failed.error}"
    return None if all(row.rounds for row in pair) else "a file is made of another tool's summary, which has no rounds"


def _no_ratios(
    pair: tuple[Row, Row], yardstick: tuple[Row, Row] | None, ratios: tuple[_Ratios, _Ratios] | None
) -> str | None:
    if yardstick is None:
        return "no yardstick was measured beside it, and machines drift"
    if pair == yardstick:
        return "it is the yardstick: its ratio is the drift of the machine"
    return "the yardstick was not measured in the same rounds" if ratios is None else None


def _too_few(pair: tuple[Row, Row]) -> str | None:
    rounds = min(len(row.rounds or ()) for row in pair)
    return (
        None if rounds >= MIN_ROUNDS else f"{rounds} rounds are too few for an interval; measure {MIN_ROUNDS} or more"
    )


def _both_against(pair: tuple[Row, Row], yardstick: tuple[Row, Row]) -> tuple[_Ratios, _Ratios] | None:
    a, b = (_against(row, reference) for row, reference in zip(pair, yardstick, strict=True))
    return (a, b) if a and b else None


def _against(row: Row, reference: Row) -> _Ratios:
    """Return a row's ratio to the yardstick in each round, none where they did not take turns.

    A yardstick of another scope will do: what slows the machine slows both.
    """
    if row.rounds is None or reference.rounds is None or len(row.rounds) != len(reference.rounds):
        return ()
    if row.camera is not None or reference.camera is not None:
        return ()
    if not all(map(len, (*row.rounds, *reference.rounds))):
        return ()
    return tuple((ratio,) for ratio in ratios_by_round(row, reference.model_copy(update={"scope": row.scope})))


def _verdict(low: float, high: float, limit: float) -> Verdict:
    if high > WIDEST * low:
        return "unclear"
    if low > 1 + limit:
        return "slower"
    if high < 1 / (1 + limit):
        return "faster"
    return "same" if low >= 1 / (1 + limit) and high <= 1 + limit else "unclear"
