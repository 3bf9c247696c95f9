"""What conversions are shown: real images in their parts, or simulated ones."""

from __future__ import annotations

import csv

import cv2
import numpy as np
import pytest

from unetplus_edge.datasets import validation_images
from unetplus_edge.datasets.dsb2018 import TEST_IMAGES, TRAINING_IMAGES
from unetplus_edge.imaging import preprocess
from unetplus_export.material import has_real_images, real_material, simulated_material


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


def test_real_patches_are_preprocessed_and_never_of_held_out_images(manifest, two_scenes, monkeypatch):
    root, scene = two_scenes
    monkeypatch.setenv("UNETPLUS_DATA", str(root))
    ready = preprocess(scene, manifest.recipe.preprocessing)
    expected = {ready[:, left : left + 32].tobytes() for left in (0, 16)}
    material = real_material(manifest)
    assert material.frames == "real"
    assert material.patches.dtype == np.float32
    assert material.patches.shape == (64, 32, 32, 1)
    assert {patch.tobytes() for patch in material.patches} == expected


def test_the_real_samples_are_the_validation_images(manifest, two_scenes, monkeypatch):
    monkeypatch.setenv("UNETPLUS_DATA", str(two_scenes[0]))
    assert {sample.id for sample in real_material(manifest).samples} == validation_images()


def test_simulated_material_is_always_the_same_and_all_different(manifest):
    material, again = simulated_material(manifest), simulated_material(manifest)
    assert material.frames == "simulated"
    np.testing.assert_array_equal(material.patches, again.patches)
    assert material.patches.dtype == np.float32
    assert material.patches.shape == (32, 32, 32, 1)
    assert 0 <= material.patches.min() < material.patches.max() <= 1
    assert len({patch.tobytes() for patch in material.patches}) == 32
    images = [sample.image().tobytes() for sample in material.samples]
    assert len(set(images)) == 32
    assert images == [sample.image().tobytes() for sample in again.samples]
    assert sum(sample.labels().max() > 0 for sample in material.samples) > 16


@pytest.mark.parametrize(("value", "expected"), [(None, False), ("", False), ("/data", True)])
def test_real_images_are_used_where_the_user_says_where_they_lie(monkeypatch, value, expected):
    monkeypatch.delenv("UNETPLUS_DATA", raising=False)
    if value is not None:
        monkeypatch.setenv("UNETPLUS_DATA", value)
    assert has_real_images() is expected
