"""The comparison of a conversion with Keras, on answers that are known."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest

from unetplus_edge.datasets import validation_images
from unetplus_edge.datasets.dsb2018 import TEST_IMAGES, TRAINING_IMAGES
from unetplus_edge.imaging import preprocess
from unetplus_export.verify import parity, simulated_patches, training_patches, verify
from unetplus_runtime.engines import EngineInfo


class Known:
    """An engine with known answers."""

    def __init__(self, answers, engine="litert"):
        self.info = EngineInfo(engine, "none", "0", Path("none"), "fp32", "fp32", "cpu", 1, None, 4)
        self._answers = np.asarray(answers, np.float32)

    def infer(self, patches):
        assert patches.shape == self._answers.shape
        return self._answers


def compared(expected, answers, threshold=0.5):
    patches = np.zeros((2, 4, 4, 1), np.float32)
    return verify(Known(expected, "keras"), Known(answers), patches, threshold)


def test_parity_counts_patches_differences_and_flipped_pixels():
    rng = np.random.default_rng(1)
    reference, answers = (rng.random((3, 8, 8, 1), np.float32) for _ in range(2))
    largest = total = flipped = 0.0
    for r, a in zip(reference.ravel().tolist(), answers.ravel().tolist(), strict=True):
        largest = max(largest, abs(r - a))
        total += abs(r - a)
        flipped += (r > 0.3) != (a > 0.3)
    found = parity(reference, answers, 0.3)
    assert found.patches == 3
    assert found.max_difference == pytest.approx(largest)
    assert found.mean_difference == pytest.approx(total / reference.size)
    assert found.flipped_per_million == pytest.approx(1e6 * flipped / reference.size)


def test_a_pixel_on_the_threshold_is_background():
    on, above = np.full((1, 1, 1, 1), 0.5, np.float32), np.full((1, 1, 1, 1), 0.500001, np.float32)
    assert parity(on, on, 0.5).flipped_per_million == 0
    assert parity(on, above, 0.5).flipped_per_million == 1e6


def test_answers_within_the_limit_are_verified():
    expected = np.full((2, 4, 4, 1), 0.25)
    answers = expected.copy()
    answers[1, 2, 3] += 0.9e-4
    record = compared(expected, answers)
    assert (record.engine, record.executed_precision, record.verified, record.reason) == ("litert", "fp32", True, None)
    assert record.parity.max_difference == pytest.approx(0.9e-4, rel=1e-3)


def test_one_pixel_past_the_limit_fails_the_conversion():
    expected = np.full((2, 4, 4, 1), 0.25)
    answers = expected.copy()
    answers[1, 2, 3] -= 2e-4
    record = compared(expected, answers)
    assert not record.verified
    assert record.reason == "it differs from keras by 0.0002, more than 1e-04"
    assert record.parity.max_difference == pytest.approx(2e-4, rel=1e-3)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_an_answer_that_is_no_number_fails_the_conversion(wrong):
    expected = np.full((2, 4, 4, 1), 0.25)
    answers = expected.copy()
    answers[0, 0, :2] = wrong
    record = compared(expected, answers)
    assert not record.verified
    assert record.reason == "litert answers 2 of 32 pixels with NaN or infinity"
    assert record.parity is None


def test_a_model_that_answers_with_no_numbers_verifies_nothing():
    broken = np.full((2, 4, 4, 1), np.nan)
    record = compared(broken, broken)
    assert not record.verified
    assert record.reason == "keras answers 32 of 32 pixels with NaN or infinity"


@pytest.fixture(scope="module")
def two_scenes(tmp_path_factory):
    """The data set's layout, with one scene on all training images and another on all validation images."""
    root = tmp_path_factory.mktemp("data")
    folder = root / "dsb2018"
    for part in ("train/images", "train/labels", "test/images", "test/labels"):
        (folder / part).mkdir(parents=True)
    rng = np.random.default_rng(0)
    scenes = [rng.integers(0, 255, (32, 48), np.uint8) for _ in range(2)]
    encoded = [cv2.imencode(".png", scene)[1].tobytes() for scene in scenes]
    held_out = sorted(validation_images())
    training = [f"made-up-{number}" for number in range(TRAINING_IMAGES - len(held_out))]
    rows = [("train", name, 0) for name in training] + [("train", name, 1) for name in held_out]
    rows += [("test", f"test-{number}", 1) for number in range(TEST_IMAGES)]
    for split, name, scene in rows:
        for kind in ("images", "labels"):
            (folder / split / kind / f"{name}.png").write_bytes(encoded[scene])
    with (folder / "index.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("split", "id"), *(row[:2] for row in rows)])
    return root, scenes[0]


def test_training_patches_are_preprocessed_and_never_of_held_out_images(manifest, two_scenes, monkeypatch):
    root, scene = two_scenes
    monkeypatch.setenv("UNETPLUS_DATA", str(root))
    ready = preprocess(scene, manifest.recipe.preprocessing)
    expected = {ready[:, left : left + 32].tobytes() for left in (0, 16)}
    patches = training_patches(manifest)
    assert patches.dtype == np.float32
    assert patches.shape == (64, 32, 32, 1)
    assert {patch.tobytes() for patch in patches} == expected


def test_simulated_patches_are_always_the_same_and_all_different(manifest):
    patches = simulated_patches(manifest)
    np.testing.assert_array_equal(patches, simulated_patches(manifest))
    assert patches.dtype == np.float32
    assert patches.shape == (32, 32, 32, 1)
    assert 0 <= patches.min() < patches.max() <= 1
    assert len({patch.tobytes() for patch in patches}) == 32
