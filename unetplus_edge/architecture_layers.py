"""The layers of a network and what each of them computes, by arithmetic alone: no framework is imported."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from unetplus_edge.architectures import UNet, UNetPlus, UNetPlusPlus
from unetplus_edge.errors import InputError

if TYPE_CHECKING:
    from unetplus_edge.architectures import Architecture

    Kind = Literal["convolution", "transposed convolution", "max-pool", "nearest up-sampling"]


@dataclass(frozen=True)
class LayerCost:
    """A layer of one patch, with the batch norm and the activation behind it, which are computed in passing.

    Attributes
    ----------
    name
        Of the layer in the Keras model and in the ONNX file, such as "c1_0_conv".
    kind
        What it is.
    macs
        Multiply-accumulate operations.
    inputs, outputs
        Number of values that it reads and writes. What is concatenated is read where it lies.
    weights
        Number of values of its kernel and bias.
    norm
        Number of values of the batch norm behind it, which conversions fold into kernel and bias.
    """

    name: str
    kind: Kind
    macs: int
    inputs: int
    outputs: int
    weights: int
    norm: int = 0


def architecture_layers(architecture: Architecture, side: int = 256) -> tuple[LayerCost, ...]:
    """Return the layers of a network in the order of computing, less those that compute nothing of their own.

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
    >>> [layer.name for layer in architecture_layers(UNetPlus(base_filters=8))][:3]
    ['c1_0_conv', 'c1_1_conv', 'd1_1_conv']
    """
    multiple = architecture.side_multiple
    if side < multiple or side % multiple:
        raise InputError(
            f"a network of depth {architecture.depth} needs sides that are multiples of {multiple}, and {side} is "
            "not: choose another side"
        )
    norm = not isinstance(architecture, UNetPlusPlus) or architecture.variant == "controlled"
    grid = _Grid(side, norm=norm)
    if isinstance(architecture, UNet):
        _unet(grid, architecture)
    elif isinstance(architecture, UNetPlus):
        _unet_plus(grid, architecture)
    else:
        _unet_plus_plus(grid, architecture)
    return tuple(grid.layers)


class _Grid:
    """Layers that are added one by one, each by its level: the side of what it reads, halved from 1 on.

    Parameters
    ----------
    side
        Of a patch in pixels.
    norm
        Whether batch norm is behind a convolution.
    """

    def __init__(self, side: int, *, norm: bool = True) -> None:
        self._side, self._norm = side, norm
        self.layers: list[LayerCost] = []

    def _pixels(self, level: int) -> int:
        return int(self._side // 2 ** (level - 1)) ** 2

    def convolution(
        self, name: str, level: int, channels: int, filters: int, *, kernel: int = 3, stride: int = 1
    ) -> int:
        read, written = self._pixels(level), self._pixels(level) // stride**2
        taps = kernel**2 * channels * filters
        norm = 4 * filters if self._norm and kernel > 1 else 0
        self._add(name, "convolution", written * taps, read * channels, written * filters, taps + filters, norm)
        return filters

    def transposed(self, name: str, level: int, channels: int, filters: int, *, kernel: int, norm: bool = False) -> int:
        read, written = self._pixels(level), self._pixels(level) * 4
        taps, values = kernel**2 * channels * filters, 4 * filters if norm else 0
        self._add(
            name, "transposed convolution", read * taps, read * channels, written * filters, taps + filters, values
        )
        return filters

    def pool(self, name: str, level: int, channels: int) -> int:
        pixels = self._pixels(level)
        self._add(name, "max-pool", 0, pixels * channels, pixels // 4 * channels, 0)
        return channels

    def nearest(self, name: str, level: int, channels: int) -> int:
        pixels = self._pixels(level)
        self._add(name, "nearest up-sampling", 0, pixels * channels, pixels * 4 * channels, 0)
        return channels

    def two(self, name: str, level: int, channels: int, filters: int) -> int:
        self.convolution(f"{name}_a_conv", level, channels, filters)
        return self.convolution(f"{name}_b_conv", level, filters, filters)

    def probability(self, channels: int) -> None:
        self.convolution("probability", 1, channels, 1, kernel=1)

    def _add(self, name: str, kind: Kind, macs: int, inputs: int, outputs: int, weights: int, norm: int = 0) -> None:
        self.layers.append(LayerCost(name, kind, macs, inputs, outputs, weights, norm))


def _unet(grid: _Grid, architecture: UNet) -> None:
    filters, depth = architecture.filters, architecture.depth
    channels = 1
    for level in range(1, depth):
        channels = grid.two(f"down{level}", level, channels, filters(level))
        channels = grid.pool(f"down{level}_pool", level, channels)
    channels = grid.two("bottom", depth, channels, filters(depth))
    for level in range(depth - 1, 0, -1):
        lifted = grid.transposed(f"up{level}_transposed", level + 1, channels, filters(level), kernel=2)
        channels = grid.two(f"up{level}", level, lifted + filters(level), filters(level))
    grid.probability(channels)


def _unet_plus(grid: _Grid, architecture: UNetPlus) -> None:
    filters, depth = architecture.filters, architecture.depth
    grid.convolution("c1_0_conv", 1, 1, filters(1))
    for j in range(1, depth):
        for i in range(1, depth - j + 1):
            # C to the left of it on its level, which level 1 alone has in column 1, and D above it in its column.
            sources = int(j > 1 or i == 1) + int(i > 1)
            grid.convolution(f"c{i}_{j}_conv", i, sources * filters(i), filters(i))
            grid.convolution(f"d{i}_{j}_conv", i, sources * filters(i), filters(i + 1), stride=2)
    channels = filters(depth)
    for k in range(depth - 1, 0, -1):
        if architecture.upsampling == "transposed":
            channels = grid.transposed(f"u{k}_transposed", k + 1, channels, filters(k), kernel=3, norm=True)
        else:
            channels = grid.nearest(f"u{k}_nearest", k + 1, channels)
        channels = grid.two(f"u{k}", k, channels, filters(k))
        if k > 1:
            channels += 2 * filters(k)
    grid.probability(channels + filters(1))


def _unet_plus_plus(grid: _Grid, architecture: UNetPlusPlus) -> None:
    filters, depth = architecture.filters, architecture.depth
    for i in range(1, depth + 1):
        channels = 1 if i == 1 else grid.pool(f"x{i}_0_pool", i - 1, filters(i - 1))
        grid.two(f"x{i}_0", i, channels, filters(i))
    for j in range(1, depth):
        for i in range(1, depth - j + 1):
            lifted = grid.transposed(f"x{i}_{j}_transposed", i + 1, filters(i + 1), filters(i), kernel=2)
            grid.two(f"x{i}_{j}", i, lifted + j * filters(i), filters(i))
    grid.probability(filters(1))
