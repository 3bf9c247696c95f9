from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from unetplus_edge.imaging import frame_range
from unetplus_runtime.large.blocks import BlockGrid
from unetplus_runtime.large.ranges import large_frame_range

if TYPE_CHECKING:
    from numpy.typing import NDArray


def specks(dtype: Any) -> NDArray[Any]:
    """Noise with bright discs and hot pixels."""
    rng = np.random.default_rng(2)
    image = rng.normal(100, 3, (150, 201))
    image[20:40, 120:150] += 100
    image[rng.integers(0, 150, 20), rng.integers(0, 201, 20)] = 255
    return image.astype(dtype)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("side", [1, 64, 200, 300])
def test_blocks_have_the_range_of_the_frame(dtype: Any, side: int) -> None:
    image = specks(dtype)
    small = image[:17, :13] if side == 1 else image
    found = large_frame_range(small, BlockGrid(*small.shape, side))
    assert found == pytest.approx(frame_range(small), rel=1e-6 if dtype == np.float32 else 0, abs=0)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_noise_alone_has_the_range_of_the_frame(dtype: Any) -> None:
    image = np.random.default_rng(3).normal(100, 3, (150, 201)).astype(dtype)
    assert large_frame_range(image, BlockGrid(150, 201, 64)) == frame_range(image)


@pytest.mark.parametrize("shape", [(1, 1), (1, 90), (90, 1)])
def test_lines_have_a_range(shape: tuple[int, int]) -> None:
    image = np.random.default_rng(3).integers(0, 255, shape).astype(np.uint8)
    assert large_frame_range(image, BlockGrid(*shape, 32)) == frame_range(image)


def test_a_constant_frame_has_none() -> None:
    assert large_frame_range(np.full((90, 90), 7, np.uint8), BlockGrid(90, 90, 64)) == (7, 7)


def test_the_largest_numbers_do_not_overflow() -> None:
    image = np.zeros((90, 90), np.float32)
    image[30:60, 30:60] = 3e38
    image[:30] = -3e38
    assert large_frame_range(image, BlockGrid(90, 90, 64)) == pytest.approx(frame_range(image), rel=1e-6)
