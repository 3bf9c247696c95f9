"""From a bundle's Keras model to a plain float32 ONNX graph, by tf2onnx, with what that leaves to tidy."""

from __future__ import annotations

import logging
import re
from contextlib import contextmanager
from itertools import chain, count
from typing import TYPE_CHECKING, Any

import numpy as np

from unetplus_export.onnx_graph import CONVOLUTIONS, OPSET, initializers, name_batch
from unetplus_export.saved_model import keras_model

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import onnx

    from unetplus_export.conversion import Request

# A layer's name while it is converted, which survives as a part of the names of its nodes. It ends in a
# letter, since TensorFlow makes names unique by a number at their end.
_TAG = re.compile(r"(?:^|/)(layer\d+x)(?=[/_]|$)")

# Of constants, by their place among a node's inputs.
_ROLES = {
    "Conv": {1: "weight", 2: "bias"},
    "ConvTranspose": {1: "weight", 2: "bias"},
    "Reshape": {1: "shape"},
    "Resize": {1: "region", 2: "scales"},
}


def network_graph(request: Request) -> onnx.ModelProto:
    """Return the network as float32 ONNX, channels first inside, rows and columns first at its ends.

    Nodes bear the names of the Keras layers that they come from: convolutions, joins and pools the
    layer's own, an activation that is part of a layer that name with its operator behind it. What a
    node computes bears the node's name, its weights that with `.weight` and `.bias`. Batch norms
    are part of the convolution in front of them.

    Raises
    ------
    ConversionError
        If the network cannot be built for that side.
    """
    model, names = _tagged(keras_model(request))
    graph = _converted(model, request)
    _order_nodes(graph)
    _name_nodes(graph, names)
    _fold_scales(graph)
    _name_tensors(graph)
    name_batch(graph, None)
    return graph


def _tagged(model: Any) -> tuple[Any, dict[str, str]]:
    """Return the same network under names that survive, and the layers' own names by them."""
    import keras

    names: dict[str, str] = {}

    def clone(layer: Any) -> Any:
        tag = f"layer{len(names)}x"
        names[tag] = layer.name
        if isinstance(layer, keras.layers.UpSampling2D) and layer.interpolation == "nearest":
            return _nearest(layer.size, tag)
        return layer.__class__.from_config({**layer.get_config(), "name": tag})

    cloned = keras.models.clone_model(model, clone_function=clone)
    cloned.set_weights(model.get_weights())
    return cloned, names


def _nearest(size: tuple[int, int], name: str) -> Any:
    """Return a layer that does what UpSampling2D does, which TensorFlow's own operator becomes one of ONNX."""
    import keras
    import tensorflow as tf

    class Nearest(keras.layers.Layer):  # type: ignore[misc]
        def compute_output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
            return (shape[0], size[0] * shape[1], size[1] * shape[2], shape[3])

        def call(self, x: Any) -> Any:
            sides = (size[0] * x.shape[1], size[1] * x.shape[2])
            return tf.raw_ops.ResizeNearestNeighbor(images=x, size=sides)

    return Nearest(name=name)


def _converted(model: Any, request: Request) -> onnx.ModelProto:
    import tensorflow as tf
    import tf2onnx

    manifest, side = request.bundle.manifest, request.patch_side
    signature = [tf.TensorSpec((None, side, side, 1), tf.float32, name=manifest.input.name)]
    function = tf.function(
        lambda image: {manifest.output.name: model(image, training=False)}, input_signature=signature
    )
    graph: onnx.ModelProto
    with _quiet(tf2onnx.__name__):
        graph, _ = tf2onnx.convert.from_function(function, input_signature=signature, opset=OPSET)
    return graph


@contextmanager
def _quiet(name: str) -> Iterator[None]:
    """Keep the log of a library off the terminal: operators that it cannot convert stay in the graph, to be seen."""
    logger, nothing = logging.getLogger(name), logging.NullHandler()
    before = logger.propagate
    logger.addHandler(nothing)
    logger.propagate = False
    try:
        yield
    finally:
        logger.propagate = before
        logger.removeHandler(nothing)


