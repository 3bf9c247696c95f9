"""Patches cover a frame, and stitching them gives it back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unetplus_edge.errors import InputError
from unetplus_edge.imaging import PatchGrid, patch_origins, patch_spans

if TYPE_CHECKING:
    from pathlib import Path

_LENGTHS = st.integers(1, 2000)


@settings(deadline=None, max_examples=300)
@given(length=_LENGTHS, side=st.integers(1, 400))
def test_patches_cover_every_pixel_of_an_axis(length: int, side: int) -> None:
    origins = patch_origins(length, side)
    covered = {pixel for origin in origins for pixel in range(origin, min(origin + side, length))}
    assert covered == set(range(length))


@settings(deadline=None, max_examples=300)
@given(length=_LENGTHS, side=st.integers(1, 400))
def test_patches_lie_on_a_grid_but_for_one_that_ends_at_the_far_edge(length: int, side: int) -> None:
    origins = patch_origins(length, side)
    assert origins == sorted(set(origins))
    assert len(origins) == -(-length // side)
    assert origins[:-1] == [side * number for number in range(len(origins) - 1)]
    assert origins[-1] == max(length - side, 0)


@settings(deadline=None, max_examples=25)
@given(height=_LENGTHS, width=_LENGTHS)
def test_stitching_an_identity_engine_returns_the_frame(height: int, width: int) -> None:
    frame = np.random.default_rng(height * 2001 + width).random((height, width), np.float32)
    grid = PatchGrid(height, width)
    patches = grid.cut(frame)
    assert patches.shape == (len(grid.origins), 256, 256, 1)
    np.testing.assert_array_equal(grid.stitch(patches), frame)


@settings(deadline=None)
@given(height=st.integers(1, 70), width=st.integers(1, 70), side=st.integers(1, 40))
def test_stitching_returns_the_frame_for_any_side(height: int, width: int, side: int) -> None:
    frame = np.random.default_rng(0).random((height, width), np.float32)
    grid = PatchGrid(height, width, side)
    np.testing.assert_array_equal(grid.stitch(grid.cut(frame)), frame)


def test_every_patch_is_the_window_at_its_origin() -> None:
    frame = np.arange(7 * 9, dtype=np.float32).reshape(7, 9)
    grid = PatchGrid(7, 9, 4)
    assert grid.origins == [(0, 0), (0, 4), (0, 5), (3, 0), (3, 4), (3, 5)]
    for patch, (top, left) in zip(grid.cut(frame), grid.origins, strict=True):
        np.testing.assert_array_equal(patch[:, :, 0], frame[top : top + 4, left : left + 4])


def test_a_small_frame_is_continued_by_zeros() -> None:
    patch = PatchGrid(2, 3, 4).cut(np.ones((2, 3), np.float32))
    expected = [[1, 1, 1, 0], [1, 1, 1, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
    np.testing.assert_array_equal(patch[0, :, :, 0], expected)


@pytest.mark.parametrize("answers", [(0.2, 0.9), (0.9, 0.2)])
def test_where_patches_overlap_the_greatest_answer_counts(answers: tuple[float, float]) -> None:
    grid = PatchGrid(6, 4, 4)
    assert grid.origins == [(0, 0), (2, 0)]
    stitched = grid.stitch(np.stack([np.full((4, 4, 1), answer, np.float32) for answer in answers]))
    rows = [answers[0]] * 2 + [0.9] * 2 + [answers[1]] * 2
    np.testing.assert_array_equal(stitched, np.repeat(np.array(rows, np.float32)[:, None], 4, axis=1))


def test_what_lies_beyond_a_small_frame_is_dropped() -> None:
    answers = np.full((1, 4, 4, 1), 0.9, np.float32)
    answers[0, :2, :3] = 0.1
    np.testing.assert_array_equal(PatchGrid(2, 3, 4).stitch(answers), np.full((2, 3), 0.1, np.float32))


def test_cutting_copies() -> None:
    frame = np.ones((4, 4), np.float32)
    patches = PatchGrid(4, 4, 4).cut(frame)
    patches[:] = 0
    assert frame.min() == 1


@pytest.mark.parametrize("shape", [(7, 9), (9, 6), (8, 9, 1), (0, 0)])
def test_a_frame_of_another_size_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"8 x 9 frames takes shape \(8, 9\)"):
        PatchGrid(8, 9, 4).cut(np.zeros(shape, np.float32))


@pytest.mark.parametrize("shape", [(5, 4, 4, 1), (6, 4, 4), (6, 5, 4, 1), (6, 4, 4, 2)])
def test_answers_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"takes shape \(6, 4, 4, 1\)"):
        PatchGrid(8, 9, 4).stitch(np.zeros(shape, np.float32))


@pytest.mark.parametrize("sizes", [(0, 5, 4), (5, 0, 4), (5, 5, 0), (-1, 5, 4)])
def test_a_grid_without_pixels_is_refused(sizes: tuple[int, int, int]) -> None:
    with pytest.raises(InputError, match="at least 1 pixel"):
        PatchGrid(*sizes)


def test_the_article_s_test_images_give_174_patches(data_root: Path) -> None:
    images = sorted((data_root / "dsb2018" / "test" / "images").glob("*.png"))
    shapes = [np.asarray(cv2.imread(str(path), cv2.IMREAD_UNCHANGED)).shape for path in images]
    assert len(shapes) == 53
    assert sum(len(PatchGrid(*shape).origins) for shape in shapes) == 174


@pytest.mark.parametrize("halo", [None, 0, 5, 31])
@pytest.mark.parametrize("length", [1, 63, 64, 65, 100, 128, 129, 500, 1021])
def test_what_is_taken_of_all_answers_covers_the_axis(length: int, halo: int | None) -> None:
    spans = patch_spans(length, 64, halo)
    taken = np.zeros(length, int)
    for origin, first, end in spans:
        assert 0 <= origin <= first < end <= min(origin + 64, length)
        taken[first:end] += 1
    assert taken.min() == 1
    if halo is not None:
        assert taken.max() == 1


@pytest.mark.parametrize("halo", [0, 5, 16, 31])
def test_a_halo_is_left_out_except_at_the_ends_of_the_frame(halo: int) -> None:
    for length in range(65, 700, 7):
        for origin, first, end in patch_spans(length, 64, halo):
            assert first == 0 or first - origin >= halo
            assert end == length or origin + 64 - end >= halo


def test_a_halo_of_0_takes_no_more_patches_than_the_article() -> None:
    for length in range(1, 700):
        assert len(patch_spans(length, 64, 0)) == len(patch_origins(length, 64))


@pytest.mark.parametrize("halo", [None, 0, 20])
def test_a_frame_that_is_cut_and_stitched_is_the_same(halo: int | None) -> None:
    frame = np.random.default_rng(0).random((150, 201), np.float32)
    grid = PatchGrid(150, 201, 64, halo)
    np.testing.assert_array_equal(grid.stitch(grid.cut(frame)), frame)


def test_the_edges_of_answers_are_left_out_where_another_patch_has_them() -> None:
    grid = PatchGrid(64, 112, 64, 8)
    answers = np.zeros((2, 64, 64, 1), np.float32)
    answers[0, :, -8:] = 1  # the edge that the second patch has further inside
    answers[1, :, :8] = 1
    assert not grid.stitch(answers).any()


@pytest.mark.parametrize("halo", [-1, 32])
def test_a_halo_that_leaves_nothing_is_refused(halo: int) -> None:
    with pytest.raises(InputError, match="give one of 0 to 31"):
        PatchGrid(100, 100, 64, halo)
