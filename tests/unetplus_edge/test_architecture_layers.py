"""Layers of a network by arithmetic, beside those of the Keras network."""

from __future__ import annotations

from math import prod
from typing import Any

import pytest

from unetplus_edge.architecture_layers import architecture_layers
from unetplus_edge.architectures import Architecture, UNet, UNetPlus, UNetPlusPlus
from unetplus_edge.errors import InputError

ARCHITECTURES = [
    UNet(base_filters=3, depth=4),
    UNetPlus(base_filters=3, depth=5),
    UNetPlus(base_filters=2, depth=2),
    UNetPlus(base_filters=3, depth=5, upsampling="nearest"),
    UNetPlusPlus(base_filters=3, depth=4),
    UNetPlusPlus(base_filters=2, depth=3, variant="controlled"),
]


def of_keras(architecture: Architecture, side: int) -> dict[str, tuple[int, int, int, int]]:
    """Operations, values read, values written and weights of every layer that is counted, by its name."""
    import keras

    from unetplus_edge.networks import build_network

    def size(tensor: Any) -> int:
        tensors = tensor if isinstance(tensor, list) else [tensor]
        return sum(prod(one.shape[1:]) for one in tensors)

    found = {}
    for layer in build_network(architecture, (side, side)).layers:
        if isinstance(layer, (keras.layers.Conv2D, keras.layers.Conv2DTranspose)):
            widest = layer.input if isinstance(layer, keras.layers.Conv2DTranspose) else layer.output
            macs = prod(layer.kernel.shape) * prod(widest.shape[1:3])
            found[layer.name] = (macs, size(layer.input), size(layer.output), layer.count_params())
        elif isinstance(layer, (keras.layers.MaxPooling2D, keras.layers.UpSampling2D)):
            found[layer.name] = (0, size(layer.input), size(layer.output), 0)
    return found


@pytest.mark.parametrize("architecture", ARCHITECTURES, ids=lambda architecture: f"{architecture!r}")
def test_every_layer_costs_what_the_one_of_its_name_in_the_keras_model_does(architecture: Architecture) -> None:
    found = {
        layer.name: (layer.macs, layer.inputs, layer.outputs, layer.weights)
        for layer in architecture_layers(architecture, 64)
    }
    assert found == of_keras(architecture, 64)


def test_a_side_that_cannot_be_halved_often_enough_is_refused() -> None:
    with pytest.raises(InputError, match="multiples of 16"):
        architecture_layers(UNetPlus(), 40)
