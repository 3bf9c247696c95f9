"""Augmentation: what moves moves together, what is off stays off, chance repeats."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from unetplus_edge.datasets import Augmentation, augment

if TYPE_CHECKING:
    from numpy.typing import NDArray

_OFF: dict[str, Any] = {"geometry": False, "zoom": 1, "rotation": 0, "blur": 0, "contrast": 0, "brightness": 0}
_EVERYTHING = Augmentation(rotation=1, blur=1, contrast=1, brightness=1, zoom=2)
_SEEDS = st.integers(0, 10_000)


def _scene(shape: tuple[int, int] = (60, 90)) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """An image that equals its labels: rectangles, each as bright as its id, none alike under a turn."""
    labels = np.zeros(shape, np.int32)
    labels[4:16, 6:30], labels[30:52, 10:22], labels[20:34, 40:80] = 80, 160, 240
    return labels.astype(np.uint8), labels


def _only(**chosen: Any) -> Augmentation:
    return Augmentation(**{**_OFF, **chosen})


@settings(deadline=None)
@given(seed=_SEEDS)
def test_with_everything_off_nothing_changes(seed: int) -> None:
    image, labels = _scene()
    changed, moved = augment(image, labels, _only(), np.random.default_rng(seed))
    np.testing.assert_array_equal(changed, image)
    np.testing.assert_array_equal(moved, labels)


@settings(deadline=None)
@given(seed=_SEEDS)
def test_quarter_turns_and_mirrors_move_image_and_labels_alike(seed: int) -> None:
    image, labels = _scene()
    changed, moved = augment(image, labels, _only(geometry=True), np.random.default_rng(seed))
    np.testing.assert_array_equal(changed, moved)
    turned = [np.rot90(side, quarters) for side in (labels, labels[:, ::-1]) for quarters in range(4)]
    assert any(np.array_equal(moved, one) for one in turned)


def test_all_eight_turns_happen() -> None:
    image, labels = _scene()
    rng = np.random.default_rng(0)
    found = {augment(image, labels, _only(geometry=True), rng)[1].tobytes() for _ in range(200)}
    assert len(found) == 8


@settings(deadline=None)
@given(seed=_SEEDS, zoom=st.floats(1, 2))
def test_a_rotation_moves_image_and_labels_alike(seed: int, zoom: float) -> None:
    image, labels = _scene()
    strengths = _only(geometry=True, rotation=1, zoom=zoom)
    changed, moved = augment(image, labels, strengths, np.random.default_rng(seed))
    assert changed.shape == moved.shape
    # The image is interpolated and the labels are not: away from outlines, and from the frame's
    # edges where an outline may lie just beyond, they are the same.
    kernel = np.ones((5, 5), np.uint8)
    ids = moved.astype(np.float32)
    inside = cv2.erode(ids, kernel) == cv2.dilate(ids, kernel)
    inside[:3], inside[-3:], inside[:, :3], inside[:, -3:] = False, False, False, False
    assert inside.mean() > 0.3
    np.testing.assert_array_equal(changed[inside], moved[inside])


@settings(deadline=None)
@given(seed=_SEEDS)
def test_no_id_is_invented(seed: int) -> None:
    image, labels = _scene()
    ids = np.array([0, 70_001, 1, 16_777_216])[labels // 80].astype(np.int32)
    _, moved = augment(image, ids, _EVERYTHING, np.random.default_rng(seed))
    assert moved.dtype == np.int32
    assert set(np.unique(moved)) <= set(np.unique(ids))


def test_zoom_is_within_its_limits_and_goes_both_ways() -> None:
    image, labels = _scene((200, 200))
    labels[:] = 0
    labels[90:110, 90:110] = 1
    rng = np.random.default_rng(0)
    strengths = _only(geometry=True, rotation=1, zoom=1.5)
    sides = np.array([np.sqrt((augment(image, labels, strengths, rng)[1] == 1).sum()) / 20 for _ in range(100)])
    assert 1 / 1.6 < sides.min() < 0.8
    assert 1.25 < sides.max() < 1.6


@pytest.mark.parametrize("kind", ["blur", "contrast", "brightness"])
def test_changes_of_intensity_leave_the_labels_alone(kind: str) -> None:
    image, labels = _scene()
    changed, moved = augment(image, labels, _only(**{kind: 1}), np.random.default_rng(0))
    np.testing.assert_array_equal(moved, labels)
    assert (changed != image).any()
    assert changed.shape == image.shape
    assert changed.dtype == np.uint8


@pytest.mark.parametrize(
    ("kind", "name"),
    [("geometry", "geometry"), ("rotation", "rotation"), ("blur", "blur"), ("contrast", "contrast"),
     ("brightness", "brightness")],
)  # fmt: skip
def test_each_kind_can_be_switched_off_alone(kind: str, name: str) -> None:
    image, labels = _scene()
    without = _EVERYTHING.model_copy(update={name: _OFF[name]})
    outcomes = [augment(image, labels, without, np.random.default_rng(seed)) for seed in range(20)]
    if kind == "geometry":
        assert all(np.array_equal(moved, labels) for _, moved in outcomes)
    elif kind == "rotation":
        assert all((moved > 0).sum() == (labels > 0).sum() for _, moved in outcomes)
    else:
        # What is left still changes the image.
        assert all((changed != moved).any() for changed, moved in outcomes)


@settings(deadline=None)
@given(
    seed=_SEEDS,
    low=st.integers(0, 255),
    high=st.integers(0, 255),
    contrast=st.floats(0, 1),
    brightness=st.floats(0, 1),
)
def test_intensities_stay_in_range_and_move_no_further_than_allowed(
    seed: int, low: int, high: int, contrast: float, brightness: float
) -> None:
    image = np.array([[low, high]], np.uint8)
    strengths = _only(contrast=contrast, brightness=brightness)
    changed, _ = augment(image, np.zeros((1, 2), np.int32), strengths, np.random.default_rng(seed))
    shift = abs(high - low) * brightness
    for level, value in zip((low, high), changed.ravel().tolist(), strict=True):
        lowest, highest = level * (1 - contrast) - shift, level * (1 + contrast) + shift
        assert max(lowest, 0) - 0.5 <= value <= min(highest, 255) + 0.5


def test_a_saturated_image_does_not_wrap_around() -> None:
    image = np.full((5, 5), 255, np.uint8)
    image[0, 0] = 0
    values = [
        augment(image, np.zeros((5, 5), np.int32), _only(brightness=1), np.random.default_rng(seed))[0].max()
        for seed in range(50)
    ]
    assert values.count(255) > 15


@pytest.mark.parametrize("seed", range(20))
def test_a_dark_image_keeps_its_nuclei(seed: int) -> None:
    image = np.full((20, 20), 3, np.uint8)
    image[5:10, 5:10] = 12
    changed, _ = augment(image, np.zeros((20, 20), np.int32), _only(brightness=0.1), np.random.default_rng(seed))
    assert int(changed[7, 7]) - int(changed[0, 0]) >= 8


@settings(deadline=None, max_examples=30)
@given(seed=_SEEDS)
def test_the_same_chance_gives_the_same_outcome(seed: int) -> None:
    image, labels = _scene()
    one, other = (augment(image, labels, _EVERYTHING, np.random.default_rng(seed)) for _ in range(2))
    np.testing.assert_array_equal(one[0], other[0])
    np.testing.assert_array_equal(one[1], other[1])


def test_another_chance_gives_another_outcome() -> None:
    image, labels = _scene()
    assert (
        len({augment(image, labels, Augmentation(), np.random.default_rng(seed))[0].tobytes() for seed in range(20)})
        > 15
    )


@settings(deadline=None)
@given(seed=_SEEDS, height=st.integers(1, 20), width=st.integers(1, 20))
def test_any_size_is_augmented_and_the_input_left_alone(seed: int, height: int, width: int) -> None:
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (height, width)).astype(np.uint8)
    labels = rng.integers(0, 5, (height, width)).astype(np.int32)
    before = image.copy(), labels.copy()
    changed, moved = augment(image, labels, _EVERYTHING, rng)
    assert changed.shape == moved.shape
    assert sorted(changed.shape) == sorted((height, width))
    np.testing.assert_array_equal(image, before[0])
    np.testing.assert_array_equal(labels, before[1])


@pytest.mark.parametrize(
    "wrong",
    [
        {"zoom": 0.9},
        {"zoom": 5},
        {"rotation": 1.1},
        {"blur": -0.1},
        {"contrast": 2},
        {"brightness": float("nan")},
        {"hue": 1},
    ],
    ids=str,
)
def test_impossible_strengths_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        Augmentation.model_validate(wrong)
