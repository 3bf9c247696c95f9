"""What a network costs, by arithmetic alone: no framework is needed to say it on an edge box."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from unetplus_edge.architecture_layers import architecture_layers

if TYPE_CHECKING:
    from unetplus_edge.architectures import Architecture


@dataclass(frozen=True)
class ArchitectureCost:
    """Size of a network and of one forward pass.

    Attributes
    ----------
    weights
        Kernels, biases and the four values a channel of batch norm.
    macs
        Multiply-accumulate operations of the convolutions, plain and transposed, for one patch.
    """

    weights: int
    macs: int


def architecture_cost(architecture: Architecture, side: int = 256) -> ArchitectureCost:
    """Return what a network costs.

    Parameters
    ----------
    architecture
        The network.
    side
        Side of a patch in pixels.

    Raises
    ------
    InputError
        If the side is no multiple of 2**(depth - 1).

    Examples
    --------
    >>> from unetplus_edge.architectures import UNetPlus
    >>> architecture_cost(UNetPlus(base_filters=16)).weights
    1927025
    """
    layers = architecture_layers(architecture, side)
    return ArchitectureCost(
        weights=sum(layer.weights + layer.norm for layer in layers), macs=sum(layer.macs for layer in layers)
    )
