"""OpenVINO networks for images of other sizes than they were converted for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from unetplus_edge.errors import EngineError

if TYPE_CHECKING:
    from pathlib import Path

_SHAPE_INPUTS = {"ConvolutionBackpropData": 2, "Reshape": 1}
"""Operators that are told the size of what they make, and which of their inputs tells it."""


def resize(ov: Any, model: Any, side: int, shape: tuple[int, int], path: Path) -> None:
    """Make a network for patches one for images of another size.

    Besides the network's input, the sizes are changed that are stored in the file as numbers: of what
    transposed convolutions make, and of the answer.

    Parameters
    ----------
    ov
        The module `openvino`.
    model
        An `openvino.Model` for one patch; it is changed.
    side
        Of the patches.
    shape
        Height and width.
    path
        Its file, for the error.

    Raises
    ------
    EngineError
        If the network cannot be made so.
    """
    height, width = shape
    for node in model.get_ordered_ops():
        number = _SHAPE_INPUTS.get(node.get_type_name())
        if number is None or number >= node.get_input_size():
            continue
        source = node.input(number).get_source_output().get_node()
        if source.get_type_name() != "Constant":
            continue
        told = np.array(source.data)
        if node.get_type_name() == "Reshape":  # the answer, one channel
            axes = [axis for axis, length in enumerate(told.tolist()) if length == side]
        else:
            axes = [0, 1] if len(set(told.tolist())) == 1 and len(told) == 2 else []
        if len(axes) == 2:
            told[axes] = told[axes] * np.array(shape) // side
            node.input(number).replace_source_output(ov.opset13.constant(told).output(0))
    try:
        # `reshape` would look whether sizes fit before it changes any.
        model.inputs[0].get_node().set_partial_shape(ov.PartialShape([1, height, width, 1]))
        model.validate_nodes_and_infer_types()
        fits = list(model.outputs[0].partial_shape.to_shape()) == [1, height, width, 1]
    except RuntimeError:
        fits = False
    if not fits:
        raise EngineError(
            f"{path} cannot be made to take a whole frame of {height} x {width} pixels; segment it in patches, "
            "--grid article"
        )
