from __future__ import annotations

from itertools import islice, pairwise
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from unetplus_edge.datasets.distributions import ks_distance, nucleus_distributions
from unetplus_edge.datasets.specimen import Specimen, simulate, stream
from unetplus_edge.datasets.specimen_drawing import SMALLEST_LABEL

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from unetplus_edge.datasets.distributions import NucleusDistributions


def _frames(specimen: Specimen, number: int) -> list[tuple[NDArray[np.generic], NDArray[np.int32]]]:
    return [(frame.image, frame.labels) for frame in islice(stream(specimen), number)]


def test_the_same_seed_gives_the_same_frames_bit_for_bit() -> None:
    specimen = Specimen(height=96, width=128, seed=3)
    for (image, labels), (again, labels_again) in zip(_frames(specimen, 4), _frames(specimen, 4), strict=True):
        assert np.array_equal(image, again)
        assert np.array_equal(labels, labels_again)


def test_another_seed_gives_another_frame() -> None:
    first, second = (simulate(Specimen(seed=seed, variation=0)) for seed in (1, 2))
    assert not np.array_equal(first.labels, second.labels)


def test_a_single_frame_is_the_first_of_the_stream() -> None:
    specimen = Specimen(seed=5)
    assert np.array_equal(simulate(specimen).image, _frames(specimen, 1)[0][0])


def test_every_frame_of_a_stream_has_noise_of_its_own() -> None:
    still = Specimen(height=64, width=64, density=0, drift=0, motility=0)
    (first, _), (second, _) = _frames(still, 2)
    assert not np.array_equal(first, second)


def test_frames_stay_as_they_were_when_the_stream_goes_on() -> None:
    frames = stream(Specimen(height=64, width=64, seed=1))
    first = next(frames)
    image, labels = first.image.copy(), first.labels.copy()
    next(frames)
    assert np.array_equal(first.image, image)
    assert np.array_equal(first.labels, labels)


@pytest.mark.parametrize(("height", "width"), [(32, 32), (33, 47), (32, 300), (301, 64), (256, 256)])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_frames_have_the_size_that_was_asked_for(height: int, width: int, seed: int) -> None:
    frame = simulate(Specimen(height=height, width=width, seed=seed))
    assert frame.image.shape == frame.labels.shape == (height, width)
    assert frame.labels.dtype == np.int32


def test_a_frame_that_is_smaller_than_32_pixels_is_refused() -> None:
    with pytest.raises(ValueError, match="greater than or equal to 32"):
        Specimen(height=31)


@pytest.mark.parametrize(("bit_depth", "dtype"), [(8, np.uint8), (12, np.uint16), (16, np.uint16)])
def test_grey_levels_fill_the_bit_depth_and_no_more(bit_depth: int, dtype: type) -> None:
    bright = Specimen(bit_depth=bit_depth, contrast=1.0, brightness_sigma=1.0, seed=4, variation=0)
    image = simulate(bright).image
    assert image.dtype == dtype
    assert image.max() == 2**bit_depth - 1


def test_bit_depth_changes_the_resolution_and_nothing_else() -> None:
    eight, sixteen = (simulate(Specimen(bit_depth=bits, seed=6)) for bits in (8, 16))
    assert np.array_equal(eight.labels, sixteen.labels)
    assert np.abs(eight.image - sixteen.image / 257).max() <= 0.51


def test_every_label_is_one_connected_piece() -> None:
    for seed in (2, 11, 20):
        labels = simulate(Specimen(height=200, width=200, seed=seed, clustering=1.0)).labels
        for label in np.unique(labels[labels > 0]):
            pieces, _ = cv2.connectedComponents((labels == label).astype(np.uint8), connectivity=4)
            assert pieces == 2
            assert np.count_nonzero(labels == label) >= SMALLEST_LABEL


