"""Multiply-accumulate operations of a forward pass."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from unetplus_edge.architectures import architecture_from_name
from unetplus_edge.networks import build_network, multiply_accumulates


@pytest.mark.parametrize(
    ("name", "giga"),
    [
        ("unet_b16", 3.01),
        ("unet_b8", 0.76),
        ("unet_plus_plus_b16", 7.44),
        ("unet_plus_plus_b8", 1.86),
        ("unet_plus_tc_b16", 4.92),
        ("unet_plus_tc_b8", 1.23),
        ("unet_plus_us_b16", 6.58),
        ("unet_plus_us_b8", 1.65),
    ],
)
def test_the_cost_of_a_patch_is_that_of_the_design(name: str, giga: float) -> None:
    assert round(multiply_accumulates(build_network(architecture_from_name(name))) / 1e9, 2) == giga


def test_the_cost_grows_with_the_pixels() -> None:
    architecture = architecture_from_name("unet_plus_tc_b1")
    one, four = (multiply_accumulates(build_network(architecture, (side, side))) for side in (16, 32))
    assert four == 4 * one


@pytest.mark.parametrize(
    ("layer", "side", "expected"),
    [
        (keras.layers.Conv2D(5, 3, padding="same"), 8, 8 * 8 * 9 * 2 * 5),
        (keras.layers.Conv2D(5, 3, strides=2, padding="same"), 8, 4 * 4 * 9 * 2 * 5),
        (keras.layers.Conv2D(1, 1), 8, 8 * 8 * 2),
        (keras.layers.Conv2DTranspose(5, 3, strides=2, padding="same"), 8, 8 * 8 * 9 * 2 * 5),
        (keras.layers.Conv2DTranspose(5, 2, strides=2, padding="same"), 8, 8 * 8 * 4 * 2 * 5),
        (keras.layers.UpSampling2D(2), 8, 0),
    ],
)
def test_the_cost_of_a_layer_is_counted_by_hand(layer: keras.layers.Layer, side: int, expected: int) -> None:
    image = keras.Input((side, side, 2))
    assert multiply_accumulates(keras.Model(image, layer(image))) == expected


def test_every_product_of_a_small_convolution_is_counted() -> None:
    # Weights and pixels of 1: each output value is the number of products that it sums up.
    image = keras.Input((6, 6, 3))
    model = keras.Model(image, keras.layers.Conv2D(4, 3, use_bias=False, kernel_initializer="ones")(image))
    answer = np.asarray(model.predict_on_batch(np.ones((1, 6, 6, 3), np.float32)))
    assert multiply_accumulates(model) == int(answer.sum())
