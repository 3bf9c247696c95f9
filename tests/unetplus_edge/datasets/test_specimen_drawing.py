from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from unetplus_edge.datasets.specimen_conditions import Specimen
from unetplus_edge.datasets.specimen_drawing import Drawing, chromatin_sheet, draw, frame_labels
from unetplus_edge.datasets.specimen_nuclei import NUCLEUS

if TYPE_CHECKING:
    from numpy.typing import NDArray

_EVEN = np.ones((256, 256), np.float32)


def _nuclei(*areas: float, blur: float = 1.0) -> NDArray[np.void]:
    nuclei = np.zeros(len(areas), NUCLEUS)
    nuclei["area"], nuclei["elongation"], nuclei["brightness"], nuclei["blur"] = areas, 1, 0.5, blur
    return nuclei


@pytest.mark.parametrize("area", [25, 80, 300, 440, 460, 2000])
def test_a_drawn_nucleus_has_its_area(area: float) -> None:
    rng = np.random.default_rng(0)
    nuclei = _nuclei(*[area] * 25)
    nuclei["elongation"], nuclei["angle"] = rng.uniform(1, 2, 25), rng.uniform(0, 3, 25)
    at = np.array([(100.0 * i, 100.0 * j) for i in range(5) for j in range(5)]) + 50 + rng.random((25, 2))
    drawing = draw(nuclei, at, _EVEN, (500, 500))
    assert drawing.pixels.mean() == pytest.approx(area, rel=0.03)
    assert np.bincount(drawing.owner.ravel())[1:].tolist() == drawing.pixels.tolist()


def test_a_drawn_nucleus_lies_where_it_should() -> None:
    at = np.array([[40.3, 70.8]])
    drawing = draw(_nuclei(400), at, _EVEN, (100, 120))
    rows, columns = np.indices(drawing.light.shape)
    total = drawing.light.sum()
    centre = (rows * drawing.light).sum() / total, (columns * drawing.light).sum() / total
    assert centre == pytest.approx(at[0], abs=0.05)
    assert np.argwhere(drawing.owner).mean(axis=0) == pytest.approx(at[0], abs=0.2)


@pytest.mark.parametrize("blur", [0.5, 1.5, 4.0])
def test_blur_spreads_light_but_keeps_it(blur: float) -> None:
    drawing = draw(_nuclei(300, blur=blur), np.array([[50.0, 50.0]]), _EVEN, (100, 100))
    assert drawing.light.sum() == pytest.approx(0.5 * 300, rel=0.03)


def test_where_nuclei_overlap_light_adds_up_and_the_upper_one_owns_the_pixels() -> None:
    at = np.array([[50.0, 45.0], [50.0, 55.0]])
    both = draw(_nuclei(700, 700), at, _EVEN, (100, 100))
    lower, upper = (draw(_nuclei(700), at[k : k + 1], _EVEN, (100, 100)) for k in (0, 1))
    assert np.allclose(both.light, lower.light + upper.light)
    assert np.array_equal(both.owner == 2, upper.owner == 1)
    assert np.array_equal(both.owner == 1, (lower.owner == 1) & (upper.owner == 0))


@pytest.mark.parametrize("at", [(-5.0, 40.0), (40.0, 103.0), (99.0, -2.0), (-60.0, 40.0), (200.0, 200.0)])
def test_what_lies_off_the_canvas_is_cut_off(at: tuple[float, float]) -> None:
    whole = draw(_nuclei(700), np.array([at]) + 150, _EVEN, (400, 400))
    part = draw(_nuclei(700), np.array([at]), _EVEN, (100, 100))
    assert np.allclose(part.light, whole.light[150:250, 150:250], atol=1e-6)
    assert np.array_equal(part.owner, whole.owner[150:250, 150:250])


def test_texture_moves_with_its_nucleus() -> None:
    chromatin = chromatin_sheet(Specimen(texture=0.5), np.random.default_rng(1))
    nuclei = _nuclei(900)
    nuclei["chromatin"] = 0.3
    here, there = (draw(nuclei, np.array([[50.0, 50.0 + step]]), chromatin, (100, 120)).light for step in (0, 7))
    assert np.allclose(here[:, :100], there[:, 7:107], atol=1e-6)


def test_chromatin_has_mean_1_and_the_texture_asked_for() -> None:
    sheets = [chromatin_sheet(Specimen(texture=texture), np.random.default_rng(2)) for texture in (0.0, 0.1, 0.4)]
    assert [sheet.mean() for sheet in sheets] == pytest.approx([1, 1, 1], rel=1e-3)
    assert [sheet.std() for sheet in sheets] == pytest.approx([0, 0.1, 0.4], rel=0.2, abs=1e-6)


def _drawing(owner: NDArray[np.int32], pixels: list[int]) -> Drawing:
    windows = np.array([[0, 0, owner.shape[1], owner.shape[0]]] * len(pixels))
    return Drawing(np.zeros(owner.shape, np.float32), owner, np.array(pixels), windows)


def test_a_nucleus_that_is_cut_in_two_keeps_the_larger_piece() -> None:
    owner = np.zeros((40, 60), np.int32)
    owner[10:20, 5:55] = 1
    owner[5:25, 20:30] = 2
    labels = frame_labels(_drawing(owner, [500, 200]), np.array([7, 9], np.int32), (0, 0), (40, 60))
    assert np.array_equal(labels == 9, owner == 2)
    assert np.argwhere(labels == 7).min(axis=0).tolist() == [10, 30]
    assert np.count_nonzero(labels == 7) == 250


def test_a_rest_too_small_to_draw_has_no_label() -> None:
    owner = np.zeros((40, 40), np.int32)
    owner[10:13, 10:15] = 1
    owner[20:24, 20:24] = 2
    labels = frame_labels(_drawing(owner, [100, 16]), np.array([1, 2], np.int32), (0, 0), (40, 40))
    assert np.unique(labels).tolist() == [0, 2]


def test_the_frame_is_cut_out_of_the_canvas() -> None:
    drawing = draw(_nuclei(400, 400), np.array([[30.0, 30.0], [60.0, 75.0]]), _EVEN, (100, 120))
    labels = frame_labels(drawing, np.array([4, 0], np.int32), (20, 25), (50, 60))
    assert np.array_equal(labels == 4, (drawing.owner == 1)[20:70, 25:85])
    assert np.unique(labels).tolist() == [0, 4]
