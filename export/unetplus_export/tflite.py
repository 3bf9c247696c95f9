"""TFLite: the format of LiteRT, for boards and phones."""

from __future__ import annotations

import re
from importlib.metadata import version
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from unetplus_edge.errors import ConversionError
from unetplus_edge.files import whole_file

if TYPE_CHECKING:
    from pathlib import Path

    from unetplus_edge.bundle import Bundle

_SIGNATURE = "serving_default"


def convert_tflite(bundle: Bundle, destination: Path) -> dict[str, str]:
    """Write a bundle's Keras model as a TFLite file in float32, one patch a call.

    Only operators that every TFLite interpreter has are allowed. The batch is fixed to one patch:
    with any other, a transposed convolution drags operators along that compute its shape. Input
    and output bear the bundle's names in the file's signature, the one place where TFLite keeps them.

    Parameters
    ----------
    bundle
        The bundle.
    destination
        The file to write.

    Returns
    -------
    dict
        Versions of what made it, by name.

    Raises
    ------
    ConversionError
        If Keras does not run on TensorFlow, or the network needs an operator that TFLite has not
        of its own.
    """
    import keras

    if keras.backend.backend() != "tensorflow":
        raise ConversionError(
            f"TFLite files are made by TensorFlow, and Keras runs on {keras.backend.backend()} here; "
            "run again with KERAS_BACKEND=tensorflow"
        )
    import tensorflow as tf
    from tensorflow.lite.python.convert_phase import ConverterError

    manifest = bundle.manifest
    model = keras.models.load_model(bundle.keras_path, compile=False)
    patch = tf.TensorSpec((1, *manifest.input.shape[1:]), tf.float32, name=manifest.input.name)
    # Keras' own archive, since variables of the model that TensorFlow does not track stay variables in
    # the file, which an interpreter leaves uninitialised.
    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint(
        _SIGNATURE, lambda image: {manifest.output.name: model(image, training=False)}, input_signature=[patch]
    )
    with TemporaryDirectory() as folder:
        archive.write_out(folder, verbose=False)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=[_SIGNATURE])
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        try:
            content = converter.convert()
        except ConverterError as error:
            foreign = re.search(r"^(?:Custom|Flex|TF Select) ops: (.+)$", str(error), re.MULTILINE)
            raise _not_of_its_own(manifest.name, foreign[1] if foreign else str(error).splitlines()[0]) from error
    with whole_file(destination) as unfinished:
        unfinished.write_bytes(content)
        foreign_operators = custom_operators(unfinished)
        if foreign_operators:
            raise _not_of_its_own(manifest.name, ", ".join(foreign_operators))
    return {"tensorflow": tf.__version__, "keras": keras.__version__, "numpy": version("numpy")}


def custom_operators(path: Path) -> list[str]:
    """Return the names of the operators in a TFLite file that interpreters do not have of their own, sorted.

    Those of TensorFlow begin with "Flex".
    """
    from ai_edge_litert import schema_py_generated as schema

    model = schema.Model.GetRootAs(path.read_bytes())
    names = (model.OperatorCodes(number).CustomCode() for number in range(model.OperatorCodesLength()))
    return sorted({name.decode() for name in names if name})


def _not_of_its_own(name: str, operators: str) -> ConversionError:
    return ConversionError(f"{name} needs {operators}, which TFLite has not of its own; build it of other layers")
