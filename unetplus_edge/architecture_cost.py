"""What a network costs, by arithmetic alone: no framework is needed to say it on an edge box."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from unetplus_edge.architectures import UNet, UNetPlus, UNetPlusPlus

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

    Examples
    --------
    >>> architecture_cost(UNetPlus(base_filters=16)).weights
    1927025
    """
    if isinstance(architecture, UNet):
        return _unet(architecture, side)
    if isinstance(architecture, UNetPlus):
        return _unet_plus(architecture, side)
    return _unet_plus_plus(architecture, side)


class _Tally:
    """Adds up layers, of which each is told by its channels, its kernel and where it computes."""

    def __init__(self, architecture: Architecture, side: int) -> None:
        self._weights = self._macs = 0
        self._filters, self._side = architecture.filters, side

    def convolution(self, level: int, channels: int, *, kernel: int = 3, filters: int = 0, norm: bool = True) -> int:
        """Count a convolution whose output is on a level; return its channels, the level's own where none are told."""
        filters = filters or self._filters(level)
        self._add(level, kernel, channels, filters, norm=norm)
        return filters

    def convolutions(self, level: int, channels: int, *, norm: bool = True) -> int:
        """Count two convolutions in a row; return their channels."""
        return self.convolution(level, self.convolution(level, channels, norm=norm), norm=norm)

    def transposed(self, level: int, channels: int, *, kernel: int, norm: bool) -> int:
        """Count a transposed convolution up to a level; return its channels."""
        # It computes where its input lies, one level below.
        self._add(level + 1, kernel, channels, self._filters(level), norm=norm)
        return self._filters(level)

    def cost(self, channels: int) -> ArchitectureCost:
        """Count the 1x1 convolution to probability, and return everything."""
        self.convolution(1, channels, kernel=1, filters=1, norm=False)
        return ArchitectureCost(self._weights, self._macs)

    def _add(self, level: int, kernel: int, channels: int, filters: int, *, norm: bool) -> None:
        products = kernel * kernel * channels * filters
        self._weights += products + filters + (4 * filters if norm else 0)
        self._macs += products * int(self._side // 2 ** (level - 1)) ** 2


def _unet(architecture: UNet, side: int) -> ArchitectureCost:
    tally, depth = _Tally(architecture, side), architecture.depth
    channels = 1
    for level in range(1, depth + 1):
        channels = tally.convolutions(level, channels)
    for level in range(depth - 1, 0, -1):
        raised = tally.transposed(level, channels, kernel=2, norm=False)
        channels = tally.convolutions(level, raised + architecture.filters(level))
    return tally.cost(channels)


def _unet_plus(architecture: UNetPlus, side: int) -> ArchitectureCost:
    tally, depth, filters = _Tally(architecture, side), architecture.depth, architecture.filters
    c = {(1, 0): tally.convolution(1, 1)}
    d: dict[tuple[int, int], int] = {}
    for j in range(1, depth):
        for i in range(1, depth - j + 1):
            read = c.get((i, j - 1), 0) + d.get((i - 1, j), 0)
            c[i, j] = tally.convolution(i, read)
            d[i, j] = tally.convolution(i + 1, read)
    channels = d[depth - 1, 1]
    for k in range(depth - 1, 0, -1):
        if architecture.upsampling == "transposed":
            channels = tally.transposed(k, channels, kernel=3, norm=True)
        channels = tally.convolutions(k, channels)
        if k > 1:
            channels += c[k, depth - k] + d[k - 1, depth - k + 1]
    return tally.cost(channels + filters(1))


def _unet_plus_plus(architecture: UNetPlusPlus, side: int) -> ArchitectureCost:
    tally, depth = _Tally(architecture, side), architecture.depth
    norm = architecture.variant == "controlled"
    channels = 1
    for level in range(1, depth + 1):
        channels = tally.convolutions(level, channels, norm=norm)
    for j in range(1, depth):
        for i in range(1, depth - j + 1):
            raised = tally.transposed(i, architecture.filters(i + 1), kernel=2, norm=False)
            tally.convolutions(i, raised + j * architecture.filters(i), norm=norm)
    return tally.cost(architecture.filters(1))
