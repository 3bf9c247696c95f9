"""The comparison of a conversion with Keras, on answers that are known."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from unetplus_edge.bundle import Bundle
from unetplus_export.material import Material
from unetplus_export.verify import Limits, Verifier, limits_of, parity
from unetplus_runtime.engines import EngineInfo

SIDE = 32


class Known:
    """An engine that answers with the patch itself, changed in a known way."""

    def __init__(self, change=lambda patches: patches, engine="litert", stored="fp32", executed="fp32"):
        self.info = EngineInfo(engine, "library", "1.0", Path("none"), stored, executed, "cpu", 1, None, SIDE)
        self._change = change

    def infer(self, patches):
        return np.asarray(self._change(patches.copy()), np.float32)


@dataclass(frozen=True)
class Squares:
    """An image of two bright squares on black, of which the second may be dim, and their truth."""

    id: str = "squares"

    def labels(self):
        truth = np.zeros((SIDE, SIDE), np.int32)
        truth[4:14, 4:14] = 1
        truth[18:28, 18:28] = 2
        return truth

    def image(self):
        return np.where(self.labels() > 0, 255, 0).astype(np.uint8)


@pytest.fixture
def compared(manifest, tmp_path):
    """Compares two engines on the squares."""
    plain = manifest.recipe.preprocessing.model_copy(update={"tv_weight": 0.0})
    recipe = manifest.recipe.model_copy(update={"preprocessing": plain})
    bundle = Bundle(tmp_path, manifest.model_copy(update={"recipe": recipe}))
    patches = np.random.default_rng(2).uniform(0.1, 0.9, (2, SIDE, SIDE, 1)).astype(np.float32)

    def compare(engine, reference=None, max_drop=0.005):
        material = Material("real", patches, [Squares()])
        return Verifier(bundle, reference or Known(engine="keras"), material, max_drop).verify(engine)

    return compare


def without_the_second_square(patches):
    """Leaves the squares' second one out; other patches stay as they are."""
    whole = patches[:, 18:28, 18:28] > 0.95
    patches[:, 18:28, 18:28][whole] = 0
    return patches


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


def off_at_one_pixel(by):
    def change(patches):
        patches[-1, 3, 5] += by
        return patches

    return change


def test_answers_within_the_limit_are_verified(compared):
    record = compared(Known(off_at_one_pixel(0.9e-4)))
    assert (record.engine, record.library, record.executed_precision) == ("litert", "library 1.0", "fp32")
    assert (record.verified, record.reason, record.frames) == (True, None, "real")
    assert record.parity.max_difference == pytest.approx(0.9e-4, rel=1e-2)
    assert record.score_drop == {"average_iou": 0, "kaggle_score": 0, "dice": 0}


def test_one_pixel_past_the_limit_fails_the_conversion(compared):
    record = compared(Known(off_at_one_pixel(-2e-4)))
    assert not record.verified
    assert record.reason == "it differs from keras by 0.0002, more than 1e-04"
    assert record.parity.max_difference == pytest.approx(2e-4, rel=1e-2)


def test_fp16_may_differ_by_more_but_flips_few_pixels(compared):
    shift = 0.9 * 5e-3

    def shifted(patches):
        return patches + shift

    patches = np.random.default_rng(2).uniform(0.1, 0.9, (2, SIDE, SIDE, 1)).astype(np.float32)
    flipped = 1e6 * np.mean((patches <= 0.5) & (patches + np.float32(shift) > 0.5))
    assert flipped > 200
    record = compared(Known(shifted, stored="fp16"))
    assert record.reason == f"{flipped:.0f} pixels per million change sides of the threshold, more than 200"
    assert compared(Known(off_at_one_pixel(4e-3), stored="fp16")).verified
    assert not compared(Known(off_at_one_pixel(6e-3), stored="fp16")).verified


def test_int8_may_differ_as_long_as_the_scores_stay(compared):
    assert compared(Known(off_at_one_pixel(0.3), stored="int8", executed="int8")).verified


def test_a_lost_nucleus_fails_int8(compared):
    record = compared(Known(without_the_second_square, stored="int8", executed="int8"))
    assert not record.verified
    assert record.reason == "its average iou is 0.5000 below that of keras, more than 0.005"
    # One of two nuclei, at every threshold: 1 / (1 + 1).
    assert record.score_drop == {"average_iou": 0.5, "kaggle_score": 0.5, "dice": pytest.approx(1 / 3)}


def test_the_drop_that_is_allowed_is_the_callers(compared):
    assert compared(Known(without_the_second_square, stored="int8"), max_drop=0.5).verified


@pytest.mark.parametrize(
    ("stored", "executed", "limits"),
    [
        ("fp32", "fp32", Limits(max_difference=1e-4)),
        ("fp16", "fp32", Limits(max_difference=5e-3, flipped_per_million=200)),
        ("fp32", "fp16", Limits(max_difference=5e-3, flipped_per_million=200)),
        ("fp32", "tf32", Limits(max_difference=5e-3, flipped_per_million=200)),
        ("fp32", "bf16", Limits(max_drop=0.01)),
        ("int8", "fp32", Limits(max_drop=0.01)),
        ("int8", "int8", Limits(max_drop=0.01)),
    ],
)
def test_the_coarser_of_stored_and_executed_precision_sets_the_limits(stored, executed, limits):
    assert limits_of(stored, executed, 0.01) == limits


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_an_answer_that_is_no_number_fails_the_conversion(compared, wrong):
    def change(patches):
        patches[0, 0, :2] = wrong
        return patches

    record = compared(Known(change))
    assert not record.verified
    assert record.reason == f"litert answers 2 of {2 * SIDE * SIDE} pixels with NaN or infinity"
    assert record.parity is None
    assert record.score_drop is None


def test_a_model_that_answers_with_no_numbers_verifies_nothing(compared):
    broken = Known(lambda patches: np.full_like(patches, np.nan), "keras")
    record = compared(Known(), reference=broken)
    assert not record.verified
    assert record.reason == f"keras answers {2 * SIDE * SIDE} of {2 * SIDE * SIDE} pixels with NaN or infinity"
