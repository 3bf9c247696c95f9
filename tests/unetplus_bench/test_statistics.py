"""Percentiles, spread, and ratios of times."""

from __future__ import annotations

import statistics as python_statistics
from typing import TYPE_CHECKING

import numpy as np
import pytest

from unetplus_bench.results import CameraRecord, NetworkRecord, Row
from unetplus_bench.statistics import (
    bootstrap_ratio,
    coefficient_of_variation,
    median_ms,
    patches_per_second,
    percentile_ms,
    ratio_to_reference,
    ratios_by_round,
    reference_of,
)
from unetplus_edge.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any


def a_row(rounds: Sequence[Sequence[float]] | None, **facts: Any) -> Row:
    kept = None if rounds is None else tuple(tuple(times) for times in rounds)
    return Row(**{"name": "row", "scope": "net", "engine": "litert", "rounds": kept, **facts})


def noisy(scale: float, seed: int, rounds: int = 8) -> list[list[float]]:
    """Return rounds of 20 calls: each round is a little slower or faster as a whole, each call too."""
    random = np.random.default_rng(seed)
    return [
        [scale * (1 + 0.02 * whole + 0.02 * random.normal()) for _ in range(20)] for whole in random.normal(size=rounds)
    ]


def test_the_median_is_of_all_calls_in_milliseconds_a_patch() -> None:
    row = a_row([[0.008, 0.012, 0.4], [0.016, 0.020]], batch=4)
    assert median_ms(row) == pytest.approx(python_statistics.median([2, 3, 100, 4, 5]))


def test_a_percentile_lies_between_the_calls_around_it() -> None:
    row = a_row([[number / 1000 for number in range(101)]])
    assert [percentile_ms(row, q) for q in (50, 90, 99, 100)] == pytest.approx([50, 90, 99, 100])


def test_a_camera_gets_through_what_there_were_results_of_and_not_what_one_frame_would_allow() -> None:
    camera = CameraRecord(rate=10, seconds=4, processed=20, dropped={"newest_only": 19})
    row = a_row([[0.08] * 20], scope="camera", camera=camera)
    assert patches_per_second(row) == 20 / 4
    assert median_ms(row) == pytest.approx(80)


def test_an_outlier_counts() -> None:
    assert percentile_ms(a_row([[0.001] * 9 + [5.0]]), 100) == pytest.approx(5000)
    assert coefficient_of_variation(a_row([[0.001] * 9 + [5.0]])) == pytest.approx(3.16, abs=0.01)


def test_a_row_of_another_tools_summary_has_what_it_told_and_nothing_else() -> None:
    row = a_row(None, summary={"median": 2.5, "p90": 3.5})
    assert (median_ms(row), percentile_ms(row, 90), percentile_ms(row, 95)) == (2.5, 3.5, None)
    assert coefficient_of_variation(row) is None
    assert patches_per_second(row) == 400


def test_the_coefficient_of_variation_is_that_of_pythons_statistics() -> None:
    times = [1.0, 1.5, 0.8, 1.1]
    expected = python_statistics.stdev(times) / python_statistics.mean(times)
    assert coefficient_of_variation(a_row([times[:1], times[1:]])) == pytest.approx(expected)


def test_a_row_without_times_has_no_figures() -> None:
    row = a_row(None, error="it failed")
    assert median_ms(row) is patches_per_second(row) is coefficient_of_variation(row) is None


def test_the_ratio_to_a_reference_is_blind_to_a_machine_that_slows_down() -> None:
    drift = [1.0, 1.0, 3.0, 3.0, 9.0]
    reference = a_row([[0.010 * slow] * 3 for slow in drift])
    row = a_row([[0.005 * slow] * 7 for slow in drift])
    assert ratios_by_round(row, reference) == pytest.approx([0.5] * 5)
    assert ratio_to_reference(row, reference) == pytest.approx(0.5)


def test_the_ratio_is_of_patches_whatever_the_batch() -> None:
    assert ratio_to_reference(a_row([[0.040]], batch=4), a_row([[0.020]])) == pytest.approx(0.5)


def keras_row(name: str = "unet_b8", **facts: Any) -> Row:
    return a_row(**{"rounds": [[1.0]], "engine": "keras", "network": NetworkRecord(name=name, base_filters=8), **facts})


def test_the_reference_is_keras_with_the_same_network_scope_and_batch() -> None:
    row = a_row([[1.0]], network=NetworkRecord(name="unet_b8", base_filters=8), batch=4)
    rows = [row, keras_row(), keras_row(batch=4), keras_row("unet_b16", batch=4), keras_row(batch=4, scope="frame")]
    assert reference_of(row, rows) is rows[2]
    assert reference_of(row, [rows[1], *rows[3:]]) is None


def test_of_several_references_the_one_with_as_many_threads_is_taken_or_none() -> None:
    row = a_row([[1.0]], network=NetworkRecord(name="unet_b8", base_filters=8), threads=2)
    rows = [keras_row(threads=1), keras_row(threads=2)]
    assert reference_of(row, rows) is rows[1]
    assert reference_of(row.model_copy(update={"threads": 4}), rows) is None


def test_a_reference_that_was_not_measured_is_none() -> None:
    row = a_row([[1.0]], network=NetworkRecord(name="unet_b8", base_filters=8))
    assert reference_of(row, [keras_row(rounds=None, error="not installed")]) is None


def test_rows_of_different_scopes_have_no_ratio() -> None:
    assert ratio_to_reference(a_row([[1.0]]), a_row([[1.0]], scope="frame")) is None


def test_the_middle_of_an_interval_is_the_ratio_of_the_medians() -> None:
    a, b = [[2.0, 4.0, 6.0], [8.0, 10.0]], [[1.0, 3.0], [2.0]]
    assert bootstrap_ratio(a, b, seed=0).middle == pytest.approx(6 / 2)


def test_an_interval_holds_its_middle_and_is_the_same_for_the_same_seed() -> None:
    low, middle, high = bootstrap_ratio(noisy(1.0, 1), noisy(1.0, 2), seed=3)
    assert low < middle < high
    assert bootstrap_ratio(noisy(1.0, 1), noisy(1.0, 2), seed=3) == (low, middle, high)


def test_intervals_hold_the_true_ratio_about_as_often_as_they_say() -> None:
    held = 0
    for trial in range(40):
        low, _, high = bootstrap_ratio(noisy(1.15, 2 * trial), noisy(1.0, 2 * trial + 1), seed=trial)
        held += low < 1.15 < high
    # With eight rounds a bootstrap of clusters is a little narrow: 95 % becomes about 90 %.
    assert held >= 32


def test_a_single_round_has_no_interval() -> None:
    assert bootstrap_ratio([[2.0, 4.0]], [[1.0]], seed=0) == (3.0, 3.0, 3.0)


@pytest.mark.parametrize(("a", "confidence"), [([[]], 0.95), ([], 0.95), ([[1.0]], 1.0)])
def test_what_cannot_be_compared_is_refused(a: list[list[float]], confidence: float) -> None:
    with pytest.raises(InputError, match="name"):
        bootstrap_ratio(a, [[1.0]], seed=0, confidence=confidence)
