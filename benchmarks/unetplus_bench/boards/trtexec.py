"""A result file of a log of trtexec, for boards that this project does not run on."""

from __future__ import annotations

import re
from pathlib import PureWindowsPath
from typing import TYPE_CHECKING, Any

from unetplus_bench.results import BenchmarkResult, NetworkRecord, Row
from unetplus_edge.architecture_cost import architecture_cost
from unetplus_edge.errors import InputError

if TYPE_CHECKING:
    from unetplus_bench.boards.trtexec_log import Times, TrtexecLog
    from unetplus_bench.results import Scope
    from unetplus_edge.bundle import Bundle

_KEPT = {
    "Device Information": (
        "SMs",
        "Device Global Memory",
        "Memory Bus Width",
        "Compute Clock Rate",
        "Memory Clock Rate",
        "Application Compute Clock Rate",
        "Application Memory Clock Rate",
    ),
    "Build Options": ("Precision",),
    "System Options": ("DLACore",),
    "Inference Options": (
        "Streams",
        "Inference Streams",
        "Data transfers",
        "Spin-wait",
        "CUDA Graph",
        "Duration",
        "Iterations",
    ),
}
"""What of trtexec's own words goes into the result, as it has it."""


def import_trtexec(
    log: TrtexecLog, command: str, *, device: str | None = None, bundle: Bundle | None = None
) -> BenchmarkResult:
    """Return a result of what trtexec measured: GPU compute time, and host latency where copies were timed.

    Parameters
    ----------
    log
        Of one run.
    command
        That imports it, as it was typed.
    device
        Name of the board, which the log does not tell: every Orin is "Orin" there. None takes the
        GPU's name.
    bundle
        Whose ONNX file was timed: then the network, and of the file of that name the precision, the
        size and the SHA-256, are known.

    Returns
    -------
    BenchmarkResult
        With the protocol "trtexec". The two times are from the log's first and last line, without
        a time zone.

    Raises
    ------
    InputError
        If the input was no batch of patches, or the bundle has no such ONNX file.
    """
    if len(log.shape) != 4 or log.shape[1:] != (log.shape[1], log.shape[1], 1):
        raise InputError(
            f"the network of the log takes {'x'.join(map(str, log.shape))}, not patches as n x side x side x 1; time "
            "an ONNX file of this project"
        )
    file = PureWindowsPath(log.file).name  # splits at both kinds of slash
    known = _known(bundle, file, log) if bundle is not None else {}
    scopes: dict[Scope, Times] = {"net": log.compute, **({"net+copies": log.latency} if log.latency else {})}
    batch = log.shape[0]
    rows = tuple(
        Row(
            name=f"{file}, {scope}",
            scope=scope,
            engine="tensorrt",
            library=f"tensorrt {log.version}",
            executed_precision=log.executed_precision,
            device=log.gpu,
            batch=batch,
            summary={name: value / batch for name, value in times.items()},
            **known,
        )
        for scope, times in scopes.items()
    )
    return BenchmarkResult(
        command=command,
        began=log.began,
        ended=log.ended,
        protocol="trtexec",
        device=_facts(log, device),
        warnings=_warnings(log),
        rows=rows,
    )


def _known(bundle: Bundle, file: str, log: TrtexecLog) -> dict[str, Any]:
    """Return what a bundle tells of a row."""
    architecture = bundle.manifest.recipe.architecture
    side = log.shape[1]
    cost = architecture_cost(architecture, side)
    network = NetworkRecord(
        name=architecture.name,
        base_filters=architecture.base_filters,
        weights=cost.weights,
        macs=cost.macs,
        side=side,
    )
    if log.is_engine:
        return {"network": network}
    files = {
        record.file.rpartition("/")[2]: record for record in bundle.manifest.conversions if record.target == "onnx"
    }
    if file not in files:
        raise InputError(
            f"{bundle.manifest.name} has no ONNX file {file}, only {', '.join(files) or 'none'}; name the bundle that "
            "was timed"
        )
    record = files[file]
    return {
        "network": network,
        "stored_precision": record.stored_precision,
        "file_sha256": record.sha256,
        "verified": record.verified_by("tensorrt") is not None,
        "file_bytes": sum((bundle.path / part.file).stat().st_size for part in record.files),
    }


def _facts(log: TrtexecLog, device: str | None) -> dict[str, Any]:
    told = {
        name: value
        for section, names in _KEPT.items()
        for name in names
        if (value := log.options.get(section, {}).get(name)) and not (log.is_engine and section == "Build Options")
    }
    return {
        "name": device or log.gpu,
        "gpus": [{"name": log.gpu, "compute_capability": log.compute_capability}],
        "libraries": {"tensorrt": log.version},
        "trtexec": {
            # Without the folders of the machine that it ran on.
            "command": re.sub(r"[^\s=,:]*[/\\]", "", log.command),
            "calls_per_second": log.throughput,
            **told,
        },
    }


def _warnings(log: TrtexecLog) -> tuple[str, ...]:
    inference = log.options.get("Inference Options", {})
    streams = inference.get("Inference Streams") or inference.get("Streams") or "1"
    shared = f"{streams} calls shared the GPU, so that each took longer than alone" if streams != "1" else None
    unknown = (
        "the log does not show what was computed in; add --profilingVerbosity=detailed --dumpLayerInfo"
        if log.executed_precision is None
        else None
    )
    return (*log.warnings, *(told for told in (shared, unknown) if told))
