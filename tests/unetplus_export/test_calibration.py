"""Calibration patches, of images that the tests draw themselves."""

from __future__ import annotations

import csv
import hashlib
from dataclasses import replace

import cv2
import numpy as np
import pytest

from unetplus_edge.bundle import Bundle
from unetplus_edge.datasets import validation_images
from unetplus_edge.datasets.dsb2018 import TEST_IMAGES, TRAINING_IMAGES
from unetplus_edge.errors import ConversionError, InputError
from unetplus_edge.imaging import preprocess
from unetplus_export.calibration import Calibration, calibration_patches, required_patches, spread
from unetplus_export.conversion import Request

VALIDATION = sorted(validation_images())


@pytest.fixture(autouse=True)
def no_data(monkeypatch):
    monkeypatch.delenv("UNETPLUS_DATA", raising=False)


def scene(seed, height=32, width=32, dtype=np.uint8):
    """Discs on a noisy ground, brighter and denser from seed to seed."""
    rng = np.random.default_rng(seed)
    frame = rng.normal(10 + seed, 2, (height, width))
    y, x = np.mgrid[:height, :width]
    for top, left in rng.uniform(4, min(height, width) - 4, (1 + seed % 5, 2)):
        frame[np.hypot(y - top, x - left) < 4] += 60 + seed
    full_scale = 257 if dtype == np.uint16 else 1
    return (np.clip(frame, 0, 255) * full_scale).astype(dtype)


def written(folder, frames):
    folder.mkdir(exist_ok=True)
    for name, frame in frames.items():
        assert cv2.imwrite(str(folder / f"{name}.png"), frame)
    return folder