def test_labels_lie_where_sharp_nuclei_shine() -> None:
    sharp = Specimen(
        variation=0, texture=0, brightness_sigma=0, fragments=0, division_rate=0, clustering=0, density=150,
        psf_sigma=0.5, defocus=0, glow=0, haze=0, debris=0, unevenness=0, seed=8,
    )  # fmt: skip
    frame = simulate(sharp)
    dimmest = 255 * (sharp.background + 0.2 * sharp.contrast / 2)
    bright = frame.image > dimmest
    nuclei = frame.labels > 0
    assert np.count_nonzero(bright & nuclei) / np.count_nonzero(bright | nuclei) > 0.93


def test_nuclei_are_as_many_and_as_large_as_was_asked_for() -> None:
    asked = {"variation": 0, "fragments": 0, "division_rate": 0, "clustering": 0, "height": 400, "width": 400}
    measured = []
    for seed in range(6):
        labels = simulate(Specimen(density=300, area=400, seed=seed, **asked)).labels
        inner = labels.copy()
        edge = np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
        inner[np.isin(labels, edge)] = 0
        # those that the edge cuts count half
        number = len(np.unique(inner)) - 1 + (len(edge) - 1) / 2
        measured.append((number / 0.16, np.median(np.unique(inner, return_counts=True)[1][1:])))
    density, area = np.mean(measured, axis=0)
    assert density == pytest.approx(300, rel=0.15)
    assert area == pytest.approx(400, rel=0.1)


def test_a_stream_drifts_at_its_speed() -> None:
    moving = Specimen(seed=9, drift=1.5, motility=0, division_rate=0, clustering=0, variation=0, fragments=0)
    before, after = (frames[1] for frames in (_frames(moving, 9)[k] for k in (0, 8)))
    steps = []
    for label in np.intersect1d(before, after):
        where = [np.argwhere(labels == label) for labels in (before, after)]
        whole = all(((at > 0) & (at < 255)).all() for at in where)
        if label and whole:
            steps.append(where[1].mean(axis=0) - where[0].mean(axis=0))
    assert len(steps) > 3
    assert np.hypot(*np.median(steps, axis=0)) == pytest.approx(8 * 1.5, rel=0.05)


def test_ids_follow_their_nuclei_from_frame_to_frame() -> None:
    frames = _frames(Specimen(seed=10, drift=0.5, motility=0.3), 20)
    for (_, before), (_, after) in pairwise(frames):
        labels = before[(before > 0) & (after > 0)]
        same = labels == after[(before > 0) & (after > 0)]
        assert same.mean() > 0.95


def _measure(images: list[tuple[NDArray[np.generic], NDArray[np.generic]]]) -> list[NucleusDistributions]:
    return [nucleus_distributions(image, labels) for image, labels in images]


@pytest.mark.slow
def test_simulated_nuclei_are_distributed_as_those_of_the_training_set(data_root: Path) -> None:
    folder = data_root / "dsb2018" / "train"
    names = sorted(path.name for path in (folder / "labels_fixed").iterdir())[::4]
    real = _measure([
        (
            np.asarray(cv2.imread(str(folder / "images" / name), cv2.IMREAD_UNCHANGED)),
            np.asarray(cv2.imread(str(folder / "labels_fixed" / name), cv2.IMREAD_UNCHANGED)),
        )
        for name in names
    ])  # fmt: skip
    frames = [simulate(Specimen(seed=seed)) for seed in range(100)]
    simulated = _measure([(frame.image, frame.labels) for frame in frames])
    for subject in ("area", "contrast_to_noise", "neighbour_distance"):
        first, second = (np.concatenate([getattr(m, subject) for m in group]) for group in (real, simulated))
        assert ks_distance(first, second) < 0.2, subject
    touching = [np.concatenate([m.touching for m in group]).mean() for group in (real, simulated)]
    assert touching[1] == pytest.approx(touching[0], abs=0.1)
    densities = [np.array([m.nuclei_per_megapixel for m in group]) for group in (real, simulated)]
    assert ks_distance(*densities) < 0.2
