"""The cost of a network by arithmetic, beside the Keras network itself."""

from __future__ import annotations

import pytest

from unetplus_edge.architecture_cost import architecture_cost
from unetplus_edge.architectures import UNet, UNetPlus, UNetPlusPlus

FAMILIES = {
    "unet": UNet(),
    "unet_plus_plus_published": UNetPlusPlus(),
    "unet_plus_plus_controlled": UNetPlusPlus(variant="controlled"),
    "unet_plus_transposed": UNetPlus(),
    "unet_plus_nearest": UNetPlus(upsampling="nearest"),
}


@pytest.mark.parametrize("depth", [3, 5])
@pytest.mark.parametrize("base_filters", [2, 8])
@pytest.mark.parametrize("family", FAMILIES)
def test_weights_and_operations_are_those_of_the_keras_network(family: str, base_filters: int, depth: int) -> None:
    from unetplus_edge.networks import build_network, multiply_accumulates

    architecture = FAMILIES[family].model_copy(update={"base_filters": base_filters, "depth": depth})
    model = build_network(architecture, (64, 64))
    cost = architecture_cost(architecture, 64)
    assert (cost.weights, cost.macs) == (model.count_params(), multiply_accumulates(model))


def test_operations_grow_with_the_patch_and_weights_do_not() -> None:
    small, large = (architecture_cost(UNetPlus(), side) for side in (128, 256))
    assert large.macs == 4 * small.macs
    assert large.weights == small.weights
