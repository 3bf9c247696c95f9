"""A TensorFlow SavedModel of a bundle's Keras model: what TensorFlow's and OpenVINO's converters read."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from unetplus_edge.errors import ConversionError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from unetplus_export.conversion import Request

SIGNATURE = "serving_default"
"""Name of the one function in it: from the bundle's input name to its output name."""

LAYER_PREFIX = "layer_"
"""In front of the names of layers, where their outputs are outputs of the function too."""


@contextmanager
def saved_model(request: Request, *, every_layer: bool = False) -> Iterator[Path]:
    """Give the folder of a SavedModel, which is removed when the block ends.

    Parameters
    ----------
    request
        Whose model it is. Its function takes and returns float32 of shape (batch, side, side, 1),
        for any number of patches where `request.batch` is None.
    every_layer
        Whether it returns, beside the answer, what comes out of every convolution (and of the
        batch norm behind it, if there is one) as `layer_NAME`, NAME being the convolution's in Keras.

    Raises
    ------
    ConversionError
        If Keras does not run on TensorFlow, or the network cannot be built for that side.
    """
    model = _resizing(keras_model(request))
    import keras
    import tensorflow as tf

    manifest = request.bundle.manifest
    outputs = {manifest.output.name: model.output}
    if every_layer:
        outputs |= {f"{LAYER_PREFIX}{name}": output for name, output in _convolved(model).items()}
    answering = keras.Model(model.input, outputs)
    side = request.patch_side
    patches = tf.TensorSpec((request.batch, side, side, 1), tf.float32, name=manifest.input.name)
    # Keras' own archive, since variables of the model that TensorFlow does not track stay variables in
    # what is converted, which leaves them uninitialised there.
    archive = keras.export.ExportArchive()
    archive.track(answering)
    archive.add_endpoint(SIGNATURE, lambda image: answering(image, training=False), input_signature=[patches])
    with TemporaryDirectory() as folder:
        archive.write_out(folder, verbose=False)
        yield Path(folder)


def keras_model(request: Request) -> Any:
    """Return the bundle's Keras model for patches of the side asked for, on TensorFlow.

    Raises
    ------
    ConversionError
        If Keras does not run on TensorFlow, or the network cannot be built for that side.
    """
    import keras

    if keras.backend.backend() != "tensorflow":
        raise ConversionError(
            f"conversions are made with TensorFlow, and Keras runs on {keras.backend.backend()} here; "
            "run again with KERAS_BACKEND=tensorflow"
        )
    model = keras.models.load_model(request.bundle.keras_path, compile=False)
    side = request.patch_side
    if model.input_shape == (None, side, side, 1):
        return model
    try:
        resized = keras.models.clone_model(model, input_tensors=keras.Input((side, side, 1)))
    except ValueError as error:
        raise ConversionError(
            f"{request.bundle.manifest.name} cannot be built for patches of {side} pixels; "
            "take a side that every level can halve, such as 256"
        ) from error
    resized.set_weights(model.get_weights())
    return resized


def _resizing(model: Any) -> Any:
    """Return the same network with nearest up-sampling as one operator instead of eight that tile and move axes."""
    import keras

    def clone(layer: Any) -> Any:
        if isinstance(layer, keras.layers.UpSampling2D) and layer.interpolation == "nearest":
            _, height, width, _ = layer.output.shape
            return keras.layers.Resizing(height, width, interpolation="nearest", name=layer.name)
        return layer.__class__.from_config(layer.get_config())

    if not any(isinstance(layer, keras.layers.UpSampling2D) for layer in model.layers):
        return model
    cloned = keras.models.clone_model(model, clone_function=clone)
    cloned.set_weights(model.get_weights())
    return cloned


def _convolved(model: Any) -> dict[str, Any]:
    import keras

    normalised = {
        id(layer.input): layer.output for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)
    }
    return {
        layer.name: normalised.get(id(layer.output), layer.output)
        for layer in model.layers
        if isinstance(layer, (keras.layers.Conv2D, keras.layers.Conv2DTranspose))
    }
