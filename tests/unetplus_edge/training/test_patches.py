"""The patches of an epoch: which ones, what is in them, and that chance is the seed's and the epoch's."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from unetplus_edge.architectures import UNet
from unetplus_edge.datasets import (
    Augmentation,
    PatchId,
    Sample,
    article_validation_patches,
    open_dsb2018,
    validation_images,
)
from unetplus_edge.errors import TrainingError
from unetplus_edge.imaging import Preprocessing, preprocess
from unetplus_edge.training.patches import GAP, PatchMaker, TrainingData, mask_to_learn, training_data
from unetplus_edge.training.recipe import Recipe

STILL = Augmentation(geometry=False, blur=0, contrast=0, brightness=0)


def slow_mask(labels, gap):
    """Look at every pixel's neighbourhood."""
    mask = np.zeros(labels.shape, np.uint8)
    for row, column in np.ndindex(labels.shape):
        here = labels[row, column]
        near = labels[max(row - gap, 0) : row + gap + 1, max(column - gap, 0) : column + gap + 1]
        mask[row, column] = here > 0 and all(other in (0, here) for other in near.ravel())
    return mask


@pytest.mark.parametrize("gap", [0, 1, 2, 3])
def test_a_mask_is_nucleus_where_no_other_nucleus_is_near(gap):
    rng = np.random.default_rng(gap)
    blocks = rng.integers(0, 4, (8, 9)) * rng.integers(0, 2, (8, 9))
    labels = np.kron(blocks, np.ones((5, 4), int)).astype(np.int32)
    labels[labels == 3] = 65_535
    np.testing.assert_array_equal(mask_to_learn(labels, gap), slow_mask(labels, gap))


def test_a_mask_without_gap_is_the_union_of_the_nuclei():
    labels = np.array([[0, 1, 1, 2, 0, 7]], np.int32)
    mask = mask_to_learn(labels, 0)
    assert mask.dtype == np.uint8
    assert mask.tolist() == [[0, 1, 1, 1, 0, 1]]


def still_recipe(**changes):
    """A recipe whose patches are plain cuts of the preprocessed images."""
    plain = {"patch_side": 16, "random_patches": 0, "augmentation": STILL, "labels": "released"}
    return Recipe(architecture=UNet(depth=2), preprocessing=Preprocessing(tv_iterations=1), **{**plain, **changes})


def sample_of(folder, name, labels, seed=0):
    """Write a noisy image with the given label image."""
    sample = Sample(name, folder / f"{name}.png", folder / f"{name}-labels.png")
    image = np.random.default_rng(seed).integers(0, 255, labels.shape, np.uint8)
    cv2.imwrite(str(sample.image_path), image)
    cv2.imwrite(str(sample.label_path), labels.astype(np.uint16))
    return sample


def as_set(patches):
    """Patches without their order."""
    return {(image.tobytes(), mask.tobytes()) for image, mask in zip(patches.images, patches.masks, strict=True)}


def expected_patch(sample, recipe, top, left):
    """Cut one patch of a sample by hand."""
    side = recipe.patch_side
    image = np.zeros((side, side, 1), np.float32)
    mask = np.zeros((side, side, 1), np.uint8)
    part = preprocess(sample.image(), recipe.preprocessing)[top : top + side, left : left + side]
    image[: part.shape[0], : part.shape[1], 0] = part
    mask[: part.shape[0], : part.shape[1], 0] = sample.labels()[top : top + side, left : left + side] > 0
    return image.tobytes(), mask.tobytes()


def test_patches_lie_on_the_grid_and_end_at_the_far_edge(tmp_path):
    labels = np.arange(36 * 20).reshape(36, 20) % 5
    sample, recipe = sample_of(tmp_path, "one", labels), still_recipe()
    maker = PatchMaker(TrainingData((sample,), (sample,)), recipe)
    corners = [(top, left) for top in (0, 16, 20) for left in (0, 4)]
    expected = {expected_patch(sample, recipe, *corner) for corner in corners}
    assert as_set(maker.training_patches(1)) == expected
    assert as_set(maker.validation_patches()) == expected
    assert len(maker.training_patches(1)) == 6


def test_the_gap_between_nuclei_that_touch_is_told_from_other_background(tmp_path):
    labels = np.zeros((16, 16), np.int32)
    labels[4:12, 2:8], labels[4:12, 8:14] = 1, 2
    sample = sample_of(tmp_path, "touching", labels)
    (mask,) = PatchMaker(TrainingData((sample,), (sample,)), still_recipe(gap=2)).validation_patches().masks[..., 0]
    assert [np.count_nonzero(mask == value) for value in (0, 1, GAP)] == [16 * 16 - 96, 64, 32]
    assert (mask[4:12, 6:10] == GAP).all()