@pytest.fixture(scope="session")
def data_set(tmp_path_factory):
    """A data set of the right size: two scenes to train on in turn, a third one held out, a fourth to test on."""
    root = tmp_path_factory.mktemp("data")
    folder = root / "dsb2018"
    for kind in ("images", "labels"):
        for split in ("train", "test"):
            (folder / split / kind).mkdir(parents=True)
    encoded = [cv2.imencode(".png", scene(seed))[1].tobytes() for seed in range(4)]
    labels = cv2.imencode(".png", np.zeros((32, 32), np.uint16))[1].tobytes()
    train = [f"train{number:03}" for number in range(TRAINING_IMAGES - len(VALIDATION))]
    rows = [
        *(("train", name, number % 2) for number, name in enumerate(train)),
        *(("train", name, 2) for name in VALIDATION),
        *(("test", f"test{number:03}", 3) for number in range(TEST_IMAGES)),
    ]
    for split, name, number in rows:
        (folder / split / "images" / f"{name}.png").write_bytes(encoded[number])
        (folder / split / "labels" / f"{name}.png").write_bytes(labels)
    with (folder / "index.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("split", "id"), *(row[:2] for row in rows)])
    return root


def test_patches_of_the_data_set_are_preprocessed_and_never_of_held_out_images(manifest, data_set, monkeypatch):
    monkeypatch.setenv("UNETPLUS_DATA", str(data_set))
    found = calibration_patches(manifest, count=40)
    trained_on = {preprocess(scene(seed), manifest.recipe.preprocessing).tobytes() for seed in (0, 1)}
    assert found.patches.dtype == np.float32
    assert found.patches.shape == (40, 32, 32, 1)
    assert {patch.tobytes() for patch in found.patches} == trained_on
    assert not found.simulated
    assert found.source == f"dsb2018, {TRAINING_IMAGES - len(VALIDATION)} training images"


def test_the_hash_is_of_all_patches_in_order(manifest, data_set, monkeypatch):
    monkeypatch.setenv("UNETPLUS_DATA", str(data_set))
    found = calibration_patches(manifest, count=9)
    digest = hashlib.sha256()
    for patch in found.patches:
        digest.update(patch.tobytes())
    assert found.sha256 == digest.hexdigest() == calibration_patches(manifest, count=9).sha256


def test_every_occupied_part_of_the_range_is_represented():
    rng = np.random.default_rng(0)
    crowd = rng.uniform(0, 0.1, (500, 2)).tolist()
    rare = [(0.95, 0.2), (0.3, 0.9), (0.55, 0.55), (1.0, 1.0)]
    chosen = spread([*map(tuple, crowd), *rare], 12)
    assert len(chosen) == len(set(chosen)) == 12
    assert chosen == sorted(chosen)
    assert {500, 501, 502, 503} < set(chosen)


def test_all_are_taken_where_there_are_fewer_than_asked_for():
    assert spread([(0.0, 0.0), (0.0, 0.0), (1.0, 3.0)], 10) == [0, 1, 2]


def test_one_brightness_and_density_is_a_range_too():
    assert len(spread([(0.5, 0.5)] * 20, 6)) == 6


def test_the_only_bright_image_of_a_folder_is_taken(manifest, tmp_path):
    dark = {f"dark{number:02}": scene(number % 5) for number in range(40)}
    bright = {"bright": np.clip(scene(4).astype(int) + 150, 0, 255).astype(np.uint8)}
    found = calibration_patches(manifest, written(tmp_path / "mine", dark | bright), count=10)
    ready = preprocess(bright["bright"], manifest.recipe.preprocessing)
    assert ready.tobytes() in {patch.tobytes() for patch in found.patches}
    assert found.source == "mine, 41 images"
    assert not found.simulated


def test_frames_of_8_and_16_bits_and_of_several_patches_can_be_mixed(manifest, tmp_path):
    frames = {"small": scene(1), "deep": scene(2, dtype=np.uint16), "large": scene(3, 70, 50)}
    found = calibration_patches(manifest, written(tmp_path / "mine", frames))
    assert len(found.patches) == 1 + 1 + 3 * 2
    assert found.patches.min() >= 0
    assert found.patches.max() <= 1


def test_patches_of_another_side_can_be_had(manifest, tmp_path):
    folder = written(tmp_path / "mine", {"a": scene(1, 64, 64)})
    assert calibration_patches(manifest, folder, patch_side=16).patches.shape == (16, 16, 16, 1)


def test_without_images_the_specimen_is_simulated_and_the_set_says_so(manifest):
    found = calibration_patches(manifest, count=8)
    assert found.simulated
    assert found.source == "simulated specimen, 2 frames"
    assert len({patch.tobytes() for patch in found.patches}) == 8


def test_a_folder_with_a_held_out_image_is_refused_by_its_name(manifest, tmp_path):
    folder = written(
        tmp_path / "mine", {f"a{number}": scene(number) for number in range(9)} | {VALIDATION[3]: scene(9)}
    )
    with pytest.raises(InputError, match=f"{VALIDATION[3]}.png is a validation or test image"):
        calibration_patches(manifest, folder)


@pytest.mark.parametrize("held_out", [2, 3], ids=["validation", "test"])
def test_a_folder_with_a_held_out_image_under_another_name_is_refused(
    manifest, tmp_path, data_set, monkeypatch, held_out
):
    monkeypatch.setenv("UNETPLUS_DATA", str(data_set))
    frames = {f"a{number}": scene(number) for number in range(10, 20)}
    folder = written(tmp_path / "mine", frames)
    assert len(calibration_patches(manifest, folder).patches) == 10
    written(folder, {"renamed": scene(held_out)})
    with pytest.raises(InputError, match=r"renamed\.png is a validation or test image"):
        calibration_patches(manifest, folder)


REFUSED = {
    "nothing there": (lambda folder: None, "does not exist"),
    "no image": (lambda folder: folder.mkdir(), "holds no image"),
    "too few": (lambda folder: written(folder, {"a": scene(1)}), r"has 1 patches of 32 x 32 pixels, too few"),
    "constant": (
        lambda folder: written(
            folder, {f"a{n}": scene(n) for n in range(9)} | {"empty": np.full((32, 32), 7, np.uint8)}
        ),
        r"empty\.png is the same everywhere",
    ),
    "damaged": (lambda folder: (folder.mkdir(), (folder / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n cut")), r"a\.png"),
    "colour": (
        lambda folder: written(folder, {"a": np.dstack([scene(1), scene(2), scene(3)])}),
        r"a\.png",
    ),
}


@pytest.mark.parametrize(("make", "reason"), REFUSED.values(), ids=REFUSED)
def test_a_folder_that_gives_no_ranges_is_refused_in_a_sentence(manifest, tmp_path, make, reason):
    make(tmp_path / "mine")
    with pytest.raises(InputError, match=reason):
        calibration_patches(manifest, tmp_path / "mine")


def test_no_patches_cannot_be_asked_for(manifest):
    with pytest.raises(InputError, match="0 patches calibrate nothing"):
        calibration_patches(manifest, count=0)


def asked_for(manifest, tmp_path, patches):
    calibration = None if patches is None else Calibration(patches, "drawn", simulated=False, sha256="0" * 64)
    return Request(Bundle(tmp_path, manifest), "int8", patch_side=32, calibration=calibration)


GOOD = np.random.default_rng(0).random((3, 32, 32, 1), np.float32)
UNUSABLE = {
    "none": (None, "int8 needs patches to calibrate on"),
    "empty": (GOOD[:0], r"are float32 of shape \(0, 32, 32, 1\)"),
    "another side": (GOOD[:, :16, :16], r"shape \(n, 32, 32, 1\)"),
    "not float32": (GOOD.astype(np.float64), "are float64"),
    "not scaled": (GOOD * 255, "reach from .* to 255"),
    "negative": (GOOD - 0.5, r"reach from -0\.5"),
    "NaN": (np.where(GOOD > 0.999, np.float32(np.nan), GOOD), "reach from nan"),
    "constant": (np.full_like(GOOD, 0.25), "each the same everywhere"),
}


@pytest.mark.parametrize(("patches", "reason"), UNUSABLE.values(), ids=UNUSABLE)
def test_patches_that_give_no_ranges_are_refused_in_a_sentence(manifest, tmp_path, patches, reason):
    with pytest.raises(ConversionError, match=reason):
        required_patches(asked_for(manifest, tmp_path, patches))


def test_usable_patches_are_returned_as_they_are(manifest, tmp_path):
    request = asked_for(manifest, tmp_path, GOOD)
    np.testing.assert_array_equal(required_patches(request), GOOD)
    one_empty = np.concatenate([GOOD, np.zeros_like(GOOD[:1])])
    np.testing.assert_array_equal(
        required_patches(replace(request, calibration=replace(request.calibration, patches=one_empty))), one_empty
    )
