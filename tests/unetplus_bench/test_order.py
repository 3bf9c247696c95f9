"""The order in which `auto` tries engines, held against what was measured."""

from __future__ import annotations

import json
from collections import defaultdict
from itertools import combinations
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import pytest

from unetplus_bench.results import BenchmarkResult, NetworkRecord, Row, read_result
from unetplus_bench.statistics import median_ms
from unetplus_runtime.engines import ORDER

if TYPE_CHECKING:
    from collections.abc import Iterable

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"
ON_CPU = tuple(pair for pair in ORDER if pair[0] != "tensorrt")
# Two engines that are as close as this take turns in being the faster one.
ALIKE = 1.05


def comparable(result: BenchmarkResult) -> dict[Any, dict[Any, float]]:
    """Return medians of what `auto` chooses among on a CPU, by engine and precision, for each network and threads."""
    groups: dict[Any, dict[Any, float]] = defaultdict(dict)
    for row in result.rows:
        pair, middle = (row.engine, row.executed_precision), median_ms(row)
        known = pair in ON_CPU and row.stored_precision == row.executed_precision and row.verified
        if known and (row.scope, row.batch, row.device) == ("net", 1, "cpu") and middle is not None:
            groups[row.network, row.threads][pair] = middle
    return {key: group for key, group in groups.items() if len(group) > 1}


def misplaced(results: Iterable[BenchmarkResult]) -> list[str]:
    """Return which engines come before others that are faster, by all results of a machine together.

    Engines are compared within a result, where they took turns; the median over the results counts, since in one of
    them an engine may have been disturbed.
    """
    ratios: dict[Any, list[float]] = defaultdict(list)
    for result in results:
        for key, group in comparable(result).items():
            for first, second in combinations(sorted(group, key=ON_CPU.index), 2):
                ratios[key, first, second].append(group[first] / group[second])
    medians = {places: median(found) for places, found in ratios.items()}
    return [
        f"{first} takes {ratio:.2f} times as long as {second}"
        for (_, first, second), ratio in medians.items()
        if ratio > ALIKE
    ]


def measured() -> dict[str, list[BenchmarkResult]]:
    """Return the committed results that say something about the order, by machine."""
    machines: dict[str, list[BenchmarkResult]] = defaultdict(list)
    for path in sorted(RESULTS.glob("*/*.json")):
        if "protocol" in json.loads(path.read_text()) and comparable(read_result(path)):
            machines[path.parent.name].append(read_result(path))
    return machines


MEASURED = measured()

# Without a measurement nothing is promised: these tests come with the first one.
if MEASURED:

    @pytest.mark.parametrize("machine", MEASURED)
    def test_no_engine_is_tried_before_a_faster_one(machine: str) -> None:
        assert misplaced(MEASURED[machine]) == []

    def test_every_engine_of_the_order_was_measured_on_a_cpu() -> None:
        results = [result for machine in MEASURED.values() for result in machine]
        found = {pair for result in results for group in comparable(result).values() for pair in group}
        assert found == set(ON_CPU)


def result(**milliseconds: float) -> BenchmarkResult:
    """A result of a fast and a slow engine of the order."""
    rows = [
        Row(
            name=name,
            scope="net",
            network=NetworkRecord(name="unet_plus_tc"),
            engine=name.rpartition("_")[0],
            stored_precision=name.rpartition("_")[2],
            executed_precision=name.rpartition("_")[2],
            verified=True,
            threads=2,
            rounds=((time / 1e3, time / 1e3), (time / 1e3,)),
        )
        for name, time in milliseconds.items()
    ]
    return BenchmarkResult(command="by hand", began="", ended="", device={}, rows=tuple(rows))


def test_an_order_as_it_was_measured_is_right() -> None:
    assert misplaced([result(openvino_int8=3.4, litert_int8=7.1, keras_fp32=21)]) == []
    # Within the noise of two measurements.
    assert misplaced([result(openvino_int8=7.2, litert_int8=7.1)]) == []


def test_an_engine_that_comes_before_a_faster_one_is_found() -> None:
    (told,) = misplaced([result(litert_fp32=9.0, openvino_fp32=20, keras_fp32=21)])
    assert told == "('openvino', 'fp32') takes 2.22 times as long as ('litert', 'fp32')"


def test_int8_before_fp32_is_wrong_where_it_is_slower() -> None:
    assert len(misplaced([result(litert_int8=12, litert_fp32=9)])) == 1


def test_most_results_of_a_machine_decide() -> None:
    right, wrong = result(litert_int8=7, litert_fp32=9), result(litert_int8=12, litert_fp32=9)
    assert misplaced([right, wrong, right]) == []
    assert len(misplaced([wrong, right, wrong])) == 1


@pytest.mark.parametrize(
    "change",
    [{"verified": False}, {"scope": "frame"}, {"batch": 8}, {"threads": 1}, {"device": "a GPU"}, {"rounds": None}],
    ids=lambda change: next(iter(change)),
)
def test_what_auto_does_not_choose_among_says_nothing(change: dict[str, Any]) -> None:
    wrong = result(litert_fp32=9.0, openvino_fp32=20)
    assert misplaced([wrong])
    first, second = wrong.rows
    assert misplaced([wrong.model_copy(update={"rows": (first, second.model_copy(update=change))})]) == []
