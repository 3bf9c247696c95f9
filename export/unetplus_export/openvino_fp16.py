"""OpenVINO in fp16: weights in half the space but for layers that are kept, and what each layer costs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from unetplus_edge.errors import ConversionError
from unetplus_export.calibration import required_patches
from unetplus_export.layer_losses import some_of, worst_first
from unetplus_export.openvino_model import answers, convolutions, float_model, known_layers
from unetplus_runtime.engines.openvino import import_openvino

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from unetplus_export.conversion import Request


def halve(request: Request, model: Any) -> None:
    """Store the weights and biases of a model as float16, which are widened before use, but for layers to keep.

    Parameters
    ----------
    request
        What is asked for: its `keep` counts here.
    model
        The float model, as `float_model` gives it; changed in place.

    Raises
    ------
    ConversionError
        If a layer to keep is none of the network's, or a weight is past the largest float16.
    """
    layers = known_layers(request, model, "fp16")
    _round(model, [name for name in layers if name not in request.keep])


def full_precision(model: Any) -> tuple[str, ...]:
    """Return the layers whose weights are not stored as float16, by their names in the Keras model."""
    return tuple(
        name
        for name, node in convolutions(model).items()
        if node.input_value(1).get_node().get_type_name() != "Convert"
    )


def layer_errors(request: Request, file: Path) -> list[tuple[str, float]]:
    """Return what the answers lose where one layer's weights alone are rounded to float16, worst first.

    Parameters
    ----------
    request
        What the file was made of, with patches; the answers to 8 of them are compared.
    file
        The `.xml` file that `convert_openvino` wrote.

    Returns
    -------
    list of (str, float)
        Layers by their names in the Keras model, and in dB how far the float network's
        probabilities are above the error that the layer adds to them. Layers whose weights are in
        float32 are not in it.
    """
    patches = some_of(required_patches(request))
    model = float_model(request)
    kept = full_precision(import_openvino().Core().read_model(file))
    alone = ((name, _rounded(model, name)) for name in convolutions(model) if name not in kept)
    return worst_first(lambda network: answers(network, patches), model, alone)


def _rounded(model: Any, layer: str) -> Any:
    copy = model.clone()
    _round(copy, [layer])
    return copy


def _round(model: Any, layers: Collection[str]) -> None:
    ov = import_openvino()
    for node in model.get_ordered_ops():
        layer = node.get_friendly_name().partition("/")[0]
        for place in range(node.get_input_size()) if layer in layers else ():
            constant = node.input_value(place).get_node()
            if constant.get_type_name() == "Constant" and constant.get_element_type().get_type_name() == "f32":
                values = constant.get_data()
                largest = np.abs(values).max(initial=0)
                if largest > np.finfo(np.float16).max:
                    raise ConversionError(
                        f"{layer} has weights up to {largest:.3g}, which float16 does not hold; export it in fp32"
                    )
                widened = ov.opset13.convert(ov.opset13.constant(values.astype(np.float16)), "f32")
                node.input(place).replace_source_output(widened.output(0))
