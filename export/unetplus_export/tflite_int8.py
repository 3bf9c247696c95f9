"""TFLite in int8: TensorFlow's post-training quantisation, layers kept out of it, and what each layer costs."""

from __future__ import annotations

import hashlib
import warnings
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from unetplus_edge.errors import ConversionError
from unetplus_export.calibration import required_patches
from unetplus_export.layer_losses import some_of, worst_first
from unetplus_export.saved_model import keras_model, saved_model
from unetplus_export.tflite_file import CONVOLUTIONS, Operator, answers, layers_out_of_int8, operators
from unetplus_export.tflite_float import builtin_converter

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from unetplus_export.conversion import Request


class _Calibrated(NamedTuple):
    """A network with the range of every tensor: TensorFlow's tool that holds it, and its layers' names."""

    tool: Any
    layers: list[str]


_last: dict[tuple[object, ...], _Calibrated] = {}
"""What was calibrated last, by what it was made of: taking ranges lasts minutes, and a repair
converts with the same ones again and again."""


def quantised(request: Request) -> tuple[bytes, tuple[str, ...]]:
    """Return the content of a TFLite file in int8, and what in it is not computed in int8.

    Parameters
    ----------
    request
        With calibration patches, and a number of patches a call.

    Raises
    ------
    ConversionError
        If ranges are to be taken in another way than "min-max", what is left out of int8 is to be
        fp16, the calibration patches are none, a layer to be kept is not there or cannot be, or a
        convolution would be out of int8 that is not to be.
    """
    if request.method != "min-max":
        raise ConversionError(f"TFLite takes int8 ranges by min-max alone, not by {request.method}; ask for min-max")
    if request.remainder != "fp32":
        raise ConversionError(
            f"TFLite computes in fp32 what it leaves out of int8, not in {request.remainder}; ask for fp32"
        )
    calibrated = _calibrated(request)
    name = request.bundle.manifest.name
    kept, nodes = _kept(request, calibrated)
    content = _content(name, calibrated, nodes, integer_ends=request.integer_ends)
    found = operators(content, calibrated.layers)
    remaining = layers_out_of_int8(found)
    if stubborn := [layer for layer in kept if layer not in remaining]:
        raise ConversionError(f"TFLite cannot keep layer {stubborn[0]} of {name} out of int8; keep other layers")
    plain = [operator.layers[0] for operator in found if operator.weights not in (None, "INT8")]
    if unexpected := [layer for layer in plain if layer not in kept]:
        raise ConversionError(f"TFLite has no int8 for layer {unexpected[0]} of {name}; convert to another format")
    if not any(operator.weights == "INT8" for operator in found):
        raise _nothing_in_int8(name)
    return content, remaining


def layer_errors(request: Request, file: Path) -> list[tuple[str, float]]:
    """Return what the answer loses where one layer alone is in int8, for each layer that is, worst first.

    Parameters
    ----------
    request
        As `convert_tflite` had it.
    file
        What it wrote.

    Returns
    -------
    list of (str, float)
        Name of a convolution in the Keras model, and the power of the answer in float32 over the
        power of its error in dB, on 8 of the calibration patches. Transposed convolutions are not
        among them, since TensorFlow cannot keep one out of int8.
    """
    request = replace(request, batch=request.batch or 1)
    calibrated = _calibrated(request)
    name = request.bundle.manifest.name
    patches = some_of(required_patches(request))
    exact = calibrated.tool.calibrated_model
    found = operators(exact, calibrated.layers)

    def alone(layer: str) -> bytes:
        others = [
            operator.output
            for operator in found
            if layer not in operator.layers or _is_last_activation(request, operator)
        ]
        return _content(name, calibrated, others)

    rounded = dict.fromkeys(
        written.layers[0]
        for written in operators(file.read_bytes(), calibrated.layers)
        if written.weights == "INT8" and written.kind != "TRANSPOSE_CONV" and written.layers
    )
    return worst_first(lambda content: answers(content, patches), exact, ((layer, alone(layer)) for layer in rounded))


def _calibrated(request: Request) -> _Calibrated:
    import tensorflow as tf

    patches, batch = required_patches(request), request.batch or 1
    manifest = request.bundle.manifest
    ends = (manifest.input.name, manifest.output.name)
    key = (manifest.keras_sha256, ends, request.patch_side, batch, hashlib.sha256(patches.tobytes()).hexdigest())
    if key in _last:
        return _last[key]
    _last.clear()
    with saved_model(request) as folder, _undisturbed():
        converter = builtin_converter(folder)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: _batches(patches, batch)
        try:
            tool = tf.lite.experimental.QuantizationDebugger(
                converter=converter, debug_dataset=converter.representative_dataset
            )
        except ValueError as error:
            raise _nothing_in_int8(manifest.name) from error
    _last[key] = _Calibrated(tool, [layer.name for layer in keras_model(request).layers])
    return _last[key]


def _batches(patches: NDArray[np.float32], batch: int) -> Iterator[list[NDArray[np.float32]]]:
    # The last one is filled up from the front.
    for start in range(0, len(patches), batch):
        yield [np.take(patches, range(start, start + batch), axis=0, mode="wrap")]


def _content(name: str, calibrated: _Calibrated, nodes: list[str], *, integer_ends: bool = False) -> bytes:
    """Return a TFLite file in int8 but for the operators that write some tensors."""
    import tensorflow as tf

    with _undisturbed():
        try:
            calibrated.tool.options = tf.lite.experimental.QuantizationDebugOptions(
                denylisted_nodes=nodes, fully_quantize=integer_ends
            )
        except ValueError as error:
            raise _nothing_in_int8(name) from error
        content: bytes = calibrated.tool.get_nondebug_quantized_model()
    return content


def _nothing_in_int8(name: str) -> ConversionError:
    return ConversionError(
        f"{name} has no convolution that would be in int8; keep fewer layers out of it, or convert to fp32 or fp16"
    )


def _kept(request: Request, calibrated: _Calibrated) -> tuple[tuple[str, ...], list[str]]:
    """Return the layers to leave out of int8, and the tensors that are to be written in float32."""
    found = operators(calibrated.tool.calibrated_model, calibrated.layers)
    wanted = set(request.keep)
    unknown = sorted(wanted - {layer for operator in found for layer in operator.layers})
    if unknown:
        raise ConversionError(
            f"{request.bundle.manifest.name} has no layer {unknown[0]} that computes anything; "
            "keep layers by their names in the Keras model"
        )
    chosen = [operator for operator in found if wanted & set(operator.layers)]
    nodes = [operator.output for operator in found if operator in chosen or _is_last_activation(request, operator)]
    return tuple(dict.fromkeys(operator.layers[0] for operator in chosen)), nodes


def _is_last_activation(request: Request, operator: Operator) -> bool:
    return operator.ends and operator.kind not in CONVOLUTIONS and not request.integer_ends


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Keep TensorFlow from warning of what its own tool does."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"\s*Warning: tf\.lite\.Interpreter is deprecated", UserWarning)
        yield
