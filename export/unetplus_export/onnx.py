"""ONNX: the format of onnxruntime, and what TensorRT builds its engines of."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING

from unetplus_edge.errors import ConversionError
from unetplus_export.conversion import Converted
from unetplus_export.onnx_fp16 import SCALED_IR_VERSION, SCALED_OPSET, cast_to_half
from unetplus_export.onnx_graph import (
    IR_VERSION,
    OPSET,
    name_batch,
    operator_counts,
    require_known_operators,
    write_model,
)
from unetplus_export.onnx_int8 import quantised
from unetplus_export.onnx_network import network_graph

if TYPE_CHECKING:
    from pathlib import Path

    from unetplus_export.conversion import Request


def convert_onnx(request: Request, destination: Path) -> Converted:
    """Write a bundle's Keras model as ONNX.

    Input and output are float32, bear the bundle's names and have rows and columns first; inside,
    channels are first, and two reshapes, which move nothing, are between: with one channel the two
    are the same. No operator computes a shape.

    fp32 and fp16 are in opset 17 and IR 8, and so is int8, whose float part is float32. With a
    float16 remainder int8 needs opset 19 and IR 9, the first that quantise float16.

    Parameters
    ----------
    request
        What to convert. `integer_ends` is for TFLite only.
    destination
        The file to write.

    Raises
    ------
    ConversionError
        If the network has what ONNX, or every runtime of it, has not, its weights do not fit the
        precision, or int8 cannot be had as asked.
    """
    if request.integer_ends:
        raise ConversionError(
            "integer input and output are made for TFLite only; leave the option out, or take --target tflite"
        )
    if request.precision not in ("fp32", "fp16", "int8"):
        raise ConversionError(f"ONNX files are written in fp32, fp16 or int8, not in {request.precision}")
    tools = {name: version(name) for name in ("keras", "tensorflow", "tf2onnx", "onnx")}
    model = network_graph(request)
    require_known_operators(model, request.bundle.manifest.name)
    opset, ir_version = OPSET, IR_VERSION
    left_out: tuple[str, ...] = ()
    if request.precision == "int8":
        model, left_out = quantised(model, request)
        tools["onnxruntime"] = version("onnxruntime")
    if request.precision == "fp16":
        left_out = tuple(request.keep)
        cast_to_half(model, left_out)
    if request.precision == "int8" and request.remainder == "fp16":
        cast_to_half(model)
        opset, ir_version = SCALED_OPSET, SCALED_IR_VERSION
    name_batch(model, request.batch)
    write_model(model, request, destination, opset, ir_version)
    return Converted(tools=tools, operators=operator_counts(model), higher_precision=left_out)
