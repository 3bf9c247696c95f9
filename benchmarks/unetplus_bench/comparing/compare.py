"""Whether a second measurement is slower than a first one, row by row, beyond what chance gives.

The rule
--------
Rows are matched by what they are: scope, network, engine, precisions, device, batch, threads and frame.

A machine drifts between two measurements, by more than any limit that is of use: other programs, a warmer
room, another clock. So what is compared is not a row's time but its ratio to a *yardstick*, a row of both files
that took turns with it: the `reference` of the files, Keras unless told otherwise. Each round gives one such
ratio, the median of the row's calls over the median of the yardstick's calls in the same round. The
ratio of a comparison is the median over the rounds of B over the median over the rounds of A; medians, because
a round that another program falls into is off by any factor. Its interval is the 95 % percentile bootstrap over
whole rounds.

A row is **slower** where the whole interval is above 1 + limit, **faster** where the whole interval is below
1 / (1 + limit), the **same** where it lies within both, and **unclear** otherwise: more rounds would tell.
Many short rounds tell more than a few long ones: on the simulated machine of the tests, 20 are enough for an engine
that is 15 % slower. An interval whose bounds are more than a factor of 1.25 apart is unclear too, wherever it lies:
where rounds differ that much, so do whole measurements, by more than their rounds tell.

A row is **not judged**, whatever its ratio, where chance cannot be told from change: the devices differ; others had
more than `MOST_OTHERS` of the processors during a measurement (that slows a small network far more than the yardstick:
OpenVINO in int8 beside Keras was seen to change by a factor of two between equal measurements on a machine in full
use); no yardstick was measured in the same rounds (then the ratio is one of times, and of equal engines on a
simulated machine that drifts by a fifth, as the tests have it, some are past the limit, interval and all); there are
fewer than five rounds; or a file is made of another tool's summary. Then no interval is shown. The yardstick itself
is not judged either: its ratio is how far the machine drifted.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from unetplus_bench.comparing.differences import differences_of, told_apart
from unetplus_bench.comparing.judged_row import CONFIDENCE, ComparedRow, judged_row
from unetplus_bench.device.words import others_share, same_machine
from unetplus_edge.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from unetplus_bench.results import BenchmarkResult, Row

LIMIT: Final = 0.05
"""How much slower a row may become before it is flagged, by default."""

MOST_OTHERS: Final = 0.1
"""Share of all processor time that others may have during a measurement that is judged."""


@dataclass(frozen=True)
class Comparison:
    """All that two files have in common, and what they have not.

    Attributes
    ----------
    limit, confidence
        Of the verdicts.
    yardstick
        Name of the row that ratios are to; None where they are of times.
    rows
        In the order of the first file.
    only_a, only_b
        Names of rows that have no counterpart.
    differences
        What else differs, a sentence each.
    """

    limit: float
    confidence: float
    yardstick: str | None
    rows: tuple[ComparedRow, ...]
    only_a: tuple[str, ...]
    only_b: tuple[str, ...]
    differences: tuple[str, ...]

    @property
    def regressions(self) -> tuple[ComparedRow, ...]:
        """The rows that are slower."""
        return tuple(row for row in self.rows if row.verdict == "slower")

    @property
    def improvements(self) -> tuple[ComparedRow, ...]:
        """The rows that are faster."""
        return tuple(row for row in self.rows if row.verdict == "faster")


def compare_results(
    a: BenchmarkResult,
    b: BenchmarkResult,
    limit: float = LIMIT,
    *,
    yardstick: str | None = None,
    judge_times: bool = False,
) -> Comparison:
    """Compare two measurements by the rule of this module.

    Parameters
    ----------
    a, b
        Before and after.
    limit
        See the module; 0.05 allows 5 %.
    yardstick
        Name of the row to take as yardstick; None takes the files' own reference.
    judge_times
        Compare times, and judge them: for a machine that is known not to drift.

    Raises
    ------
    InputError
        If the files have no row in common, the yardstick is not a row of both, or the limit is not positive.
    """
    if not limit > 0:
        raise InputError(f"{limit:g} is no limit; name one above 0, such as {LIMIT}")
    pairs = matched(a.rows, b.rows)
    if not pairs:
        raise InputError(f"the files have no row in common: {told_apart(a.rows, b.rows)}")
    differ = not same_machine(a.device, b.device)
    to = None if judge_times or differ else _yardstick(a, b, pairs, yardstick)
    of_all = "the devices differ: this is a ratio of machines" if differ else _disturbed(a, b)
    paired_a, paired_b = {pair[0].name for pair in pairs}, {pair[1].name for pair in pairs}
    return Comparison(
        limit=limit,
        confidence=CONFIDENCE,
        yardstick=None if to is None else to[0].name,
        rows=tuple(judged_row(pair, to, limit, of_all, judge_times=judge_times) for pair in pairs),
        only_a=tuple(row.name for row in a.rows if row.name not in paired_a),
        only_b=tuple(row.name for row in b.rows if row.name not in paired_b),
        differences=differences_of(a, b, pairs),
    )


def matched(a: Sequence[Row], b: Sequence[Row]) -> list[tuple[Row, Row]]:
    """Return the rows that are of the same thing, in the order of the first.

    Where several rows of a file are of the same thing, they are told apart by their names.
    """
    several = {key for rows in (a, b) for key, count in Counter(map(identity, rows)).items() if count > 1}

    def key(row: Row) -> Hashable:
        return (identity(row), row.name if identity(row) in several else None)

    of_b = {key(row): row for row in b}
    return [(row, of_b[key(row)]) for row in a if key(row) in of_b]


def identity(row: Row) -> tuple[Hashable, ...]:
    """Return what a row is, as far as two rows must agree for their times to be compared."""
    network = row.network
    return (
        row.scope,
        None if network is None else (network.name, network.base_filters, network.side),
        row.engine,
        row.stored_precision,
        row.executed_precision,
        row.device,
        row.batch,
        row.threads,
        row.frame_shape,
        row.rate,
    )


def _yardstick(
    a: BenchmarkResult, b: BenchmarkResult, pairs: Sequence[tuple[Row, Row]], name: str | None
) -> tuple[Row, Row] | None:
    names = (a.reference, b.reference) if name is None else (name, name)
    found = next((pair for pair in pairs if (pair[0].name, pair[1].name) == names), None)
    if names == (None, None):
        found = next((pair for pair in pairs if pair[0].engine == "keras"), None)
    if found is None and name is not None:
        raise InputError(f"{name} is not a row of both files; name one of: {', '.join(pair[0].name for pair in pairs)}")
    return found if found is not None and all(row.rounds for row in found) else None


def _disturbed(a: BenchmarkResult, b: BenchmarkResult) -> str | None:
    """Return why nothing that was measured beside other programs is judged, or None."""
    shares = [others_share(result.device) or 0.0 for result in (a, b)]
    if max(shares) <= MOST_OTHERS:
        return None
    told = " and ".join(f"{100 * share:.0f} % in {name}" for share, name in zip(shares, "AB", strict=True))
    return f"others had much of the processors during the measurement ({told}): measure on a quieter machine"
