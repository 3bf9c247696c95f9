from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest

from unetplus_edge.datasets.specimen_conditions import Specimen
from unetplus_edge.datasets.specimen_nuclei import NUCLEUS, Population
from unetplus_edge.datasets.specimen_optics import Microscope

if TYPE_CHECKING:
    from numpy.typing import NDArray

_TOP = 2**16 - 1


def _empty(**fields: Any) -> NDArray[np.float64]:
    """A frame without nuclei, fraction of full scale."""
    fields = {"density": 0, "unevenness": 0, "read_noise": 0, "bit_depth": 16, "variation": 0} | fields
    specimen = Specimen(**fields)
    image, labels = Microscope(specimen).expose(Population(specimen), 0)
    assert not labels.any()
    return image / _TOP


def _lone(**fields: Any) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    """A round nucleus of 500 px in the middle of a dark frame, fraction of full scale, and its label image."""
    fields = {"unevenness": 0, "read_noise": 0, "background": 0, "full_well": 1e9, "texture": 0, "glow": 0} | fields
    specimen = Specimen(density=0, variation=0, bit_depth=16, height=201, width=201, **fields)
    population = Population(specimen)
    nucleus = np.zeros(1, NUCLEUS)
    nucleus["id"], nucleus["area"], nucleus["elongation"], nucleus["brightness"] = 5, 500, 1, 0.5
    nucleus["blur"] = specimen.psf_sigma
    nucleus["row"] = nucleus["column"] = 100 - population.positions(np.zeros(1, NUCLEUS))[0, 0]
    population.nuclei = nucleus
    image, labels = Microscope(specimen).expose(population, 0)
    return image / _TOP, labels


@pytest.mark.parametrize(("full_well", "background"), [(10000, 0.2), (100, 0.05)], ids=["many", "few"])
def test_the_variance_of_electrons_is_their_mean(full_well: float, background: float) -> None:
    electrons = full_well * _empty(full_well=full_well, background=background)
    assert electrons.mean() == pytest.approx(full_well * background, rel=0.02)
    assert electrons.var() == pytest.approx(electrons.mean(), rel=0.03)


@pytest.mark.parametrize("full_well", [10000, 50], ids=["many", "few"])
def test_read_noise_adds_its_variance(full_well: float) -> None:
    electrons = full_well * _empty(full_well=full_well, background=0.18, read_noise=2.0)
    shot = 0.18 * full_well
    assert electrons.var() == pytest.approx(shot + 4.0, rel=0.03)


def test_a_black_level_is_subtracted_and_cut_off_at_zero() -> None:
    with_offset, without = _empty(background=0.1, black_level=0.04), _empty(background=0.1)
    assert without.mean() - with_offset.mean() == pytest.approx(0.04, abs=1e-4)
    assert _empty(background=0.1, black_level=0.5).max() == 0


def test_illumination_falls_off_to_the_darkest_corner() -> None:
    image = _empty(background=0.5, unevenness=0.4, full_well=1e9)
    assert image.max() == pytest.approx(0.5, rel=0.01)
    corners = image[0, 0], image[0, -1], image[-1, 0], image[-1, -1]
    assert min(corners) == pytest.approx(0.3, rel=0.01)
    assert image.min() == pytest.approx(min(corners), rel=0.01)


def test_a_nucleus_shines_where_its_label_is() -> None:
    image, labels = _lone(psf_sigma=0.5)
    assert np.unique(labels).tolist() == [0, 5]
    assert np.array_equal(image > 0.2, labels > 0) or ((image > 0.2) ^ (labels > 0)).sum() < 20
    assert image[labels > 0].mean() == pytest.approx(0.5, rel=0.08)


@pytest.mark.parametrize("glow", [0.0, 0.4, 0.9])
def test_glow_moves_light_outwards_and_keeps_it(glow: float) -> None:
    image, labels = _lone(glow=glow)
    assert image.sum() == pytest.approx(0.5 * 500, rel=0.03)
    inside = image[labels > 0].sum() / image.sum()
    core = _lone()[0][labels > 0].sum() / (0.5 * 500)
    assert inside == pytest.approx(core, rel=0.03) if glow == 0 else inside < core - 0.3 * glow


def test_point_spread_functions_blur_as_gaussians_do() -> None:
    sharp, soft = (_lone(psf_sigma=sigma)[0] for sigma in (1.0, 3.0))
    # variances of Gaussians add up
    assert soft == pytest.approx(cv2.GaussianBlur(sharp, (0, 0), np.sqrt(3.0**2 - 1.0**2)), abs=0.01)


def test_haze_brightens_the_frame_without_a_label() -> None:
    specimen = Specimen(variation=0, seed=12, bit_depth=16)
    population, microscope = Population(specimen), Microscope(specimen)
    hazy, labels = microscope.expose(population, 0)
    light = (population.hazy["brightness"] * population.hazy["area"]).sum()
    population.hazy = population.hazy[:0]
    clear, labels_again = microscope.expose(population, 0)
    assert np.array_equal(labels, labels_again)
    gained = (hazy.astype(float) - clear).sum() / _TOP
    assert 0 < gained < light
