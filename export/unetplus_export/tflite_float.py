"""TFLite in floating point: fp32, fp16 with the layers that are left out of it, and what each layer costs there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from unetplus_edge.errors import ConversionError
from unetplus_export.calibration import required_patches
from unetplus_export.layer_losses import some_of, worst_first
from unetplus_export.saved_model import SIGNATURE, keras_model, saved_model
from unetplus_export.tflite_file import answers, operators

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from unetplus_export.conversion import Request


def builtin_converter(folder: Path) -> Any:
    """Return TensorFlow's converter of a SavedModel, told to take no operators but those that TFLite has of its own."""
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_saved_model(str(folder), signature_keys=[SIGNATURE])
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    return converter


def plain(request: Request) -> bytes:
    """Return the content of a TFLite file with weights in float32."""
    with saved_model(request) as folder:
        content: bytes = builtin_converter(folder).convert()
    return content


def halved(request: Request) -> tuple[bytes, tuple[str, ...]]:
    """Return the content of a TFLite file with weights in float16, and the layers whose weights are in float32.

    Parameters
    ----------
    request
        With a number of patches a call.

    Raises
    ------
    ConversionError
        If a layer to be kept has no weights in the network.
    """
    half = _halved(request)
    if not request.keep:
        return half, ()
    layers = [layer.name for layer in keras_model(request).layers]
    unknown = [name for name in request.keep if name not in _halved_layers(half, layers)]
    if unknown:
        raise ConversionError(
            f"{request.bundle.manifest.name} has no layer {unknown[0]} with weights of its own; "
            "keep layers by their names in the Keras model"
        )
    content = _widened(half, plain(request), layers, request.keep)
    return content, tuple(name for name in _halved_layers(half, layers) if name in request.keep)


def layer_errors(request: Request, file: Path) -> list[tuple[str, float]]:
    """Return what the answer loses where one layer's weights alone are in float16, worst first.

    Parameters
    ----------
    request
        As `convert_tflite` had it, with patches to compare answers on.
    file
        What it wrote.

    Returns
    -------
    list of (str, float)
        Name of a convolution in the Keras model whose weights are in float16 there, and the power
        of the answer in float32 over the power of its error in dB, on 8 of the patches.
    """
    patches = some_of(required_patches(request))
    layers = [layer.name for layer in keras_model(request).layers]
    exact, half = plain(request), _halved(request)
    alone = (
        (name, _widened(half, exact, layers, {*layers} - {name})) for name in _halved_layers(file.read_bytes(), layers)
    )
    return worst_first(lambda content: answers(content, patches), exact, alone)


def _halved(request: Request) -> bytes:
    import tensorflow as tf

    with saved_model(request) as folder:
        converter = builtin_converter(folder)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_types = [tf.float16]
        content: bytes = converter.convert()
    return content


def _halved_layers(content: bytes, layers: Sequence[str]) -> list[str]:
    """Return the convolutions whose kernels are in float16, by the names of their layers, in order."""
    return [operator.layers[0] for operator in operators(content, layers) if operator.weights == "FLOAT16"]


def _widened(half: bytes, exact: bytes, layers: Sequence[str], keep: Collection[str]) -> bytes:
    """Return a file in float16 whose weights of some layers are those of the one in float32."""
    from tensorflow.lite.tools import flatbuffer_utils

    model, source = (flatbuffer_utils.convert_bytearray_to_object(content) for content in (half, exact))
    (graph,), (exact_graph,) = model.subgraphs, source.subgraphs
    pairs = list(zip(graph.operators, operators(half, layers), strict=True))
    # Of the two files' tensors not even the names are the same, but those of the layers in them.
    twins = {
        (known.kind, known.layers): operator
        for operator, known in zip(exact_graph.operators, operators(exact, layers), strict=True)
    }
    widened = {operator.outputs[0]: operator.inputs[0] for operator, known in pairs if known.kind == "DEQUANTIZE"}
    replaced = {}
    for operator, known in pairs:
        if known.kind == "DEQUANTIZE" or not known.layers or known.layers[0] not in keep:
            continue
        twin = twins[known.kind, known.layers]
        for number, same in zip(operator.inputs, twin.inputs, strict=True):
            if number in widened:
                replaced[number] = widened[number]
                constant, wanted = graph.tensors[widened[number]], exact_graph.tensors[same]
                # A buffer of its own, since the old one may be another constant's too.
                constant.type, constant.buffer = wanted.type, len(model.buffers)
                model.buffers.append(source.buffers[wanted.buffer])
    for operator in graph.operators:
        operator.inputs = [replaced.get(number, number) for number in operator.inputs]
    graph.operators = [operator for operator in graph.operators if operator.outputs[0] not in replaced]
    used = {0, *(tensor.buffer for tensor in graph.tensors), *(entry.buffer for entry in model.metadata or ())}
    for number, buffer in enumerate(model.buffers):
        if number not in used:
            buffer.data = None
    content: bytes = flatbuffer_utils.convert_object_to_bytearray(model)
    return content
