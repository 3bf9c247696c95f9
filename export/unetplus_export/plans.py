"""TensorRT engines of a bundle: built of its ONNX files, tried where there is a GPU, and told in its manifest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from unetplus_edge.bundle import update_manifest
from unetplus_edge.errors import ConversionError, EngineError
from unetplus_edge.manifest import ConversionRecord, PlanRecord
from unetplus_export.outcome import Outcome
from unetplus_export.trt import build_plan
from unetplus_runtime.engines import open_engine
from unetplus_runtime.engines.plan_cache import update_record
from unetplus_runtime.engines.tensorrt_flavour import find_flavour

if TYPE_CHECKING:
    from pathlib import Path

    from unetplus_edge.bundle import Bundle
    from unetplus_edge.manifest import Precision
    from unetplus_export.exporter import Exporter
    from unetplus_export.outcome import Status
    from unetplus_export.stages import Stages
    from unetplus_export.trt import BuildOptions
    from unetplus_export.verify import Verifier


def make_plan(exporter: Exporter, precision: Precision, options: BuildOptions, stages: Stages) -> Outcome:
    """Build the engine of a precision, try it if there is a GPU, and write it down in the bundle.

    The ONNX file that it is built of is made first where the bundle has none, or one whose int8
    ranges are not those that the exporter's options ask for.

    Parameters
    ----------
    exporter
        Of the bundle.
    precision
        Of the engine.
    options
        How to build.
    stages
        Told what goes on.

    Raises
    ------
    OutputError
        If the cache or the bundle cannot be written.
    """
    try:
        strongly_typed = find_flavour(options.flavour).is_strongly_typed
        # Where nothing else sets the types, what is left out of int8 would be computed in fp32.
        source = _source(exporter, precision, "fp16" if strongly_typed else "fp32")
        if isinstance(source, Outcome):
            return source
        stages.begin(f"trt {precision}: building")
        plan = build_plan(exporter.bundle.file_of(source), source, precision, options)
    except (ConversionError, EngineError) as error:
        return Outcome("trt", precision, "impossible", str(error))
    outcome = tried(plan.path, plan.record, exporter.verifier, stages)
    if outcome.status != "failed" and isinstance(outcome.record, PlanRecord):
        exporter.bundle = recorded(exporter.bundle, outcome.record)
    return outcome


def tried(path: Path, record: PlanRecord, verifier: Verifier, stages: Stages) -> Outcome:
    """Run an engine beside the Keras model and write the verdict beside it; say why where it cannot be run here."""
    stages.begin(f"trt {record.precision}: trying it")
    status: Status = "unverified"
    reason: str | None = None
    try:
        with open_engine(path, "tensorrt") as engine:
            verification = verifier.verify(engine)
        status, reason = "verified" if verification.verified else "failed", verification.reason
        record = record.model_copy(update={"verification": verification, "precision_evidence": "inspector"})
        update_record(path, record)
    except EngineError as error:
        reason = str(error)
    return Outcome("trt", record.precision, status, reason, record, path.stat().st_size)


def recorded(bundle: Bundle, record: PlanRecord) -> Bundle:
    """Return the bundle with an engine in its manifest, in place of an earlier one for the same library, GPU, side."""
    kept = (plan for plan in bundle.manifest.plans if _place(plan) != _place(record))
    return update_manifest(bundle, bundle.manifest.model_copy(update={"plans": (*kept, record)}))


def _place(plan: PlanRecord) -> tuple[str, ...]:
    return (plan.precision, plan.flavour, plan.version, plan.gpu, str(plan.patch_side))


def _source(exporter: Exporter, precision: Precision, remainder: Literal["fp32", "fp16"]) -> ConversionRecord | Outcome:
    """Return the ONNX file to build of, made if need be, or what came of making it."""
    rest = remainder if precision == "int8" else None
    record = exporter.bundle.conversion("onnx", precision, rest, exporter.other_side)
    if record is not None and record.verified_by("onnxruntime") and exporter.has_chosen_ranges(record):
        return record
    made = exporter.make("onnx", precision, remainder if precision == "int8" else "fp32")
    if made.status != "verified":
        return Outcome("trt", precision, made.status, f"of its ONNX file: {made.reason}")
    assert isinstance(made.record, ConversionRecord)  # noqa: S101
    return made.record
