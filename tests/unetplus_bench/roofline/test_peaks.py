"""Micro-benchmarks: what they count, and that they run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from unetplus_bench.roofline.peaks import best_rate, convolution_rate, largest_cache, matrix_rate, measure_peaks
from unetplus_edge.errors import EngineError

if TYPE_CHECKING:
    from pathlib import Path


class Calls:
    """Calls that take as long as they are told, on a clock that nothing else moves on."""

    def __init__(self, durations: list[float]) -> None:
        self.now, self.made = 0.0, 0
        self._durations = durations

    def __call__(self) -> None:
        self.now += self._durations[self.made % len(self._durations)]
        self.made += 1

    def clock(self) -> float:
        return self.now


def test_a_rate_is_the_work_of_a_call_by_a_time_that_a_tenth_of_the_calls_stay_below() -> None:
    durations = [5.0, 3.0, 0.001, 4.0, 2.0, 6.0, 7.0, 8.0, 9.0, 10.0]
    calls = Calls([1e6, *durations])  # the first is not counted
    # The second shortest of ten: one absurd time does not count.
    assert best_rate(calls, 12.0, 0.0, calls.clock) == pytest.approx(12.0 / sorted(durations)[1])
    assert calls.made == 11


def test_calling_goes_on_for_as_long_as_is_asked() -> None:
    calls = Calls([1.0])
    best_rate(calls, 1.0, 25.0, calls.clock)
    assert calls.made == 1 + 25


def test_the_largest_cache_is_what_the_system_says(tmp_path: Path) -> None:
    for index, size in enumerate(("32K", "1024K", "36M")):
        folder = tmp_path / "sys/devices/system/cpu/cpu0/cache" / f"index{index}"
        folder.mkdir(parents=True)
        (folder / "size").write_text(f"{size}\n")
    assert largest_cache(tmp_path) == 36 * 2**20
    assert largest_cache(tmp_path / "nowhere") == 0


def test_a_product_of_matrices_has_a_rate() -> None:
    assert np.isfinite(matrix_rate(0.0))


def test_a_convolution_that_is_asked_for_in_int8_is_computed_in_int8_or_refused() -> None:
    pytest.importorskip("openvino", reason="needs the openvino extra")
    try:
        assert convolution_rate("int8", 1, 0.0) > 0
    except EngineError as error:
        assert "int8" in str(error)  # noqa: PT017


def test_a_precision_that_the_cpu_does_not_have_is_refused() -> None:
    pytest.importorskip("openvino", reason="needs the openvino extra")
    with pytest.raises(EngineError, match="no tf32 on this CPU"):
        convolution_rate("tf32", 1, 0.0)


def test_without_openvino_a_matrix_product_is_left_and_int8_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "openvino", None)
    monkeypatch.setattr("unetplus_bench.roofline.peaks.memory_rate", lambda threads, seconds: 1.0)
    peaks = measure_peaks(None, 0.0)
    assert list(peaks.compute) == ["fp32"]
    assert "unetplus-edge[openvino]" in peaks.refusals["int8"]
