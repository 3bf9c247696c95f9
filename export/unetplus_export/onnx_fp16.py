"""A float32 ONNX graph as float16, typed throughout, with float32 at its ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from unetplus_edge.errors import ConversionError
from unetplus_export.calibration import required_patches
from unetplus_export.layer_losses import some_of, worst_first
from unetplus_export.onnx_answers import answers
from unetplus_export.onnx_graph import CONVOLUTIONS, initializers, name_batch
from unetplus_export.onnx_network import network_graph

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    import onnx

    from unetplus_export.conversion import Request

SCALED_OPSET, SCALED_IR_VERSION = 19, 9
"""The first in which quantisation takes float16; runtimes read it from onnxruntime 1.15 and TensorRT 10 on."""

_SCALES = {"QuantizeLinear", "DequantizeLinear"}


def cast_to_half(model: onnx.ModelProto, keep: Collection[str] = ()) -> None:
    """Make every weight and every computation of a graph float16, but for layers to keep.

    Input and output stay float32: the first node casts, and the last one back, so that nothing
    between them needs a type that it is not told. That is what a strongly typed TensorRT network
    computes in float16 of itself. The one constant that stays float32 is what operators ask to be
    so: the factors of `Resize`, which are no weights. A convolution that is kept has casts around
    it, or, where it is first or last, stays float32 up to the end with what is between.

    Where the graph quantises, scales become float16 too, and with them what `DequantizeLinear`
    gives. ONNX allows that from opset 19 on only; a graph without them stays in its opset.

    Parameters
    ----------
    model
        Float32, of the operators in `onnx_graph.OPERATORS`; changed in place.
    keep
        Names of convolutions that stay float32.

    Raises
    ------
    ConversionError
        If a weight is past the largest float16, or what is to be kept is no convolution.
    """
    from onnx import TensorProto

    graph = model.graph
    in_float32 = _in_float32(model, keep)
    kept = [node for node in graph.node if node.name in in_float32]
    factors = {name for node in graph.node if node.op_type == "Resize" for name in node.input[1:]}
    factors |= {name for node in kept for name in node.input[1:]}
    scales = {node.input[1] for node in graph.node if node.op_type in _SCALES}
    for tensor in graph.initializer:
        if tensor.data_type == TensorProto.FLOAT and tensor.name not in factors:
            _halve(tensor, scale=tensor.name in scales)
    nodes, half, full = list(graph.node), set[str](), {graph.input[0].name}
    del graph.node[:]
    constants = {tensor.name for tensor in graph.initializer}
    for node in nodes:
        # What is there in the other type only is cast once, in front of the first node that reads it so.
        wanted, there, ending, kind = (
            (full, half, "float", TensorProto.FLOAT) if node in kept else (half, full, "half", TensorProto.FLOAT16)
        )
        for place, name in enumerate(node.input):
            if name in constants or not name:
                continue
            if name not in wanted and f"{name}.{ending}" not in wanted and name in there:
                graph.node.append(_cast(name, f"{name}.{ending}", kind))
                wanted.add(f"{name}.{ending}")
            if name not in wanted:
                node.input[place] = f"{name}.{ending}"
        graph.node.append(node)
        wanted.update(node.output)
    answer = graph.output[0].name
    if answer in half:
        graph.node[-1].output[0] = f"{answer}.half"
        graph.node.append(_cast(f"{answer}.half", answer, TensorProto.FLOAT))


def layer_errors(request: Request, file: Path) -> list[tuple[str, float]]:
    """Return what the answers lose where one convolution alone is computed of float16, worst first.

    Its weights, its input and what it gives are rounded to float16, and everything else is float32.

    Parameters
    ----------
    request
        What the file was made of, with patches; the answers to 8 of them are compared.
    file
        The `.onnx` file that `convert_onnx` wrote.

    Returns
    -------
    list of (str, float)
        Convolutions by their names in the Keras model, and in dB how far the float network's
        probabilities are above the error that the layer adds to them. Those that the file keeps in
        float32 are not in it.
    """
    import onnx

    patches = some_of(required_patches(request))
    model = network_graph(request)
    name_batch(model, None)
    written = initializers(onnx.load(file))
    halves = [
        node.name
        for node in model.graph.node
        if node.op_type in CONVOLUTIONS and written[node.input[1]].data_type == onnx.TensorProto.FLOAT16
    ]
    return worst_first(
        lambda network: answers(network, patches), model, ((name, _alone(model, name)) for name in halves)
    )


def _alone(model: onnx.ModelProto, layer: str) -> onnx.ModelProto:
    """Return a float32 graph in which one convolution's weights, input and output are rounded to float16."""
    from onnx import TensorProto, numpy_helper

    copy = type(model)()
    copy.CopyFrom(model)
    nodes = list(copy.graph.node)
    node = next(node for node in nodes if node.name == layer)
    for tensor in copy.graph.initializer:
        if tensor.name in node.input[1:]:
            rounded = numpy_helper.to_array(tensor).astype(np.float16).astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(rounded, tensor.name))
    source, given = node.input[0], node.output[0]
    node.input[0], node.output[0] = f"{layer}.rounded", f"{layer}.exact"
    place = nodes.index(node)
    around = [
        _cast(source, f"{layer}.half", TensorProto.FLOAT16),
        _cast(f"{layer}.half", f"{layer}.rounded", TensorProto.FLOAT),
        node,
        _cast(f"{layer}.exact", f"{given}.half", TensorProto.FLOAT16),
        _cast(f"{given}.half", given, TensorProto.FLOAT),
    ]
    del copy.graph.node[:]
    copy.graph.node.extend([*nodes[:place], *around, *nodes[place + 1 :]])
    return copy


def _in_float32(model: onnx.ModelProto, keep: Collection[str]) -> set[str]:
    """Return the names of kept convolutions, and of what is between one of them and an end of the graph."""
    nodes = list(model.graph.node)
    convolutions = [node.name for node in nodes if node.op_type in CONVOLUTIONS]
    unknown = sorted(set(keep) - set(convolutions))
    if unknown:
        raise ConversionError(
            f"{', '.join(unknown)} cannot be kept out of fp16, being no convolution of the network; it has "
            f"{', '.join(convolutions)}"
        )
    found = set(keep)
    for node in reversed(nodes):
        readers = [reader for reader in nodes if node.output[0] in reader.input]
        if node.op_type == "Reshape" and readers and all(reader.name in found for reader in readers):
            found.add(node.name)
    for node in nodes:
        source = next((other for other in nodes if node.input[0] in other.output), None)
        if node.op_type in ("Sigmoid", "Reshape") and source is not None and source.name in found:
            found.add(node.name)
    return found


def _cast(source: str, target: str, kind: int) -> onnx.NodeProto:
    from onnx import helper

    return helper.make_node("Cast", [source], [target], name=f"{target}_cast", to=kind)


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
