"""The fast kernels against Keras' own: the same outputs, gradients and kept statistics."""

from __future__ import annotations

import numpy as np
import pytest

keras = pytest.importorskip("keras", reason="needs the train extra")
tf = pytest.importorskip("tensorflow", reason="needs the train extra")
from unetplus_edge.training.tensorflow_kernels import use_fast_kernels  # noqa: E402

CHANNELS = [1, 8, 12, 16, 40]


def norm(channels, *, fast, policy="float32"):
    image = keras.Input((9, 7, channels))
    layer = keras.layers.BatchNormalization(dtype=policy)
    model = keras.Model(image, layer(image))
    rng = np.random.default_rng(channels)
    layer.set_weights([rng.uniform(0.5, 2, channels).astype(np.float32) for _ in range(4)])
    if fast:
        use_fast_kernels(model)
    return model


def inputs(channels):
    rng = np.random.default_rng(0)
    return (rng.normal(3, 2, (4, 9, 7, channels)) * rng.uniform(0.1, 9, channels)).astype(np.float32)


def step(model, x, *, training):
    """Output, and the gradients of a loss by the input and the weights."""
    image = tf.convert_to_tensor(x)
    weights = np.random.default_rng(1).normal(size=x.shape).astype(np.float32)
    with tf.GradientTape() as tape:
        tape.watch(image)
        output = model(image, training=training)
        loss = tf.reduce_sum(tf.cast(output, tf.float32) ** 2 * weights)
    by = [image, *(variable.value for variable in model.trainable_variables)]
    return output.numpy().astype(np.float32), [gradient.numpy() for gradient in tape.gradient(loss, by)]


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("channels", CHANNELS)
def test_batch_norm_is_that_of_keras(channels, training):
    one, other = norm(channels, fast=False), norm(channels, fast=True)
    x = inputs(channels)
    (expected, slopes), (output, gradients) = (step(model, x, training=training) for model in (one, other))
    np.testing.assert_allclose(output, expected, rtol=1e-4, atol=1e-4)
    for slope, gradient in zip(slopes, gradients, strict=True):
        np.testing.assert_allclose(gradient, slope, rtol=1e-3, atol=1e-4 * np.abs(slope).max())
    for kept, weight in zip(other.get_weights(), one.get_weights(), strict=True):
        np.testing.assert_allclose(kept, weight, rtol=1e-5)


@pytest.mark.parametrize("channels", CHANNELS)
def test_batch_norm_in_bfloat16_is_that_of_float32_as_near_as_bfloat16_tells_it(channels):
    one, other = norm(channels, fast=False), norm(channels, fast=True, policy="mixed_bfloat16")
    x = inputs(channels)
    expected, _ = step(one, x, training=True)
    output, _ = step(other, x, training=True)
    np.testing.assert_allclose(output, expected, atol=0.05)
    for kept, weight in zip(other.get_weights(), one.get_weights(), strict=True):
        assert kept.dtype == np.float32
        np.testing.assert_allclose(kept, weight, rtol=5e-3, atol=1e-3)


def test_kept_statistics_move_in_training_only():
    model = norm(8, fast=True)
    before = model.get_weights()
    model(inputs(8), training=False)
    assert all(np.array_equal(*pair) for pair in zip(before, model.get_weights(), strict=True))
    model(inputs(8), training=True)
    assert [np.array_equal(*pair) for pair in zip(before, model.get_weights(), strict=True)] == [1, 1, 0, 0]


def test_batch_norm_that_is_frozen_keeps_its_statistics():
    model = norm(8, fast=True)
    model.layers[-1].trainable = False
    before = model.get_weights()
    model(inputs(8), training=True)
    assert all(np.array_equal(*pair) for pair in zip(before, model.get_weights(), strict=True))


def dropout(rate=0.5, policy="float32"):
    image = keras.Input((65, 33, 3))
    model = keras.Model(image, keras.layers.Dropout(rate, seed=7, dtype=policy)(image))
    use_fast_kernels(model)
    return model


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_dropout_keeps_half_and_doubles_it(policy):
    image = np.ones((4, 65, 33, 3), np.float32)
    output = dropout(policy=policy)(image, training=True).numpy().astype(np.float32)
    assert set(np.unique(output)) == {0, 2}
    # Five standard deviations of a fair coin.
    assert abs(output.mean() - 1) < 5 / np.sqrt(image.size)
    neighbours = np.corrcoef(output.ravel()[:-1], output.ravel()[1:])[0, 1]
    assert abs(neighbours) < 5 / np.sqrt(image.size)


def test_dropout_draws_anew_every_time_and_the_same_from_the_same_seed():
    image = np.ones((1, 65, 33, 3), np.float32)
    one, other = dropout(), dropout()
    first, second = (one(image, training=True).numpy() for _ in range(2))
    assert (first != second).any()
    assert np.array_equal(other(image, training=True).numpy(), first)


def test_dropout_passes_on_what_it_is_given_outside_training():
    image = inputs(3)[:, :, :, :3]
    padded = np.zeros((4, 65, 33, 3), np.float32)
    padded[:, :9, :7] = image
    assert np.array_equal(dropout()(padded, training=False).numpy(), padded)


def test_dropout_of_another_rate_is_left_to_keras():
    image = np.ones((4, 65, 33, 3), np.float32)
    assert abs((dropout(0.2)(image, training=True).numpy() > 0).mean() - 0.8) < 0.02


def test_a_saved_model_has_plain_layers(tmp_path):
    model = norm(8, fast=True)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert "call" not in vars(loaded.layers[-1])
    x = inputs(8)
    np.testing.assert_allclose(loaded(x, training=False), model(x, training=False), rtol=1e-4, atol=1e-4)
