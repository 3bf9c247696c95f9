from __future__ import annotations

import numpy as np
import pytest

from unetplus_edge.datasets.specimen_conditions import Specimen


def test_seed_0_sees_the_numbers_as_they_stand() -> None:
    specimen = Specimen(area=300, density=500, contrast=0.2)
    assert specimen.acquisition() == specimen.model_copy(update={"variation": 0.0})


def test_without_variation_every_seed_sees_the_numbers_as_they_stand() -> None:
    specimen = Specimen(seed=17, variation=0, area=300)
    assert specimen.acquisition() == specimen


def test_drawn_conditions_are_drawn_once() -> None:
    drawn = Specimen(seed=17).acquisition()
    assert drawn.acquisition() == drawn


def test_less_variation_keeps_seeds_closer_together() -> None:
    areas = [
        [Specimen(seed=seed, variation=variation).acquisition().area for seed in range(50)] for variation in (0.2, 1)
    ]
    assert np.std(np.log(areas[0])) == pytest.approx(0.2 * np.std(np.log(areas[1])))


@pytest.mark.parametrize("subject", ["area", "glow", "background", "full_well", "texture", "area_sigma"])
def test_half_of_the_seeds_lie_below_the_default(subject: str) -> None:
    default = getattr(Specimen(), subject)
    drawn = [getattr(Specimen(seed=seed).acquisition(), subject) for seed in range(1, 101)]
    assert sum(value < default for value in drawn) == pytest.approx(50, abs=3)


@pytest.mark.parametrize("seeds", [range(300), range(2**32 - 300, 2**32)], ids=["first", "last"])
def test_drawn_conditions_are_conditions_that_can_be_asked_for(seeds: range) -> None:
    for seed in seeds:
        drawn = Specimen(seed=seed).acquisition()
        assert Specimen.model_validate(drawn.model_dump()) == drawn


def test_what_is_asked_for_moves_what_is_drawn() -> None:
    small, large = (Specimen(seed=23, area=area).acquisition().area for area in (100, 400))
    assert large == pytest.approx(4 * small)


def test_large_nuclei_do_not_fill_the_frame() -> None:
    for seed in range(200):
        drawn = Specimen(seed=seed).acquisition()
        assert drawn.density * drawn.area / 1e6 < 0.28
