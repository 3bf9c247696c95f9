"""A float32 ONNX graph as float16, typed throughout, with float32 at its ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from unetplus_edge.errors import ConversionError

if TYPE_CHECKING:
    import onnx

SCALED_OPSET, SCALED_IR_VERSION = 19, 9
"""The first in which quantisation takes float16; runtimes read it from onnxruntime 1.15 and TensorRT 10 on."""

_SCALES = {"QuantizeLinear", "DequantizeLinear"}


def cast_to_half(model: onnx.ModelProto) -> None:
    """Make every weight and every computation of a graph float16, sigmoid and last convolution included.

    Input and output stay float32: the first node casts, and the last one back, so that nothing
    between them needs a type that it is not told. That is what a strongly typed TensorRT network
    computes in float16 of itself. The one constant that stays float32 is what operators ask to be
    so: the factors of `Resize`, which are no weights.

    Where the graph quantises, scales become float16 too, and with them what `DequantizeLinear`
    gives. ONNX allows that from opset 19 on only; a graph without them stays in its opset.

    Parameters
    ----------
    model
        Float32, of the operators in `onnx_graph.OPERATORS`; changed in place.

    Raises
    ------
    ConversionError
        If a weight is past the largest float16.
    """
    from onnx import TensorProto, helper

    graph = model.graph
    factors = {name for node in graph.node if node.op_type == "Resize" for name in node.input[1:]}
    scales = {node.input[1] for node in graph.node if node.op_type in _SCALES}
    for tensor in graph.initializer:
        if tensor.data_type == TensorProto.FLOAT and tensor.name not in factors:
            _halve(tensor, scale=tensor.name in scales)
    first, last = graph.input[0].name, graph.output[0].name
    for node in graph.node:
        node.input[:] = [f"{first}.half" if name == first else name for name in node.input]
        node.output[:] = [f"{last}.half" if name == last else name for name in node.output]
    graph.node.insert(
        0, helper.make_node("Cast", [first], [f"{first}.half"], name=f"{first}_to_half", to=TensorProto.FLOAT16)
    )
    graph.node.append(helper.make_node("Cast", [f"{last}.half"], [last], name=f"{last}_to_float", to=TensorProto.FLOAT))


def _halve(tensor: onnx.TensorProto, *, scale: bool) -> None:
    from onnx import numpy_helper

    values = numpy_helper.to_array(tensor)
    if scale:
        # Below it float16 loses digits and ends at zero, by which nothing can be divided; what so fine a
        # scale tells apart is nothing beside the values of other channels.
        values = np.maximum(values, np.finfo(np.float16).smallest_normal)
    largest = np.abs(values).max(initial=0)
    if largest > np.finfo(np.float16).max:
        raise ConversionError(
            f"{tensor.name} reaches {largest:.3g}, which float16 does not hold; export it in fp32, or in int8 with an "
            "fp32 remainder"
        )
    tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), tensor.name))