def test_an_image_smaller_than_a_patch_is_continued_by_zeros(tmp_path):
    sample, recipe = sample_of(tmp_path, "small", np.ones((10, 12))), still_recipe()
    patches = PatchMaker(TrainingData((sample,), (sample,)), recipe).training_patches(1)
    assert patches.images.shape == (1, 16, 16, 1)
    assert patches.masks.sum() == 120
    assert not patches.images[0, 10:].any()
    assert not patches.images[0, :, 12:].any()


def test_held_out_patches_are_validated_on_and_never_learnt(tmp_path):
    first, second = (sample_of(tmp_path, name, np.eye(32), seed) for seed, name in enumerate(("first", "second")))
    recipe = still_recipe()
    held_out = frozenset({PatchId("first", 0, 16), PatchId("second", 16, 16)})
    maker = PatchMaker(TrainingData((first, second), (first, second), held_out), recipe)
    corners = [(sample, top, left) for sample in (first, second) for top in (0, 16) for left in (0, 16)]
    validated = {expected_patch(*(sample, recipe, *at)) for sample, *at in corners if (sample.id, *at) in held_out}
    learnt = {expected_patch(*(sample, recipe, *at)) for sample, *at in corners if (sample.id, *at) not in held_out}
    assert as_set(maker.validation_patches()) == validated
    assert as_set(maker.training_patches(1)) == learnt


def test_a_random_patch_is_never_a_held_out_one(tmp_path):
    held, learnt = (sample_of(tmp_path, name, np.ones((16, 16)), seed) for seed, name in enumerate(("held", "learnt")))
    recipe = still_recipe(random_patches=5)
    maker = PatchMaker(TrainingData((held, learnt), (held, learnt), frozenset({PatchId("held", 0, 0)})), recipe)
    assert as_set(maker.training_patches(1)) == {expected_patch(learnt, recipe, 0, 0)}


def test_random_patches_are_kept_only_above_the_ratio(tmp_path):
    # Left half empty, right half full: nucleus / background runs from 0 to infinity.
    labels = np.zeros((32, 64))
    labels[:, 32:] = 1
    sample = sample_of(tmp_path, "half", labels)
    data = TrainingData((sample,), (sample,))
    grid = PatchMaker(data, still_recipe()).training_patches(1)
    recipe = still_recipe(random_patches=300)
    patches = PatchMaker(data, recipe).training_patches(1)
    extra = as_set(patches) - as_set(grid)
    ratios = {np.frombuffer(mask, np.uint8).mean() for _, mask in extra}
    assert min(ratios) == pytest.approx(5 / 16)
    assert 5 / 11 > recipe.min_foreground_ratio > 4 / 12
    assert len(grid) < len(patches) < len(grid) + 300


def test_a_ratio_of_nought_keeps_every_patch_with_a_nucleus(tmp_path):
    sample = sample_of(tmp_path, "corner", np.pad([[1]], ((0, 15), (0, 15))))
    data = TrainingData((sample,), (sample,))
    recipe = still_recipe(random_patches=3, min_foreground_ratio=0)
    assert len(PatchMaker(data, recipe).training_patches(1)) == 4


def test_the_same_seed_and_epoch_give_the_same_patches(drawn_data, tiny_recipe):
    first = PatchMaker(drawn_data, tiny_recipe)
    first.training_patches(1)
    second = PatchMaker(drawn_data, tiny_recipe)
    np.testing.assert_array_equal(first.training_patches(2).images, second.training_patches(2).images)
    np.testing.assert_array_equal(first.training_patches(2).masks, second.training_patches(2).masks)


def test_another_epoch_or_seed_gives_other_patches(drawn_data, tiny_recipe):
    maker = PatchMaker(drawn_data, tiny_recipe)
    reseeded = PatchMaker(drawn_data, tiny_recipe.model_copy(update={"seed": 6}))
    patches = [maker.training_patches(1), maker.training_patches(2), reseeded.training_patches(1)]
    for one, other in [(0, 1), (0, 2)]:
        assert not as_set(patches[one]) & as_set(patches[other])


def test_patches_of_an_epoch_are_shuffled(tmp_path):
    samples = tuple(sample_of(tmp_path, f"{n:02}", np.full((16, 16), n % 2), n) for n in range(20))
    maker = PatchMaker(TrainingData(samples, samples), still_recipe())
    in_order = maker.validation_patches()
    shuffled = [maker.training_patches(epoch) for epoch in (1, 2)]
    for patches in shuffled:
        assert as_set(patches) == as_set(in_order)
        assert (patches.images != in_order.images).any()
    assert (shuffled[0].images != shuffled[1].images).any()


