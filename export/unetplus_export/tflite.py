"""TFLite: the format of LiteRT, for boards and phones."""

from __future__ import annotations

import re
from dataclasses import replace
from importlib.metadata import version
from typing import TYPE_CHECKING

from unetplus_edge.errors import ConversionError
from unetplus_edge.files import whole_file
from unetplus_export.conversion import Converted
from unetplus_export.tflite_file import custom_operators, operator_counts
from unetplus_export.tflite_float import halved, plain
from unetplus_export.tflite_int8 import quantised

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from unetplus_edge.manifest import Precision
    from unetplus_export.conversion import Request


_WRITERS: dict[Precision, Callable[[Request], tuple[bytes, tuple[str, ...]]]] = {
    "fp32": lambda request: (plain(request), ()),
    "fp16": halved,
    "int8": quantised,
}


def convert_tflite(request: Request, destination: Path) -> Converted:
    """Write a bundle's Keras model as a TFLite file for a fixed number of patches a call, by default one.

    Only operators that every TFLite interpreter has are allowed. The batch is fixed because with
    any other, a transposed convolution drags operators along that compute its shape. Input and
    output bear the bundle's names in the file's signature, the one place where TFLite keeps them.

    fp16 stores weights as float16, which interpreters widen before use, but for the layers that
    are kept. int8 has one scale a
    channel for kernels and computes in 8 bits throughout, but for the layers that are kept and
    the last activation: probabilities would be rounded to multiples of 1/256. With integer ends
    they are, and nothing but those layers is float32.

    Parameters
    ----------
    request
        What to convert; int8 ranges by "min-max" alone.
    destination
        The file to write.

    Raises
    ------
    ConversionError
        If Keras does not run on TensorFlow, the network needs an operator that TFLite has not of
        its own, or int8 is asked for in a way that it has not, or cannot be had.
    """
    import keras
    import tensorflow as tf
    from tensorflow.lite.python.convert_phase import ConverterError

    if request.precision not in _WRITERS:
        raise ConversionError(f"TFLite has no {request.precision}; choose {', '.join(_WRITERS)}")
    request = replace(request, batch=request.batch or 1)
    try:
        content, kept = _WRITERS[request.precision](request)
    except ConverterError as error:
        foreign = re.search(r"^(?:Custom|Flex|TF Select) ops: (.+)$", str(error), re.MULTILINE)
        raise _not_of_its_own(request, foreign[1] if foreign else str(error).splitlines()[0]) from error
    if foreign_operators := custom_operators(content):
        raise _not_of_its_own(request, ", ".join(foreign_operators))
    with whole_file(destination) as unfinished:
        unfinished.write_bytes(content)
    return Converted(
        tools={"tensorflow": tf.__version__, "keras": keras.__version__, "numpy": version("numpy")},
        operators=operator_counts(content),
        higher_precision=kept,
    )


def _not_of_its_own(request: Request, operators: str) -> ConversionError:
    name = request.bundle.manifest.name
    return ConversionError(f"{name} needs {operators}, which TFLite has not of its own; build it of other layers")
