"""The proof of precision on a built engine, where it can be opened: what the engine inspector says of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from unetplus_edge.errors import ConversionError
from unetplus_export.trt.network import Evidence, is_of_layer, require_proof
from unetplus_runtime.engines.layer_report import convolutions, executed_precision
from unetplus_runtime.engines.tensorrt import open_plan, report_of

if TYPE_CHECKING:
    from unetplus_edge.manifest import PlanRecord, Precision
    from unetplus_runtime.engines.layer_report import Convolution
    from unetplus_runtime.engines.tensorrt_flavour import Flavour


def inspect_plan(plan: bytes, record: PlanRecord, flavour: Flavour, image: str, kept: tuple[str, ...]) -> Evidence:
    """Prove on a built engine that its convolutions compute in the precision that it was built for.

    Parameters
    ----------
    plan
        The engine.
    record
        What it was built for.
    flavour
        The library that built it.
    image
        Name of the network's input.
    kept
        Layers that are stated to stay out of it.

    Raises
    ------
    ConversionError
        If others do not compute in it.
    EngineError
        If the plan cannot be opened here.
    """
    name = engine_name(record)
    engine, runtime = open_plan(plan, name, record.flags, flavour)
    context = engine.create_execution_context()
    shape = (record.batches[2], record.patch_side, record.patch_side, 1)
    report = report_of(flavour, engine, context, image, shape)
    # In this order, which is that of who needs whom.
    del context, engine, runtime
    return engine_evidence(convolutions(report), name, record.precision, kept)


def engine_name(record: PlanRecord) -> str:
    """Return what an engine is called in errors, before it has a place in the cache."""
    return f"the {record.precision} engine of {record.onnx_file}"


def engine_evidence(found: tuple[Convolution, ...], name: str, precision: Precision, kept: tuple[str, ...]) -> Evidence:
    """Prove by a report on an engine that its convolutions compute in a precision.

    Deconvolutions of an int8 engine may compute in another one, since not every library has them
    in int8; they are named.

    Parameters
    ----------
    found
        What the report says of them.
    name
        Of the engine, for the error.
    precision
        That they are to compute in.
    kept
        Layers that are stated to stay out of it.

    Raises
    ------
    ConversionError
        If others do not, or the report does not say of any.
    """
    if executed_precision(found) is None:
        raise ConversionError(
            f"it is not said what the convolutions of {name} compute in; build it with another TensorRT"
        )
    # In memory tf32 is float32.
    stored: Precision = "fp32" if precision == "tf32" else precision
    proven, stated, widened, others = [], [], [], []
    for convolution in found:
        described = f"{convolution.name}: {convolution.precision or 'unknown'}"
        if any(is_of_layer(convolution.nodes, layer) for layer in kept):
            stated.append(convolution.name)
        elif convolution.precision == stored:
            proven.append(convolution.name)
        elif precision == "int8" and convolution.is_transposed and convolution.precision:
            widened.append(described)
        else:
            others.append(described)
    require_proof(name, precision, len(proven), others)
    return Evidence(tuple(proven), tuple(stated), tuple(widened))
