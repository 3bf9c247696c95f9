"""U-Net: Ronneberger 2015, with batch norm, as the article's baseline."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keras import layers

from unetplus_edge.networks.blocks import BatchNormBlocks, joined, probability, raised

if TYPE_CHECKING:
    from keras import KerasTensor

    from unetplus_edge.architectures import UNet


def unet_output(image: KerasTensor, architecture: UNet) -> KerasTensor:
    """Two convolution blocks a level, max-pool down, 2x2 transposed convolution up."""
    blocks = BatchNormBlocks(architecture.l2)
    skips = []
    x = image
    for level in range(1, architecture.depth):
        x = blocks.convolutions(x, architecture.filters(level), f"down{level}")
        skips.append(x)
        x = layers.MaxPooling2D(2, name=f"down{level}_pool")(x)
    x = blocks.convolutions(x, architecture.filters(architecture.depth), "bottom")
    for level in range(architecture.depth - 1, 0, -1):
        filters = architecture.filters(level)
        x = raised(x, filters, architecture.l2, f"up{level}")
        x = joined([x, skips.pop()], f"up{level}")
        x = blocks.convolutions(x, filters, f"up{level}")
    return probability(x, architecture.l2)
