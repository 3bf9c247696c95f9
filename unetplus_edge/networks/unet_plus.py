"""U-Net+: the light network of Long 2020, a triangular grid of down-sampling paths."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keras import layers

from unetplus_edge.networks.blocks import BatchNormBlocks, joined, probability

if TYPE_CHECKING:
    from keras import KerasTensor

    from unetplus_edge.architectures import UNetPlus


def unet_plus_output(image: KerasTensor, architecture: UNetPlus) -> KerasTensor:
    """Return the output of the grid of convolutions C(i,j) and down-samplings D(i,j), and of the path up.

    Level i and column j of the article's Fig. 5a. C and D of a node read the same input: what is
    left of it on its level and what comes down to it in its column. Up blocks concatenate first
    and raise afterwards. Layers are named after their nodes: `c2_1_conv`, `d1_3_conv`, `u4_...`.
    """
    blocks = BatchNormBlocks(architecture.l2)
    depth, filters = architecture.depth, architecture.filters
    c = {(1, 0): blocks.convolution(image, filters(1), "c1_0")}
    d: dict[tuple[int, int], KerasTensor] = {}
    for j in range(1, depth):
        for i in range(1, depth - j + 1):
            sources = [nodes[at] for nodes, at in ((c, (i, j - 1)), (d, (i - 1, j))) if at in nodes]
            x = joined(sources, f"x{i}_{j}")
            c[i, j] = blocks.convolution(x, filters(i), f"c{i}_{j}")
            d[i, j] = blocks.convolution(x, filters(i + 1), f"d{i}_{j}", stride=2)

    x = d[depth - 1, 1]
    for k in range(depth - 1, 0, -1):
        name = f"u{k}"
        if architecture.upsampling == "transposed":
            x = blocks.transposed(x, filters(k), name)
        else:
            x = layers.UpSampling2D(2, interpolation="nearest", name=f"{name}_nearest")(x)
        x = blocks.convolutions(x, filters(k), name)
        if k > 1:
            x = joined([x, c[k, depth - k], d[k - 1, depth - k + 1]], f"u{k - 1}")
    return probability(joined([x, c[1, depth - 1]], "output"), architecture.l2)
