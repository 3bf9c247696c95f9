"""The convolution blocks that the networks are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keras import layers, regularizers

if TYPE_CHECKING:
    from keras import KerasTensor


class BatchNormBlocks:
    """Blocks with batch norm and ReLU, each one convolution long (Long 2020, "U-Net+").

    Parameters
    ----------
    l2
        Factor of the L2 penalty on the kernels.
    """

    def __init__(self, l2: float) -> None:
        self._l2 = l2

    def convolution(self, x: KerasTensor, filters: int, name: str, *, stride: int = 1) -> KerasTensor:
        """3x3 convolution, batch norm, ReLU; stride 2 halves both sides."""
        x = layers.Conv2D(
            filters,
            3,
            strides=stride,
            padding="same",
            kernel_regularizer=kernel_penalty(self._l2),
            name=f"{name}_conv",
        )(x)
        return self._normalised(x, name)

    def convolutions(self, x: KerasTensor, filters: int, name: str) -> KerasTensor:
        """Two convolution blocks in a row."""
        return self.convolution(self.convolution(x, filters, f"{name}_a"), filters, f"{name}_b")

    def transposed(self, x: KerasTensor, filters: int, name: str) -> KerasTensor:
        """3x3 transposed convolution that doubles both sides, batch norm, ReLU."""
        x = layers.Conv2DTranspose(
            filters,
            3,
            strides=2,
            padding="same",
            kernel_regularizer=kernel_penalty(self._l2),
            name=f"{name}_transposed",
        )(x)
        return self._normalised(x, f"{name}_transposed")

    @staticmethod
    def _normalised(x: KerasTensor, name: str) -> KerasTensor:
        x = layers.BatchNormalization(name=f"{name}_norm")(x)
        return layers.ReLU(name=f"{name}_relu")(x)


def kernel_penalty(l2: float) -> regularizers.Regularizer | None:
    """Return the L2 penalty of a kernel, or None where the factor is 0."""
    return regularizers.L2(l2) if l2 else None


def raised(x: KerasTensor, filters: int, l2: float, name: str) -> KerasTensor:
    """2x2 transposed convolution that doubles both sides; no batch norm, no activation."""
    return layers.Conv2DTranspose(
        filters, 2, strides=2, padding="same", kernel_regularizer=kernel_penalty(l2), name=f"{name}_transposed"
    )(x)


def joined(tensors: list[KerasTensor], name: str) -> KerasTensor:
    """Concatenation along the channels; a single tensor is passed through."""
    return tensors[0] if len(tensors) == 1 else layers.Concatenate(name=f"{name}_join")(tensors)


def probability(x: KerasTensor, l2: float) -> KerasTensor:
    """1x1 convolution and sigmoid: the probability of nucleus, one channel; in float32 whatever the policy."""
    return layers.Conv2D(
        1, 1, activation="sigmoid", kernel_regularizer=kernel_penalty(l2), dtype="float32", name="probability"
    )(x)
