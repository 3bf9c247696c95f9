"""What the times of a row come to: percentiles, spread, and ratios with their uncertainty."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from unetplus_edge.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from unetplus_bench.results import Row

UNSTEADY = 0.025
"""Coefficient of variation above which trtexec calls times unsteady, and so do we."""

_RESAMPLINGS = 2000


class Interval(NamedTuple):
    """A number with the bounds that it lies between."""

    low: float
    middle: float
    high: float


def percentile_ms(row: Row, q: float) -> float | None:
    """Return a percentile of a row's times.

    Every call of every round counts the same. A row that was made of another tool's summary has the
    percentiles that the tool told, and no others.

    Parameters
    ----------
    row
        The row.
    q
        Percentile, 0 to 100.

    Returns
    -------
    float or None
        Milliseconds a patch; in the scopes "frame" and "camera", a frame. None where there are no
        times.
    """
    if row.rounds is None:
        names = (f"p{q:g}", "median") if q == 50 else (f"p{q:g}",)
        return next((row.summary[name] for name in names if name in row.summary), None)
    return float(np.percentile(_pooled(row.rounds), q)) * 1e3 / row.batch


def median_ms(row: Row) -> float | None:
    """Return the median of a row's times, in milliseconds as `percentile_ms` has them."""
    return percentile_ms(row, 50)


def patches_per_second(row: Row) -> float | None:
    """Return how many patches go through in a second, at the median; in the scope "frame", frames.

    In the scope "camera" it is how many frames a second there were results of.
    """
    if row.camera is not None:
        return row.camera.achieved
    median = median_ms(row)
    return None if median is None else 1e3 / median


def coefficient_of_variation(row: Row) -> float | None:
    """Return the standard deviation of a row's times over their mean, or None for fewer than two times."""
    times = () if row.rounds is None else _pooled(row.rounds)
    return float(np.std(times, ddof=1) / np.mean(times)) if len(times) > 1 else None


def ratios_by_round(row: Row, reference: Row) -> tuple[float, ...]:
    """Return how long a row took as a multiple of another, in every round that both took part in.

    Both were measured in turns, so that what slows the machine for a while slows both and leaves
    their ratio.

    Returns
    -------
    tuple of float
        Median of the row over that of the reference, a patch (or a frame), one a round; none where
        one of them has no times, or they are of different scopes.
    """
    if row.rounds is None or reference.rounds is None or row.scope != reference.scope:
        return ()
    return tuple(
        float(np.median(ours) / row.batch / (np.median(theirs) / reference.batch))
        for ours, theirs in zip(row.rounds, reference.rounds, strict=False)
    )


def reference_of(row: Row, rows: Iterable[Row]) -> Row | None:
    """Return the row that Keras gave for the same network and the same work, or None where there is none.

    There is none for a camera's frames: services do not take turns.

    Parameters
    ----------
    row
        A row of a result.
    rows
        All rows of that result.
    """
    same = [
        other
        for other in rows
        if other.engine == "keras"
        and row.camera is None
        and other.rounds is not None
        and row.network is not None
        and other.network == row.network
        and (other.scope, other.batch, other.frame_shape) == (row.scope, row.batch, row.frame_shape)
    ]
    return next((other for other in same if other.threads == row.threads), same[0] if len(same) == 1 else None)


def ratio_to_reference(row: Row, reference: Row) -> float | None:
    """Return the median of `ratios_by_round`, or None where there is none."""
    ratios = ratios_by_round(row, reference)
    return float(np.median(ratios)) if ratios else None


def bootstrap_ratio(
    a_rounds: Sequence[Sequence[float]], b_rounds: Sequence[Sequence[float]], seed: int, confidence: float = 0.95
) -> Interval:
    """Return the ratio of two medians, a over b, and the interval that it lies in.

    Whole rounds are drawn with replacement, because the calls of one round are alike: what slows a
    machine lasts longer than a call (the percentile bootstrap of clusters; Efron and Tibshirani, An
    Introduction to the Bootstrap, 1993, chapter 13).

    Parameters
    ----------
    a_rounds, b_rounds
        Times of every call in every round, in the same unit and of the same number of patches.
    seed
        Of the draws.
    confidence
        Share of such intervals that hold the true ratio.

    Returns
    -------
    Interval
        `middle` is the ratio of the medians of all calls. Of a single round there is nothing to
        draw from: all three are the same.

    Raises
    ------
    InputError
        If one of them has no times, or the confidence is no share.
    """
    if not 0 < confidence < 1:
        raise InputError(f"{confidence:g} is no confidence; name one between 0 and 1, such as 0.95")
    if not any(map(len, a_rounds)) or not any(map(len, b_rounds)):
        raise InputError("there are no times to compare; name results whose rows were measured in rounds")
    random = np.random.default_rng(seed)
    ratios = _drawn_medians(a_rounds, random) / _drawn_medians(b_rounds, random)
    middle = float(np.median(_pooled(a_rounds)) / np.median(_pooled(b_rounds)))
    low, high = np.quantile(ratios, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(float(low), middle, float(high))


def _drawn_medians(rounds: Sequence[Sequence[float]], random: np.random.Generator) -> NDArray[np.float64]:
    """Return the median of all calls for every draw of as many rounds as there are."""
    filled = [times for times in rounds if len(times)]
    owners = np.repeat(np.arange(len(filled)), [len(times) for times in filled])
    times = _pooled(filled)
    order = np.argsort(times)
    times, owners = times[order], owners[order]
    medians = np.empty(_RESAMPLINGS)
    for number, drawn in enumerate(random.multinomial(len(filled), [1 / len(filled)] * len(filled), _RESAMPLINGS)):
        # A call counts as often as its round was drawn; the times are sorted once for all draws.
        reached = np.cumsum(drawn[owners])
        lower, upper = np.searchsorted(reached, [(reached[-1] + 1) // 2, reached[-1] // 2 + 1])
        medians[number] = (times[lower] + times[upper]) / 2
    return medians


def _pooled(rounds: Sequence[Sequence[float]]) -> NDArray[np.float64]:
    return np.concatenate([np.asarray(times, np.float64) for times in rounds])
