"""Equalisation on tiles of a fixed size, against OpenCV's on a number of tiles."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unetplus_edge.imaging.clahe import equalise


@settings(deadline=None, max_examples=50)
@given(
    rows=st.integers(1, 4),
    columns=st.integers(1, 4),
    tile=st.sampled_from([8, 16, 64]),
    clip=st.floats(0.1, 40),
    seed=st.integers(0, 99),
)
def test_on_whole_tiles_it_is_opencv_s_own(rows: int, columns: int, tile: int, clip: float, seed: int) -> None:
    codes = np.random.default_rng(seed).integers(0, 256, (rows * tile, columns * tile)).astype(np.uint8)
    expected = cv2.createCLAHE(clipLimit=clip, tileGridSize=(columns, rows)).apply(codes)
    np.testing.assert_array_equal(equalise(codes, tile, clip), expected)


@settings(deadline=None, max_examples=50)
@given(height=st.integers(1, 70), width=st.integers(1, 70), tile=st.sampled_from([8, 16, 32]))
def test_a_frame_is_continued_by_reflection_to_whole_tiles(height: int, width: int, tile: int) -> None:
    codes = np.random.default_rng(height).integers(0, 256, (height, width)).astype(np.uint8)
    rows, columns = -(-height // tile), -(-width // tile)
    whole = np.pad(codes, ((0, rows * tile - height), (0, columns * tile - width)), mode="reflect")
    expected = cv2.createCLAHE(clipLimit=2.0, tileGridSize=(columns, rows)).apply(whole)[:height, :width]
    np.testing.assert_array_equal(equalise(codes, tile, 2.0), expected)


def test_the_input_is_left_alone() -> None:
    codes = np.random.default_rng(0).integers(0, 256, (50, 70)).astype(np.uint8)
    before = codes.copy()
    equalise(codes, 16, 2.0)
    np.testing.assert_array_equal(codes, before)


def test_faint_and_bright_nuclei_come_closer() -> None:
    codes = np.full((128, 256), 10, np.uint8)
    codes[40:80, 40:80] = 30
    codes[40:80, 170:210] = 250
    faint, bright = (equalise(codes, 64, 8.0)[60, column] for column in (60, 190))
    assert int(bright) - int(faint) < 250 - 30


@pytest.mark.parametrize("view", [np.s_[::2, ::3], np.s_[::-1, ::-1]])
def test_a_view_is_equalised_as_its_copy(view: tuple[slice, slice]) -> None:
    codes = np.random.default_rng(0).integers(0, 256, (90, 100)).astype(np.uint8)
    np.testing.assert_array_equal(equalise(codes[view], 16, 2.0), equalise(codes[view].copy(), 16, 2.0))
