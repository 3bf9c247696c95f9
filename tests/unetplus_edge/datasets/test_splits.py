"""The committed splits, and the rules that they come from."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from unetplus_edge.datasets import PatchId, Sample, article_validation_patches, open_dsb2018, validation_images
from unetplus_edge.datasets.splits import choose_article_patches, choose_validation_images
from unetplus_edge.imaging import PatchGrid

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def real(data_root: Path) -> tuple[tuple[Sample, ...], tuple[Sample, ...]]:
    """Training and test samples of the real data set."""
    data = open_dsb2018(data_root / "dsb2018", "released")
    return data.training, data.test


@pytest.fixture
def drawn(tmp_path: Path) -> list[Sample]:
    """Forty-seven images of four sizes, each of another brightness."""
    rng = np.random.default_rng(0)
    samples = []
    for number, level in enumerate(rng.permutation(47)):
        shape = [(8, 8), (8, 16), (16, 8), (300, 520)][number % 4]
        path = tmp_path / f"{number:02d}.png"
        cv2.imwrite(str(path), np.full(shape, 5 * level, np.uint8))
        samples.append(Sample(path.stem, path, path))
    return samples


def test_a_fifth_of_the_images_is_held_out() -> None:
    assert len(validation_images()) == 546 // 5 == 109
    assert all(re.fullmatch("[0-9a-f]{64}", image_id) for image_id in validation_images())


def test_patches_are_named_by_image_and_corner() -> None:
    patches = article_validation_patches()
    assert len(patches) == 351
    assert all(re.fullmatch("[0-9a-f]{64}", patch.image) and patch.top >= 0 and patch.left >= 0 for patch in patches)


def test_the_committed_images_are_the_rule_s_choice(real: tuple[tuple[Sample, ...], ...]) -> None:
    training, _ = real
    assert validation_images() == frozenset(choose_validation_images(training))


def test_the_committed_patches_are_the_rule_s_choice(real: tuple[tuple[Sample, ...], ...]) -> None:
    training, _ = real
    assert article_validation_patches() == frozenset(choose_article_patches(training))


def test_no_test_image_is_in_a_split(real: tuple[tuple[Sample, ...], ...]) -> None:
    training, test = real
    training_ids, test_ids = ({sample.id for sample in samples} for samples in (training, test))
    assert not training_ids & test_ids
    assert validation_images() < training_ids
    assert {patch.image for patch in article_validation_patches()} < training_ids


def test_the_patches_are_one_in_five_of_the_grid(real: tuple[tuple[Sample, ...], ...]) -> None:
    training, _ = real
    whole = {PatchId(sample.id, *at) for sample in training for at in PatchGrid(*sample.image().shape).origins}
    held_out = article_validation_patches()
    assert held_out < whole
    assert len(held_out) == -(-len(whole) // 5)


def test_the_held_out_images_are_like_all_the_others(real: tuple[tuple[Sample, ...], ...]) -> None:
    training, _ = real
    held_out = np.array([sample.id in validation_images() for sample in training])
    images = [sample.image() for sample in training]
    sizes = np.array([image.size for image in images])
    brightness = np.array([image.mean() for image in images])
    for size in np.unique(sizes):
        of_this_size = sizes == size
        # As many as a fifth, but for the two groups of five that also hold another size.
        assert abs((held_out & of_this_size).sum() - of_this_size.sum() / 5) <= 2
    assert sizes[held_out].mean() == pytest.approx(sizes.mean(), rel=0.03)
    assert brightness[held_out].mean() == pytest.approx(brightness.mean(), rel=0.05)
    for part in (10, 50, 90):
        assert np.percentile(brightness[held_out], part) == pytest.approx(np.percentile(brightness, part), rel=0.15)


def test_of_five_neighbours_in_size_and_brightness_one_is_held_out(drawn: list[Sample]) -> None:
    order = sorted(drawn, key=lambda sample: (sample.image().size, len(sample.image()), sample.image().mean()))
    chosen = choose_validation_images(drawn)
    assert chosen == sorted(chosen)
    assert len(chosen) == 47 // 5
    for start in range(0, 45, 5):
        assert len({sample.id for sample in order[start : start + 5]} & set(chosen)) == 1


def test_the_order_of_the_samples_does_not_matter(drawn: list[Sample]) -> None:
    backwards = drawn[::-1]
    assert choose_validation_images(backwards) == choose_validation_images(drawn)
    assert choose_article_patches(backwards) == choose_article_patches(drawn)


def test_patches_are_drawn_from_the_whole_grid(drawn: list[Sample]) -> None:
    # 36 small images of one patch and eleven of two rows of three.
    whole = {PatchId(sample.id, *at) for sample in drawn for at in PatchGrid(*sample.image().shape).origins}
    assert len(whole) == 36 + 11 * 6
    chosen = choose_article_patches(drawn)
    assert len(set(chosen)) == len(chosen) == -(-len(whole) // 5)
    assert set(chosen) < whole
