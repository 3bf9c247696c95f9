"""ONNX graphs as every file here has them: which operators, which names, and what is written beside them."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import unetplus_edge
from unetplus_edge.errors import ConversionError
from unetplus_edge.files import whole_file

if TYPE_CHECKING:
    from pathlib import Path

    import onnx

    from unetplus_export.conversion import Request

OPSET, IR_VERSION = 17, 8
"""Of every file whose operators allow them: what runtimes of JetPack's age read."""

OPERATORS = frozenset(
    {"Conv", "ConvTranspose", "MaxPool", "Resize", "Concat", "Relu", "Elu", "Sigmoid", "Reshape"}
    | {"Cast", "QuantizeLinear", "DequantizeLinear"}
)
"""What the networks need, and what a file in fp16 or int8 needs beside it."""

CONVOLUTIONS = frozenset({"Conv", "ConvTranspose"})

BATCH = "n"
"""Name of the dimension that counts patches, where it is free."""


def operator_counts(model: onnx.ModelProto) -> dict[str, int]:
    """Return how often each operator is in a graph, by name, sorted."""
    return dict(sorted(Counter(node.op_type for node in model.graph.node).items()))


def initializers(model: onnx.ModelProto) -> dict[str, onnx.TensorProto]:
    """Return the constants of a graph by name."""
    return {tensor.name: tensor for tensor in model.graph.initializer}


def name_batch(model: onnx.ModelProto, batch: int | None) -> None:
    """Fix the number of patches of a graph for any number, or leave it free under a name."""
    for end in (*model.graph.input, *model.graph.output):
        dimension = end.type.tensor_type.shape.dim[0]
        if batch is None:
            dimension.dim_param = BATCH
        else:
            dimension.dim_value = batch


def require_known_operators(model: onnx.ModelProto, name: str) -> None:
    """Refuse a graph with an operator that no network here needs.

    Such an operator is left where a conversion went another way than it should, as with the
    arithmetic of shapes, or where a network has a layer that nobody has tried on the devices.

    Raises
    ------
    ConversionError
        If there is one.
    """
    foreign = sorted({node.op_type for node in model.graph.node} - OPERATORS)
    if foreign:
        raise ConversionError(
            f"{name} becomes an ONNX graph with {', '.join(foreign)}, which is not among the operators that are known "
            f"to run everywhere ({', '.join(sorted(OPERATORS))}); build it of other layers"
        )


def write_model(
    model: onnx.ModelProto, request: Request, destination: Path, opset: int = OPSET, ir_version: int = IR_VERSION
) -> None:
    """Stamp a graph, check it whole, shapes and types included, and write it.

    Its metadata name the bundle, the Keras model and the precisions; readers that know nothing of
    them ignore them.

    Parameters
    ----------
    model
        The graph; the stamp is put on it.
    request
        What it was made for.
    destination
        The file to write.
    opset, ir_version
        What it is written in.

    Raises
    ------
    ConversionError
        If it is no valid graph.
    """
    import onnx

    manifest = request.bundle.manifest
    model.ir_version = ir_version
    del model.opset_import[:]
    model.opset_import.append(onnx.helper.make_opsetid("", opset))
    model.producer_name, model.producer_version = "unetplus-edge", unetplus_edge.__version__
    model.doc_string = model.graph.doc_string = ""
    model.graph.name = manifest.name
    # Types and shapes inside, which tools leave there, are of what the graph was before.
    del model.graph.value_info[:]
    onnx.helper.set_model_props(model, _metadata(request))
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ConversionError(
            f"the ONNX graph of {manifest.name} is not valid ({reason}); install the versions of onnx and tf2onnx that "
            "setup.cfg names, or report this"
        ) from error
    with whole_file(destination) as unfinished:
        unfinished.write_bytes(model.SerializeToString(deterministic=True))


def _metadata(request: Request) -> dict[str, str]:
    manifest = request.bundle.manifest
    metadata = {
        "bundle": manifest.name,
        "keras_sha256": manifest.keras_sha256,
        "precision": request.precision,
        "unetplus_edge": unetplus_edge.__version__,
    }
    if request.precision == "int8":
        metadata["remainder"] = request.remainder
    return metadata
