"""A bundle's Keras model as OpenVINO's own, in float32, with the layers' names."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from unetplus_edge.errors import ConversionError
from unetplus_export.saved_model import LAYER_PREFIX, saved_model
from unetplus_runtime.engines.openvino import import_openvino

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from unetplus_edge.manifest import Precision
    from unetplus_export.conversion import Request

_CONVOLUTIONS = ("Convolution", "ConvolutionBackpropData")


def float_model(request: Request) -> Any:
    """Return the bundle's model as an `openvino.Model` in float32, for one patch; it can be reshaped to any number.

    Every convolution bears the name of its Keras layer, and other nodes those of `name_nodes`.

    Raises
    ------
    ConversionError
        If the network has an operator that OpenVINO has not.
    """
    ov = import_openvino()
    manifest = request.bundle.manifest
    try:
        # One patch: with any number, a transposed convolution drags operators along that compute its shape.
        with saved_model(replace(request, batch=1), every_layer=True) as folder, _log_restored():
            model = ov.convert_model(folder)
    except ov.frontend.OpConversionFailure as error:
        lines = str(error).strip().splitlines()
        reason = next((line.removeprefix("-- ") for line in lines if line.startswith("-- ")), lines[0])
        raise ConversionError(
            f"{manifest.name} cannot be converted to OpenVINO ({reason}); build it of other layers"
        ) from error
    for node, layer in _remove_layer_outputs(model).items():
        node.set_friendly_name(layer)
    _keep_channels_first(ov, model)
    name_nodes(model)
    # The last layer's output was one of those removed, and has left its name on what was the same tensor.
    model.output().tensor.set_names({manifest.output.name})
    model.set_friendly_name(manifest.name)
    return model


@contextmanager
def _log_restored() -> Iterator[None]:
    """Give the program its log back: where a conversion fails, OpenVINO leaves it at errors alone."""
    root = logging.getLogger()
    level, filters, handlers = root.level, root.filters[:], root.handlers[:]
    try:
        yield
    finally:
        root.setLevel(level)
        root.filters, root.handlers = filters, handlers


def convolutions(model: Any) -> dict[str, Any]:
    """Return the convolutions of a model by the names of their Keras layers, in the order of computing."""
    return {node.get_friendly_name(): node for node in model.get_ordered_ops() if node.get_type_name() in _CONVOLUTIONS}


def known_layers(request: Request, model: Any, precision: Precision) -> list[str]:
    """Return the names of a model's convolutions, once it is sure that those to keep are among them.

    Raises
    ------
    ConversionError
        If one is not.
    """
    layers = list(convolutions(model))
    if unknown := [name for name in request.keep if name not in layers]:
        raise ConversionError(
            f"{request.bundle.manifest.name} has no convolution {', '.join(unknown)} to keep out of {precision}; "
            f"it has {', '.join(layers)}"
        )
    return layers


def answers(model: Any, patches: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return what a model answers, computed in float32 on the CPU, one patch after the other."""
    compiled = import_openvino().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return np.concatenate([compiled(patch[None])[0] for patch in patches])


def name_nodes(model: Any) -> None:
    """Give all nodes but convolutions names that are the same whenever the model is.

    What follows a convolution up to the next is called `LAYER/add`, `LAYER/relu` and so on, and
    everything else by its operator and a number. The library's own names depend on what the process
    has done before.
    """
    layers = {node: name for name, node in convolutions(model).items()}
    taken: set[str] = set()
    for number, node in enumerate(model.get_ordered_ops()):
        kind = node.get_type_name()
        if kind == "Parameter" or kind in _CONVOLUTIONS:
            continue
        sources = data_inputs(node)
        name = f"{kind}_{number}"
        if len(sources) == 1 and sources[0] in layers:
            layers[node] = layers[sources[0]]
            following = f"{layers[node]}/{kind.lower()}"
            name = name if following in taken else following
        node.set_friendly_name(name)
        taken.add(name)


def data_inputs(node: Any) -> list[Any]:
    """Return the nodes that a node gets data of, without constants."""
    sources = (value.get_node() for value in node.input_values())
    return [source for source in sources if source.get_type_name() != "Constant"]


def _keep_channels_first(ov: Any, model: Any) -> None:
    """Remove what the converter leaves of moving channels to the end and back."""
    for node in model.get_ordered_ops():
        if node.get_type_name() == "Interpolate" and _moves(node.input_value(0).get_node()) == (0, 2, 3, 1):
            # The same, with axes moved behind it instead of in front.
            node.input(0).replace_source_output(node.input_value(0).get_node().input_value(0))
            axes = ov.opset13.constant(np.array([2, 3], np.int64))
            node.input(node.get_input_size() - 1).replace_source_output(axes.output(0))
            targets = node.output(0).get_target_inputs()
            moved = ov.opset13.transpose(node, np.array([0, 2, 3, 1], np.int64))
            for target in targets:
                target.replace_source_output(moved.output(0))
    for node in model.get_ordered_ops():
        second = _moves(node)
        first = _moves(node.input_value(0).get_node()) if second else ()
        if first and [first[axis] for axis in second] == sorted(first):
            for target in node.output(0).get_target_inputs():
                target.replace_source_output(node.input_value(0).get_node().input_value(0))
    model.validate_nodes_and_infer_types()


def _moves(node: Any) -> tuple[int, ...]:
    """Return the order of axes that a Transpose makes; nothing for another node."""
    if node.get_type_name() != "Transpose":
        return ()
    return tuple(node.input_value(1).get_node().get_data().tolist())


def _remove_layer_outputs(model: Any) -> dict[Any, str]:
    """Return the convolution of each Keras layer, found upwards from the layer's output, which is removed."""
    # The converter moves axes about, and loses the layers' names on the way.
    layers = {}
    for result in model.get_results():
        name = result.get_friendly_name()
        if name.startswith(LAYER_PREFIX):
            node = result
            while node.get_type_name() not in _CONVOLUTIONS:
                (node,) = data_inputs(node)
            layers[node] = name.removeprefix(LAYER_PREFIX)
            model.remove_result(result)
    return layers
