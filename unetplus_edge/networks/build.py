"""From an architecture to a Keras model."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import keras

from unetplus_edge.architectures import Architecture, UNet, UNetPlus
from unetplus_edge.errors import InputError
from unetplus_edge.networks.unet import unet_output
from unetplus_edge.networks.unet_plus import unet_plus_output
from unetplus_edge.networks.unet_plus_plus import unet_plus_plus_output

if TYPE_CHECKING:
    from collections.abc import Iterator


def build_network(
    architecture: Architecture, shape: tuple[int, int] = (256, 256), precision: str = "float32"
) -> keras.Model:
    """Return an untrained Keras model of an architecture.

    Parameters
    ----------
    architecture
        One of `UNet`, `UNetPlus`, `UNetPlusPlus`.
    shape
        Height and width of the input, in pixels. Weights do not depend on it.
    precision
        Keras' dtype policy of the layers: "float32", or "mixed_bfloat16" to train in.

    Returns
    -------
    keras.Model
        Input `image`, float32 in [0, 1], shape (n, height, width, 1); output `probability` of
        nucleus, float32 in [0, 1], same shape.

    Raises
    ------
    InputError
        If a side is no multiple of 2**(depth - 1).
    """
    multiple = architecture.side_multiple
    if any(side < multiple or side % multiple for side in shape):
        raise InputError(
            f"a network of depth {architecture.depth} needs sides that are multiples of {multiple}; "
            f"{shape[0]} x {shape[1]} is not: choose another patch size or another depth"
        )
    image = keras.Input((*shape, 1), name="image", dtype="float32")
    with _dtype_policy(precision):
        if isinstance(architecture, UNet):
            output = unet_output(image, architecture)
        elif isinstance(architecture, UNetPlus):
            output = unet_plus_output(image, architecture)
        else:
            output = unet_plus_plus_output(image, architecture)
    return keras.Model(image, output, name=architecture.name)


@contextmanager
def _dtype_policy(name: str) -> Iterator[None]:
    previous = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(previous)
