"""TensorRT engines of ONNX files: asked for, proven, built, and kept in the user's cache."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from unetplus_edge.errors import ConversionError, EngineError, OutputError
from unetplus_edge.files import sha256_of, whole_file
from unetplus_edge.manifest import PlanRecord, VerificationRecord
from unetplus_export.trt.boards import precision_refusal
from unetplus_export.trt.inspector import engine_evidence, engine_name, inspect_plan
from unetplus_export.trt.network import convolution_layers, is_of_layer, parse, precision_evidence
from unetplus_runtime.engines.gpu import find_gpu
from unetplus_runtime.engines.layer_report import built_convolutions
from unetplus_runtime.engines.plan_cache import PORTABLE, find_plan, plan_key, store_plan, timings_path
from unetplus_runtime.engines.tensorrt_flavour import (
    VERSION_COMPATIBLE,
    WEAKLY_TYPED,
    find_flavour,
    flag_of,
)

if TYPE_CHECKING:
    from pathlib import Path

    from unetplus_edge.manifest import ConversionRecord, Precision
    from unetplus_export.trt.network import Evidence, Network
    from unetplus_runtime.engines.gpu import Gpu
    from unetplus_runtime.engines.tensorrt_flavour import Flavour, FlavourName, HardwareLevel

BATCHES = (1, 8, 16)
"""Smallest, usual and largest number of patches a call, unless asked for otherwise."""

# Which ONNX file a precision is built of, by its stored precision.
_SOURCES: dict[Precision, Precision] = {"fp32": "fp32", "tf32": "fp32", "fp16": "fp16", "int8": "int8"}
_NOT_YET = "0" * 64


@dataclass(frozen=True)
class BuildOptions:
    """How to build.

    Attributes
    ----------
    flavour
        Which library; None takes what is installed, TensorRT before TensorRT-RTX.
    batches
        Smallest, usual and largest number of patches a call; None takes `BATCHES`, or what the
        ONNX file fixes.
    workspace_mib
        Memory that a layer may use beside its tensors, in MiB; None leaves it to the library.
    version_compatible
        Whether later versions are to run the plan too.
    hardware
        Which other GPUs are to run it too; None for none.
    timings
        Whether what the builder measures is kept, and taken from earlier builds.
    """

    flavour: FlavourName | None = None
    batches: tuple[int, int, int] | None = None
    workspace_mib: int | None = None
    version_compatible: bool = False
    hardware: HardwareLevel | None = None
    timings: bool = True


@dataclass(frozen=True)
class Plan:
    """A built engine.

    Attributes
    ----------
    path
        In the cache.
    record
        What it is; the same lies beside it.
    evidence
        What the parsed network shows of its precision.
    built
        What the finished engine shows of it, by the inspector or by the builder's own report; None
        where there is neither, or where it was built earlier.
    reused
        Whether it was there already.
    """

    path: Path
    record: PlanRecord
    evidence: Evidence
    built: Evidence | None
    reused: bool


def build_plan(
    onnx_file: Path, onnx: ConversionRecord, precision: Precision, options: BuildOptions | None = None
) -> Plan:
    """Return the engine of an ONNX file, from the cache or newly built.

    Nothing is run: the record says `verified: false` until something has.

    Parameters
    ----------
    onnx_file
        A conversion to ONNX: in fp32 for fp32 and tf32, in fp16 for fp16, with Q/DQ for int8.
    onnx
        What the bundle's manifest says of it.
    precision
        That convolutions are to compute in, those aside that the file keeps out of it.
    options
        How to build.

    Raises
    ------
    ConversionError
        If TensorRT is missing, does not run on this GPU or does not take the file, or the file is
        not in that precision.
    OutputError
        If the cache cannot be written.
    """
    options = options or BuildOptions()
    try:
        flavour = find_flavour(options.flavour)
    except EngineError as error:
        raise ConversionError(str(error)) from error
    gpu = _gpu(flavour)
    _require_possible(flavour, gpu, precision, onnx, options)
    if sha256_of(onnx_file) != onnx.sha256:
        raise ConversionError(f"{onnx_file} is not the file of its record (its SHA-256 differs); convert it again")
    network = parse(flavour, onnx_file)
    kept = onnx.higher_precision if precision == onnx.stored_precision else ()
    if not flavour.is_strongly_typed and precision == "fp16":
        for layer in convolution_layers(flavour, network):
            if not any(is_of_layer(layer.name, name) for name in kept):
                flavour.ask_for_half(layer)
    evidence = precision_evidence(flavour, network, precision, kept)
    record = _record(flavour, gpu, precision, onnx, network, options)
    found = find_plan(record.key)
    if found is not None:
        return Plan(*found, evidence, built=None, reused=True)
    content = _built(flavour, gpu, precision, onnx.remainder or precision, network, record, options)
    built = _built_evidence(content, record, flavour, gpu, network, kept)
    record = record.model_copy(
        update={
            "sha256": hashlib.sha256(content).hexdigest(),
            "precision_evidence": "network" if gpu is None else "inspector",
            "widened": built.widened if built else (),
            "verification": _not_run(flavour, gpu, precision, built),
        }
    )
    return Plan(store_plan(content, record), record, evidence, built, reused=False)


def _built_evidence(
    content: bytes, record: PlanRecord, flavour: Flavour, gpu: Gpu | None, network: Network, kept: tuple[str, ...]
) -> Evidence | None:
    if gpu is None:
        report = flavour.builder_report()
        if report is None:
            return None
        return engine_evidence(built_convolutions(report), engine_name(record), record.precision, kept)
    try:
        return inspect_plan(content, record, flavour, network.image, kept)
    except EngineError as error:
        raise ConversionError(str(error)) from error


def _not_run(flavour: Flavour, gpu: Gpu | None, precision: Precision, built: Evidence | None) -> VerificationRecord:
    reason = "it was never run" + ("" if gpu else ", since no GPU here can")
    if built is not None and built.widened:
        reason += f"; {flavour.title} computes some of its convolutions otherwise ({', '.join(built.widened)})"
    return VerificationRecord(
        engine="tensorrt", executed_precision=precision, library=flavour.title, verified=False, reason=reason
    )


def _gpu(flavour: Flavour) -> Gpu | None:
    """Return the GPU to build for, and on; None where the plan is compiled for whatever GPU opens it."""
    try:
        gpu = find_gpu()
    except EngineError as error:
        if flavour.builds_without_gpu:
            return None
        raise ConversionError(
            f"{flavour.title} builds engines on the GPU that they are for, and {error}; build there, or with "
            "--trt-flavour tensorrt_rtx"
        ) from error
    refusal = flavour.refusal(gpu.compute_capability)
    if refusal is None:
        return gpu
    if flavour.builds_without_gpu:
        return None
    raise ConversionError(f"{refusal}; see unetplus-export doctor")


def _require_possible(
    flavour: Flavour, gpu: Gpu | None, precision: Precision, onnx: ConversionRecord, options: BuildOptions
) -> None:
    source = _SOURCES.get(precision)
    if source is None or onnx.stored_precision != source:
        wanted = f"an ONNX file in {source}" if source else f"one of {', '.join(_SOURCES)} instead"
        raise ConversionError(f"{onnx.file} is in {onnx.stored_precision}; for {precision} give {wanted}")
    refusal = precision_refusal(precision, gpu.compute_capability) if gpu else None
    if refusal:
        raise ConversionError(refusal)
    if options.version_compatible and not flavour.has_compatible_versions:
        raise ConversionError(f"{flavour.title} runs plans of its own version alone; leave version-compatible out")
    if options.hardware is not None and options.hardware not in flavour.hardware_levels():
        offered = " or ".join(flavour.hardware_levels()) or "none"
        raise ConversionError(
            f"{flavour.title} has no hardware compatibility {options.hardware}; ask for {offered}, or leave it out"
        )


def _record(
    flavour: Flavour,
    gpu: Gpu | None,
    precision: Precision,
    onnx: ConversionRecord,
    network: Network,
    options: BuildOptions,
) -> PlanRecord:
    flags = {
        WEAKLY_TYPED: not flavour.is_strongly_typed,
        VERSION_COMPATIBLE: options.version_compatible,
        f"workspace:{options.workspace_mib}MiB": options.workspace_mib is not None,
    }
    if options.hardware is not None:
        flags[flag_of(options.hardware)] = True
    given = tuple(sorted(flag for flag, is_given in flags.items() if is_given))
    record = PlanRecord(
        key=_NOT_YET,
        onnx_file=onnx.file,
        onnx_sha256=onnx.sha256,
        precision=precision,
        flavour=flavour.name,
        version=flavour.version,
        gpu=gpu.name if gpu else PORTABLE,
        compute_capability=gpu.compute_capability if gpu else None,
        batches=_batches(network, options),
        patch_side=network.patch_side,
        flags=given,
        sha256=_NOT_YET,
        precision_evidence="network",
        verification=_not_run(flavour, gpu, precision, None),
    )
    return record.model_copy(update={"key": plan_key(record)})


def _batches(network: Network, options: BuildOptions) -> tuple[int, int, int]:
    if network.batch is not None:
        fixed = (network.batch,) * 3
        if options.batches not in (None, fixed):
            raise ConversionError(f"{network.file.name} takes {network.batch} patches a call; leave the batch out")
        return fixed
    least, usual, most = options.batches or BATCHES
    if not 1 <= least <= usual <= most:
        raise ConversionError(f"{least}, {usual}, {most} are no batches; give the smallest, the usual, the largest")
    return least, usual, most


def _built(
    flavour: Flavour,
    gpu: Gpu | None,
    precision: Precision,
    remainder: Precision,
    network: Network,
    record: PlanRecord,
    options: BuildOptions,
) -> bytes:
    trt, builder = flavour.trt, network.builder
    config = builder.create_builder_config()
    # The inspector says what layers compute in only if it is told so beforehand.
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    flavour.set_precision(config, precision, remainder)
    if options.workspace_mib is not None:
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, options.workspace_mib << 20)
    if gpu is not None:
        flavour.set_target(config)
    if options.version_compatible:
        flavour.set_version_compatible(config)
    if options.hardware is not None:
        flavour.set_hardware_level(config, options.hardware)
    if network.batch is None:
        side = network.patch_side
        profile = builder.create_optimization_profile()
        profile.set_shape(network.image, *((batch, side, side, 1) for batch in record.batches))
        config.add_optimization_profile(profile)
    timings = timings_path(flavour, gpu) if options.timings and flavour.keeps_timings and gpu else None
    if timings is not None:
        known = timings.read_bytes() if timings.is_file() else b""
        config.set_timing_cache(config.create_timing_cache(known), ignore_mismatch=False)
    flavour.forget()
    plan = builder.build_serialized_network(network.parsed, config)
    if plan is None:
        raise ConversionError(
            f"{flavour.title} cannot build {network.file.name} in {precision} ({flavour.first_error()}); "
            "see unetplus-export doctor"
        )
    if timings is not None:
        _keep_timings(timings, config.get_timing_cache())
    return bytes(plan)


def _keep_timings(path: Path, cache: Any) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as unfinished:
            unfinished.write_bytes(bytes(cache.serialize()))
    except OSError as error:
        raise OutputError(
            f"{path} cannot be written ({error.strerror}); free the disk, or name another cache in UNETPLUS_CACHE"
        ) from error
