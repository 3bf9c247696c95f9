from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from unetplus_edge.datasets.specimen_conditions import Specimen
from unetplus_edge.datasets.specimen_nuclei import (
    DEATH,
    GROWTH,
    INTERPHASE,
    MITOSIS,
    NUCLEUS,
    STAGE_FRAMES,
    Population,
    appearance,
    largest_radius,
    outlines,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray


def _nuclei(number: int = 1, *, stage: int = INTERPHASE, age: int = 0) -> NDArray[np.void]:
    nuclei = np.zeros(number, NUCLEUS)
    nuclei["area"], nuclei["elongation"], nuclei["brightness"] = 500, 1.5, 0.2
    nuclei["stage"], nuclei["age"] = stage, age
    return nuclei


def test_outlines_enclose_the_area_whatever_the_shape() -> None:
    nuclei = _nuclei(20)
    rng = np.random.default_rng(0)
    nuclei["elongation"], nuclei["angle"] = rng.uniform(1, 2.5, 20), rng.uniform(0, 3, 20)
    nuclei["wobble"], nuclei["phase"] = rng.uniform(-0.2, 0.2, (20, 4)), rng.uniform(0, 6, (20, 4))
    for outline in outlines(nuclei, 64):
        # triangles from the centre
        following = np.roll(outline, -1, axis=0)
        area = 0.5 * sum(a[0] * b[1] - a[1] * b[0] for a, b in zip(outline, following, strict=True))
        assert area == pytest.approx(500)


def test_a_round_nucleus_without_wobble_is_a_circle() -> None:
    nuclei = _nuclei()
    nuclei["elongation"] = 1
    radius = np.hypot(*outlines(nuclei, 256)[0].T)
    assert radius == pytest.approx(np.full(256, np.sqrt(500 / np.pi)), rel=1e-3)


def test_condensing_keeps_the_light_of_a_nucleus() -> None:
    for age in range(STAGE_FRAMES[MITOSIS]):
        seen = appearance(_nuclei(stage=MITOSIS, age=age))
        assert seen["area"][0] * seen["brightness"][0] == pytest.approx(100)
        assert seen["area"][0] < 500


def test_a_daughter_begins_with_half_of_the_light_and_ends_with_all_of_it() -> None:
    seen = [appearance(_nuclei(stage=GROWTH, age=age)) for age in range(STAGE_FRAMES[GROWTH])]
    light = [float(s["area"][0] * s["brightness"][0]) for s in seen]
    assert light == sorted(light)
    assert light[0] == pytest.approx(50, rel=0.06)
    assert light[-1] == pytest.approx(100)


def test_a_dying_nucleus_loses_its_light() -> None:
    seen = appearance(_nuclei(stage=DEATH, age=STAGE_FRAMES[DEATH] - 1))
    assert seen["area"][0] * seen["brightness"][0] < 20


def test_looking_changes_nothing() -> None:
    nuclei = _nuclei(stage=MITOSIS, age=3)
    appearance(nuclei)
    assert nuclei == _nuclei(stage=MITOSIS, age=3)


def test_nuclei_without_company_lie_apart() -> None:
    population = Population(Specimen(clustering=0, variation=0, density=200, elongation=1, fragments=0))
    nuclei, at = population.nuclei, population.positions(population.nuclei)
    radius = np.sqrt(nuclei["area"] / np.pi)
    distance = np.hypot(*(at[:, None] - at[None]).transpose(2, 0, 1))
    np.fill_diagonal(distance, np.inf)
    assert (distance / (radius[:, None] + radius)).min() > 1


def test_clustering_makes_nuclei_touch() -> None:
    shares = []
    for clustering in (0.0, 0.5, 1.0):
        population = Population(Specimen(clustering=clustering, variation=0, height=600, width=600, elongation=1))
        nuclei, at = population.nuclei, population.positions(population.nuclei)
        radius = np.sqrt(nuclei["area"] / np.pi)
        distance = np.hypot(*(at[:, None] - at[None]).transpose(2, 0, 1))
        np.fill_diagonal(distance, np.inf)
        shares.append(((distance / (radius[:, None] + radius)).min(axis=1) < 1.06).mean())
    assert shares[0] < 0.1
    assert 0.3 < shares[1] < 0.7
    assert shares[2] > shares[1] + 0.15


def test_a_division_leaves_two_new_nuclei_where_the_mother_was() -> None:
    population = Population(Specimen(division_rate=0.02, drift=0, motility=0, seed=1))
    divisions = 0
    for _ in range(40):
        before = population.nuclei.copy()
        where = population.positions(before)
        population.advance()
        new = population.nuclei[~np.isin(population.nuclei["id"], before["id"])]
        divides = (before["stage"] == MITOSIS) & (before["age"] == STAGE_FRAMES[MITOSIS] - 1)
        in_sight = ((where > 0) & (where < 256)).all(axis=1)
        for mother, centre in zip(before[divides & in_sight], where[divides & in_sight], strict=True):
            divisions += 1
            away = np.hypot(*(population.positions(new) - centre).T)
            assert np.count_nonzero(away < np.sqrt(mother["area"] / np.pi)) == 2
            assert mother["id"] not in population.nuclei["id"]
    assert divisions > 3


def test_no_id_is_used_twice() -> None:
    population = Population(Specimen(division_rate=0.02, drift=3, seed=2))
    gone: set[int] = set()
    now = set(population.nuclei["id"].tolist())
    for _ in range(200):
        population.advance()
        ids = population.nuclei["id"].tolist()
        assert len(set(ids)) == len(ids)
        gone |= now - set(ids)
        now = set(ids)
        assert not gone & now


def test_nuclei_enter_and_leave_the_world_out_of_sight() -> None:
    specimen = Specimen(drift=2, motility=0, division_rate=0, variation=0, seed=3)
    population = Population(specimen)
    sight = largest_radius(specimen)
    for _ in range(150):
        before = dict(zip(population.nuclei["id"].tolist(), population.positions(population.nuclei), strict=True))
        population.advance()
        after = dict(zip(population.nuclei["id"].tolist(), population.positions(population.nuclei), strict=True))
        for label in before.keys() & after.keys():
            assert np.hypot(*(after[label] - before[label])) < 4
        for label in before.keys() ^ after.keys():
            at = (before | after)[label]
            assert min(at[0], at[1], 256 - at[0], 256 - at[1]) < 5 - sight


def test_a_population_lasts() -> None:
    population = Population(Specimen(division_rate=0.02, height=400, width=400, seed=4, variation=0))
    start, median = len(population.nuclei), np.median(population.nuclei["area"])
    for _ in range(600):
        population.advance()
    assert len(population.nuclei) == pytest.approx(start, rel=0.3)
    assert np.median(population.nuclei["area"]) == pytest.approx(median, rel=0.2)


def test_an_empty_specimen_stays_empty() -> None:
    population = Population(Specimen(density=0))
    population.advance()
    assert len(population.nuclei) == len(population.debris) == len(population.hazy) == 0
