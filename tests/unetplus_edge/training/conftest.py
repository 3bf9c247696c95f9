"""Drawn nuclei to train on: a handful, and as many as the article's data set has."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from unetplus_edge.architectures import UNetPlus
from unetplus_edge.datasets import Sample, validation_images
from unetplus_edge.datasets.dsb2018 import CORRECTED_IMAGES, TEST_IMAGES, TRAINING_IMAGES
from unetplus_edge.imaging import Preprocessing
from unetplus_edge.training.patches import TrainingData
from unetplus_edge.training.recipe import Recipe

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


def drawn_nuclei(height: int, width: int, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.uint16]]:
    """Bright ellipses on a dark, noisy ground, and their label image."""
    rng = np.random.default_rng(seed)
    labels = np.zeros((height, width), np.uint16)
    for number in range(1, 6):
        centre = (int(rng.integers(width)), int(rng.integers(height)))
        axes = (int(rng.integers(4, 8)), int(rng.integers(4, 8)))
        cv2.ellipse(labels, centre, axes, float(rng.uniform(0, 180)), 0, 360, number, cv2.FILLED)
    clean = np.where(labels > 0, 150.0, 30.0)
    return np.clip(rng.normal(clean, 10), 0, 255).astype(np.uint8), labels


def write_samples(folder: Path, count: int, *, first_seed: int) -> tuple[Sample, ...]:
    """Write drawn images of 48 x 40 pixels."""
    samples = []
    folder.mkdir(exist_ok=True)
    for seed in range(first_seed, first_seed + count):
        sample = Sample(f"drawn-{seed}", folder / f"{seed}.png", folder / f"{seed}-labels.png")
        image, labels = drawn_nuclei(48, 40, seed)
        cv2.imwrite(str(sample.image_path), image)
        cv2.imwrite(str(sample.label_path), labels)
        samples.append(sample)
    return tuple(samples)


@pytest.fixture(scope="session")
def drawn_data(tmp_path_factory: pytest.TempPathFactory) -> TrainingData:
    """Four images to learn from and one to validate on."""
    folder = tmp_path_factory.mktemp("drawn")
    return TrainingData(write_samples(folder, 4, first_seed=0), write_samples(folder, 1, first_seed=4))


@pytest.fixture(scope="session")
def tiny_recipe() -> Recipe:
    """A recipe that trains in seconds."""
    return Recipe(
        architecture=UNetPlus(base_filters=1, depth=2),
        preprocessing=Preprocessing(tv_iterations=2),
        patch_side=32,
        batch_size=8,
        epochs=5,
        learning_rate=0.01,
        seed=5,
    )


@pytest.fixture(scope="session")
def drawn_dsb2018(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder laid out as the data set is, with as many images, its validation images among them."""
    folder = tmp_path_factory.mktemp("dsb2018")
    held_out = sorted(validation_images())
    training = held_out + [f"made-up-{number}" for number in range(TRAINING_IMAGES - len(held_out))]
    rows = [("train", image_id) for image_id in training] + [("test", f"test-{n}") for n in range(TEST_IMAGES)]
    for part in ("train/images", "train/labels", "train/labels_fixed", "test/images", "test/labels"):
        (folder / part).mkdir(parents=True)
    encoded = []
    for seed in range(8):
        image, labels = drawn_nuclei(32, 32, seed)
        encoded.append([cv2.imencode(".png", array)[1].tobytes() for array in (image, labels)])
    for number, (split, image_id) in enumerate(rows):
        image_png, labels_png = encoded[number % len(encoded)]
        (folder / split / "images" / f"{image_id}.png").write_bytes(image_png)
        (folder / split / "labels" / f"{image_id}.png").write_bytes(labels_png)
        if number < CORRECTED_IMAGES:
            (folder / "train" / "labels_fixed" / f"{image_id}.png").write_bytes(labels_png)
    with (folder / "index.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("split", "id"), *rows])
    return folder
