"""Costs of layers, against the Keras models and by hand."""

from __future__ import annotations

from math import prod
from typing import Any

import pytest

from unetplus_bench.layer_costs import LayerCost, NetworkCost, network_cost
from unetplus_edge.architecture_cost import architecture_cost
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
        for layer in network_cost(architecture, 64).layers
    }
    assert found == of_keras(architecture, 64)


def test_bytes_are_those_of_every_value_read_and_written_in_the_precision() -> None:
    layer = LayerCost("c", "convolution", macs=1, inputs=10, outputs=20, weights=5)
    assert [layer.traffic(precision) for precision in ("fp32", "fp16", "int8")] == [140, 70, 35]


def test_a_batch_reads_the_weights_once() -> None:
    layers = (LayerCost("a", "convolution", 1, 10, 20, 100), LayerCost("b", "convolution", 1, 20, 30, 60))
    cost = NetworkCost("net", 4, layers)
    assert cost.traffic("fp16", batch=4) == (10 + 20 + 20 + 30) * 2 + (100 + 60) * 2 / 4


def test_the_least_that_is_moved_is_the_patch_its_answer_and_the_weights() -> None:
    cost = NetworkCost("net", 4, (LayerCost("a", "convolution", 1, 16, 16, 100),))
    assert cost.least_traffic("int8", batch=2) == 16 * 4 + 16 * 4 + 100 / 2


def test_a_side_that_cannot_be_halved_often_enough_is_refused() -> None:
    with pytest.raises(InputError, match="multiples of 16"):
        network_cost(UNetPlus(), 40)


def test_the_sum_of_the_layers_is_what_the_network_is_said_to_cost() -> None:
    for architecture in ARCHITECTURES:
        assert network_cost(architecture, 64).macs == architecture_cost(architecture, 64).macs
