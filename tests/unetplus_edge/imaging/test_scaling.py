"""The range of a frame, however it is read, and the codes that its pixels become."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unetplus_edge.imaging import frame_range
from unetplus_edge.imaging.scaling import RangeFinder, codes_of
from unetplus_edge.imaging.workers import Workers

if TYPE_CHECKING:
    from numpy.typing import NDArray


def _obvious_range(frame: NDArray[Any]) -> tuple[float, float]:
    values = frame.astype(np.float64)
    padded = np.pad(values, 1, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3))
    medians = np.median(windows, axis=(2, 3))
    low, high = medians.min(), medians.max()
    if low == high:
        return low, low
    clipped = np.clip(values, low, high)
    steps = np.concatenate([np.abs(np.diff(clipped, axis=axis)).ravel() for axis in (0, 1)])
    return low, max(high, low + 20 * steps.mean() * np.sqrt(np.pi) / 2)


@settings(deadline=None, max_examples=60)
@given(
    shape=st.tuples(st.integers(1, 600), st.integers(1, 40)),
    spread=st.sampled_from([0.5, 4.0, 30.0]),
    dtype=st.sampled_from([np.uint8, np.uint16, np.float32]),
    threads=st.integers(1, 3),
    seed=st.integers(0, 99),
)
def test_the_range_is_that_of_median_and_noise(
    shape: tuple[int, int], spread: float, dtype: type[np.generic], threads: int, seed: int
) -> None:
    values = np.random.default_rng(seed).normal(120, spread, shape)
    frame = np.clip(values, 0, 255).astype(dtype)
    found = RangeFinder(shape[1], Workers(threads)).find(frame)
    assert found == pytest.approx(_obvious_range(frame), rel=1e-6)
    assert found == frame_range(frame)


def test_a_finder_keeps_nothing_of_the_frame_before() -> None:
    finder, rng = RangeFinder(50, Workers(2)), np.random.default_rng(0)
    frames = [rng.integers(0, top, (height, 50)).astype(dtype) for height, top, dtype in
              [(700, 256, np.uint8), (10, 65_536, np.uint16), (300, 40, np.float32), (700, 9, np.uint8)]]  # fmt: skip
    for frame in [*frames, *frames[::-1]]:
        assert finder.find(frame) == frame_range(frame)


def test_differences_beyond_float32_have_a_range() -> None:
    frame = np.random.default_rng(0).uniform(-3.4e38, 3.4e38, (40, 50)).astype(np.float32)
    low, high = frame_range(frame)
    assert (low, high) == pytest.approx(_obvious_range(frame), rel=1e-6)
    assert np.isfinite(high)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_codes_are_the_nearest_of_256(dtype: type[np.generic]) -> None:
    frame = np.arange(200, dtype=dtype).reshape(10, 20)
    codes = codes_of(frame, 20, 150.5)
    for value, code in zip(frame.ravel().tolist(), codes.ravel().tolist(), strict=True):
        exact = 255 * (min(max(value, 20), 150.5) - 20) / 130.5
        assert abs(code - exact) <= 0.5
