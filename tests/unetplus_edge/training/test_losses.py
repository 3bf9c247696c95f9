"""The loss, beside plain numpy."""

from __future__ import annotations

import numpy as np
import pytest

keras = pytest.importorskip("keras", reason="needs the train extra")
from unetplus_edge.training.losses import CrossEntropyLogDice  # noqa: E402
from unetplus_edge.training.patches import GAP  # noqa: E402


def plain_loss(truth, probability, bce_weight, smoothing):
    """One patch's loss, pixel by pixel."""
    entropy = shared = total = 0.0
    for t, p in zip(truth.ravel().tolist(), probability.ravel().tolist(), strict=True):
        entropy -= np.log(p) if t else np.log(1 - p)
        shared += t * p
        total += t + p
    dice = (2 * shared + smoothing) / (total + smoothing)
    return bce_weight * entropy / truth.size - np.log(dice)


@pytest.mark.parametrize(("bce_weight", "smoothing"), [(1.0, 1.0), (0.0, 1.0), (0.3, 5.0)])
def test_the_loss_of_each_patch_is_weighted_cross_entropy_minus_log_dice(bce_weight, smoothing):
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, (4, 8, 6, 1)).astype(np.uint8)
    probability = rng.uniform(0.01, 0.99, truth.shape).astype(np.float32)
    loss = CrossEntropyLogDice(bce_weight, smoothing)
    expected = [plain_loss(t, p, bce_weight, smoothing) for t, p in zip(truth, probability, strict=True)]
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(loss.call(keras.ops.convert_to_tensor(truth), probability)), expected, rtol=1e-5
    )
    assert float(loss(truth, probability)) == pytest.approx(np.mean(expected), rel=1e-5)


def test_pixels_of_the_gap_are_background_with_their_own_weight():
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 3, (3, 8, 6, 1)).astype(np.uint8)
    probability = rng.uniform(0.01, 0.99, truth.shape).astype(np.float32)
    background = np.where(truth == GAP, 0, truth)
    plain = [plain_loss(t, p, 1.0, 1.0) for t, p in zip(background, probability, strict=True)]
    entropy = -np.log(1 - probability) * (truth == GAP)
    expected = np.array(plain) + 6 * entropy.mean(axis=(1, 2, 3))
    assert float(CrossEntropyLogDice()(truth, probability)) == pytest.approx(np.mean(plain), rel=1e-5)
    assert float(CrossEntropyLogDice(gap_weight=7.0)(truth, probability)) == pytest.approx(expected.mean(), rel=1e-5)


def test_dice_is_taken_patch_by_patch():
    truth = np.zeros((2, 4, 4, 1), np.float32)
    truth[0] = 1
    probability = np.full(truth.shape, 0.5, np.float32)
    alone = [float(CrossEntropyLogDice(0.0)(truth[n : n + 1], probability[n : n + 1])) for n in (0, 1)]
    assert float(CrossEntropyLogDice(0.0)(truth, probability)) == pytest.approx(np.mean(alone), rel=1e-6)
    assert alone[0] == pytest.approx(-np.log(17 / 25), rel=1e-6)
    assert alone[1] == pytest.approx(-np.log(1 / 9), rel=1e-6)


def test_an_empty_patch_that_is_found_empty_costs_nothing():
    nothing = np.zeros((1, 16, 16, 1), np.float32)
    assert float(CrossEntropyLogDice()(nothing, nothing)) == pytest.approx(0, abs=1e-4)


def test_certain_and_wrong_is_a_finite_loss():
    truth = np.zeros((1, 8, 8, 1), np.float32)
    truth[:, :4] = 1
    assert np.isfinite(float(CrossEntropyLogDice()(truth, 1 - truth)))


def test_the_loss_is_made_again_from_its_config():
    loss = keras.losses.deserialize(keras.losses.serialize(CrossEntropyLogDice(0.5, 2.0, 3.0)))
    assert isinstance(loss, CrossEntropyLogDice)
    assert (loss.bce_weight, loss.smoothing, loss.gap_weight) == (0.5, 2.0, 3.0)
