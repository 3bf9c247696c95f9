"""What a network costs: multiply-accumulate operations."""

from __future__ import annotations

from math import prod

import keras


def multiply_accumulates(model: keras.Model) -> int:
    """Return the multiply-accumulate operations of one forward pass of one patch.

    Counts the convolutions, plain and transposed; everything else is small beside them. A plain
    convolution does kernel-height * kernel-width * input-channels of them for each output value,
    a transposed one kernel-height * kernel-width * output-channels for each input value.
    """
    return sum(map(_layer_cost, model.layers))


def _layer_cost(layer: keras.layers.Layer) -> int:
    if isinstance(layer, keras.layers.Conv2DTranspose):
        return int(prod(layer.kernel.shape) * prod(layer.input.shape[1:3]))
    if isinstance(layer, keras.layers.Conv2D):
        return int(prod(layer.kernel.shape) * prod(layer.output.shape[1:3]))
    return 0