def _order_nodes(model: onnx.ModelProto) -> None:
    """Order nodes by how far they are from the input, and then by layer: tf2onnx has another order every time."""
    distance: dict[str, int] = {}
    for node in model.graph.node:
        far = 1 + max((distance.get(name, 0) for name in node.input), default=0)
        distance.update(dict.fromkeys(node.output, far))
    nodes = sorted(model.graph.node, key=lambda node: (distance[node.output[0]], _tag(node) or "", node.op_type))
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def _tag(node: onnx.NodeProto) -> str | None:
    """Return the name that a node's layer has in the meantime.

    Of a convolution it is seen in the names of its weights, since the node itself may bear that of what was joined
    to it.
    """
    found = _TAG.search(node.input[1] if node.op_type in CONVOLUTIONS else node.name)
    return found[1] if found else None


def _name_nodes(model: onnx.ModelProto, names: Mapping[str, str]) -> None:
    """Give every node the name of the layer that it comes from.

    Convolutions choose first: nodes that turn axes at the ends come from the same layers.
    """
    taken: set[str] = set()
    for node in sorted(model.graph.node, key=lambda node: node.op_type not in CONVOLUTIONS):
        tag, operator = _tag(node), node.op_type.lower()
        choices = [names[tag], f"{names[tag]}_{operator}"] if tag else [operator]
        numbered = (f"{choices[-1]}_{number}" for number in count(2))
        node.name = next(name for name in chain(choices, numbered) if name not in taken)
        taken.add(node.name)


def _fold_scales(model: onnx.ModelProto) -> None:
    """Make factors and summands behind convolutions, one a channel, part of their weights.

    They are what TensorFlow's optimiser makes of a batch norm.
    """
    while any(_folded(model, node) for node in model.graph.node if node.op_type in ("Mul", "Add")):
        pass


def _folded(model: onnx.ModelProto, node: onnx.NodeProto) -> bool:
    from onnx import numpy_helper

    constants = initializers(model)
    source = next((other for other in model.graph.node if node.input[0] in other.output), None)
    uses = [name for other in model.graph.node for name in other.input].count(node.input[0])
    if source is None or source.op_type not in CONVOLUTIONS or uses != 1 or node.input[1] not in constants:
        return False
    weight, *rest = (numpy_helper.to_array(constants[name]) for name in source.input[1:])
    channel_axis = 0 if source.op_type == "Conv" else 1
    channels = weight.shape[channel_axis]
    values = numpy_helper.to_array(constants[node.input[1]])
    if values.shape not in ((1, channels, 1, 1), (channels, 1, 1)):
        return False
    values = values.reshape(channels)
    bias = rest[0] if rest else np.zeros(channels, np.float32)
    if node.op_type == "Mul":
        shape = [1] * weight.ndim
        shape[channel_axis] = channels
        weight, bias = weight * values.reshape(shape), bias * values
    else:
        bias = bias + values
    source.input[1:] = [f"{node.name}.weight", f"{node.name}.bias"]
    model.graph.initializer.extend(
        numpy_helper.from_array(array, name) for array, name in zip((weight, bias), source.input[1:], strict=True)
    )
    source.output[0] = node.output[0]
    model.graph.node.remove(node)
    return True


def _name_tensors(model: onnx.ModelProto) -> None:
    """Name what nodes compute and what is constant after the nodes, and drop constants that none uses."""
    constants = initializers(model)
    ends = {end.name for end in model.graph.output}
    names = {output: f"{node.name}.output" for node in model.graph.node for output in node.output if output not in ends}
    del model.graph.initializer[:]
    for node in model.graph.node:
        roles = _ROLES.get(node.op_type, {})
        for place, name in enumerate(node.input):
            if name in constants:
                constant = type(constants[name])()
                constant.CopyFrom(constants[name])
                constant.name = f"{node.name}.{roles.get(place, place)}"
                model.graph.initializer.append(constant)
                node.input[place] = constant.name
            else:
                node.input[place] = names.get(name, name)
        node.output[:] = [names.get(name, name) for name in node.output]