def test_few_patches_an_epoch_are_drawn_anew_without_replacement_and_validation_has_all(tmp_path):
    samples = tuple(sample_of(tmp_path, f"{n:02}", np.ones((16, 16)), n) for n in range(20))
    data = TrainingData(samples, samples)
    everything = as_set(PatchMaker(data, still_recipe()).training_patches(1))
    maker = PatchMaker(data, still_recipe(patches_per_epoch=8))
    drawn = [as_set(maker.training_patches(epoch)) for epoch in (1, 2)]
    assert [len(patches) for patches in drawn] == [8, 8]
    assert all(patches < everything for patches in drawn)
    assert drawn[0] != drawn[1]
    assert as_set(maker.validation_patches()) == everything


def test_fields_without_nuclei_are_added_in_random_places(tmp_path):
    samples = tuple(sample_of(tmp_path, f"{n:02}", np.ones((16, 16)), n) for n in range(20))
    data = TrainingData(samples, samples)
    others = PatchMaker(data, still_recipe(patches_per_epoch=10))
    maker = PatchMaker(data, still_recipe(patches_per_epoch=10, empty_patches=0.5))
    for epoch in (1, 2):
        patches = maker.training_patches(epoch)
        assert patches.images.shape == (15, 16, 16, 1)
        assert patches.images.dtype == np.float32
        assert patches.masks.dtype == np.uint8
        learnt = as_set(others.training_patches(epoch))
        assert learnt < as_set(patches)
        empty = [number for number, mask in enumerate(patches.masks) if not mask.any()]
        assert len(empty) == 5
        assert empty not in (list(range(5)), list(range(10, 15)))
        fields = patches.images[empty]
        # Noise alone, as the range of a frame is that of many standard deviations; or nothing, where it is dark.
        assert all(field.std() < 0.1 for field in fields)
        noisy = [field for field in fields if field.any()]
        assert len({field.tobytes() for field in noisy}) == len(noisy) >= 2
    assert as_set(maker.training_patches(1)) == as_set(maker.training_patches(1)) != as_set(maker.training_patches(2))
    assert as_set(maker.validation_patches()) == as_set(others.validation_patches())


def test_masks_go_with_their_images_through_augmentation(tmp_path):
    labels = np.zeros((64, 64), np.int32)
    labels[10:30, 5:40] = 1
    sample = Sample("bright", tmp_path / "image.png", tmp_path / "labels.png")
    cv2.imwrite(str(sample.image_path), np.where(labels, 200, 20).astype(np.uint8))
    cv2.imwrite(str(sample.label_path), labels.astype(np.uint16))
    recipe = still_recipe(augmentation=Augmentation(), patch_side=64)
    maker = PatchMaker(TrainingData((sample,), (sample,)), recipe)
    for epoch in range(1, 9):
        patches = maker.training_patches(epoch)
        found = patches.images > patches.images.mean()
        assert (found == patches.masks).mean() > 0.95


def test_no_images_are_refused(drawn_data, tiny_recipe):
    with pytest.raises(TrainingError, match="no images"):
        PatchMaker(TrainingData((), drawn_data.validation), tiny_recipe)
    with pytest.raises(TrainingError, match="no images"):
        PatchMaker(TrainingData(drawn_data.training, ()), tiny_recipe)


def test_a_split_that_leaves_no_patch_is_refused(tmp_path):
    sample = sample_of(tmp_path, "only", np.ones((16, 16)))
    everything = PatchMaker(TrainingData((sample,), (sample,), frozenset({PatchId("only", 0, 0)})), still_recipe())
    nothing = PatchMaker(TrainingData((sample,), (sample,), frozenset({PatchId("other", 0, 0)})), still_recipe())
    with pytest.raises(TrainingError, match="learn from"):
        everything.training_patches(1)
    with pytest.raises(TrainingError, match="validate on"):
        nothing.validation_patches()


def test_validation_images_are_held_out_of_training(drawn_dsb2018):
    data = training_data(Recipe(architecture=UNet()), drawn_dsb2018)
    assert {sample.id for sample in data.validation} == validation_images()
    assert {sample.id for sample in data.training}.isdisjoint(validation_images())
    assert len(data.training) + len(data.validation) == 541
    assert not data.held_out


def test_the_articles_split_by_patch_stays_inside_the_training_images(drawn_dsb2018):
    data = training_data(Recipe(architecture=UNet(), split="patches"), drawn_dsb2018)
    assert data.training == data.validation
    assert {sample.id for sample in data.training}.isdisjoint(validation_images())
    assert data.held_out == article_validation_patches()


def test_the_articles_own_split_takes_all_images(drawn_dsb2018):
    data = training_data(Recipe(architecture=UNet(), split="all_patches"), drawn_dsb2018)
    assert data.training == data.validation == open_dsb2018(drawn_dsb2018).training
    assert data.held_out == article_validation_patches()
