"""U-Net++: Zhou 2018, the nested grid, read out at its deepest path."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keras import layers

from unetplus_edge.networks.blocks import BatchNormBlocks, joined, kernel_penalty, probability, raised

if TYPE_CHECKING:
    from keras import KerasTensor

    from unetplus_edge.architectures import UNetPlusPlus

_DROPOUT = 0.5


class _PublishedBlocks:
    """Blocks of the published code: no batch norm, ELU, dropout, he_normal."""

    def __init__(self, l2: float) -> None:
        self._l2 = l2

    def convolutions(self, x: KerasTensor, filters: int, name: str) -> KerasTensor:
        """Two 3x3 convolutions, each with ELU and followed by dropout."""
        for part in "ab":
            x = layers.Conv2D(
                filters,
                3,
                padding="same",
                activation="elu",
                kernel_initializer="he_normal",
                kernel_regularizer=kernel_penalty(self._l2),
                name=f"{name}_{part}_conv",
            )(x)
            x = layers.Dropout(_DROPOUT, name=f"{name}_{part}_dropout")(x)
        return x


def unet_plus_plus_output(image: KerasTensor, architecture: UNetPlusPlus) -> KerasTensor:
    """Node X(i,j) reads every node left of it on level i and X(i+1,j-1), raised.

    Level i from 1, column j from 0, as in Zhou 2018, Fig. 1; layers are named `x1_4_a_conv`.
    """
    published = architecture.variant == "published"
    blocks = _PublishedBlocks(architecture.l2) if published else BatchNormBlocks(architecture.l2)
    depth, filters, l2 = architecture.depth, architecture.filters, architecture.l2
    x: dict[tuple[int, int], KerasTensor] = {}
    for i in range(1, depth + 1):
        above = image if i == 1 else layers.MaxPooling2D(2, name=f"x{i}_0_pool")(x[i - 1, 0])
        x[i, 0] = blocks.convolutions(above, filters(i), f"x{i}_0")
    for j in range(1, depth):
        for i in range(1, depth - j + 1):
            name = f"x{i}_{j}"
            lifted = raised(x[i + 1, j - 1], filters(i), l2, name)
            x[i, j] = blocks.convolutions(joined([lifted, *(x[i, k] for k in range(j))], name), filters(i), name)
    return probability(x[1, depth - 1], l2)
