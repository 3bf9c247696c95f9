"""What a network's layers compute and move, in each precision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from unetplus_edge.architecture_layers import architecture_layers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from unetplus_edge.architecture_layers import LayerCost
    from unetplus_edge.architectures import Architecture
    from unetplus_edge.manifest import Precision

BYTES: Mapping[Precision, int] = {"fp32": 4, "tf32": 4, "fp16": 2, "bf16": 2, "int8": 1}
"""Of one value in memory; tf32 is float32 there."""


def layer_traffic(layer: LayerCost, precision: Precision, batch: int = 1) -> float:
    """Return bytes a patch where nothing stays in a cache: input, output, and the weights once a batch."""
    return (layer.inputs + layer.outputs + layer.weights / batch) * BYTES[precision]


@dataclass(frozen=True)
class NetworkCost:
    """The layers of a network, for one patch.

    Attributes
    ----------
    name
        Of the network.
    side
        Of a patch in pixels.
    layers
        In the order of computing, less those that compute nothing of their own.
    """

    name: str
    side: int
    layers: tuple[LayerCost, ...]

    @property
    def macs(self) -> int:
        """Multiply-accumulate operations of one patch."""
        return sum(layer.macs for layer in self.layers)

    @property
    def weights(self) -> int:
        """Number of values of all kernels and biases, batch norm folded into them."""
        return sum(layer.weights for layer in self.layers)

    def traffic(self, precision: Precision, batch: int = 1) -> float:
        """Return bytes a patch where no layer's output stays in a cache; a batch reads the weights once."""
        return sum(layer_traffic(layer, precision, batch) for layer in self.layers)

    def least_traffic(self, precision: Precision, batch: int = 1) -> float:
        """Return bytes a patch where everything between the layers stays in a cache.

        What is left is the weights, once a batch, and a patch in and its probabilities out, which
        are float32 in every file.
        """
        return 2 * self.side**2 * BYTES["fp32"] + self.weights * BYTES[precision] / batch


def network_cost(architecture: Architecture, side: int = 256) -> NetworkCost:
    """Return the layers of a network.

    Parameters
    ----------
    architecture
        One of `UNet`, `UNetPlus`, `UNetPlusPlus`.
    side
        Of a patch in pixels.

    Raises
    ------
    InputError
        If the side is no multiple of 2**(depth - 1).

    Examples
    --------
    >>> from unetplus_edge.architectures import architecture_from_name
    >>> round(network_cost(architecture_from_name("unet_plus_tc_b8")).macs / 1e9, 2)
    1.23
    """
    return NetworkCost(architecture.name, side, architecture_layers(architecture, side))
