"""Engines: one file a library that runs networks, all opened by `open_engine`.

Importing this package imports none of their libraries.
"""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

from unetplus_edge.bundle import Bundle
from unetplus_edge.errors import EngineError, InputError
from unetplus_edge.zoo import find_bundle
from unetplus_runtime.engines.base import Engine, EngineInfo
from unetplus_runtime.engines.plan_cache import find_plan

if TYPE_CHECKING:
    from unetplus_edge.manifest import EngineName, Precision, Target

    class _EngineClass(Protocol):
        def __call__(
            self, path: Path, *, device: str = ..., threads: int | None, execution: Precision | None
        ) -> Engine: ...


__all__ = ["ENGINES", "ORDER", "Engine", "EngineInfo", "EngineKind", "open_engine"]


class EngineKind(NamedTuple):
    """What is known of an engine before it is opened.

    Attributes
    ----------
    location
        `module:Class`.
    suffixes
        Of the files that it opens.
    targets
        The conversions that it runs; none where it runs the Keras model itself.
    """

    location: str
    suffixes: tuple[str, ...]
    targets: tuple[Target, ...]


ENGINES: dict[EngineName, EngineKind] = {
    "litert": EngineKind("unetplus_runtime.engines.litert:LiteRTEngine", (".tflite",), ("tflite",)),
    "onnxruntime": EngineKind("unetplus_runtime.engines.onnxruntime:OnnxRuntimeEngine", (".onnx",), ("onnx",)),
    "openvino": EngineKind("unetplus_runtime.engines.openvino:OpenVINOEngine", (".xml", ".onnx"), ("openvino", "onnx")),
    "tensorrt": EngineKind("unetplus_runtime.engines.tensorrt:TensorRTEngine", (".plan",), ("trt",)),
    "keras": EngineKind("unetplus_runtime.engines.keras:KerasEngine", (".keras",), ()),
}
"""Every engine by its name. A file that several open is opened by the first, unless one is named."""

ORDER: tuple[tuple[EngineName, Precision], ...] = (
    ("tensorrt", "fp16"),
    ("tensorrt", "int8"),
    ("tensorrt", "fp32"),
    ("openvino", "int8"),
    ("openvino", "fp32"),
    ("litert", "int8"),
    ("onnxruntime", "fp32"),
    ("litert", "fp32"),
    ("keras", "fp32"),
)
"""Engines with the precision that they execute, in the order in which `auto` tries them.

A GPU goes before the CPU, and there fp16 before int8, which is not reliably faster on one. On the
CPU the order is that of milliseconds a patch, as measured (`benchmarks/results/epyc-2-cores/`). A
verified conversion that is not in this list is tried after those that are.
"""


class _Candidate(NamedTuple):
    engine: EngineName
    file: Path
    execution: Precision | None

    @property
    def rank(self) -> int:
        row = (self.engine, self.execution)
        return ORDER.index(row) if row in ORDER else len(ORDER)


def open_engine(
    bundle_or_file: Bundle | Path | str,
    engine: EngineName | Literal["auto"] = "auto",
    device: str | None = None,
    threads: int | None = None,
    execution: Precision | None = None,
) -> Engine:
    """Open a network.

    Parameters
    ----------
    bundle_or_file
        A bundle, opened or by its folder or its name in the zoo: the conversion that was verified
        for the engine is taken, never one for patches of another side than the bundle's. Or a
        single file such as `net.tflite`: it is taken as it is, verified or not.
    engine
        "auto" tries what is verified in the order of `ORDER`, and takes the first that opens
        here; `info.passed_over` says why not the ones before it. An engine by name is that engine
        or an error. For a single file "auto" is the engine of its suffix.
    device
        What to compute on; None takes the engine's own: "cuda" for tensorrt, "cpu" for all others.
    threads
        Threads to compute with; None takes every core that the process may use.
    execution
        Precision to compute in; None takes the first in `ORDER` that is verified, for a single
        file the file's own.

    Returns
    -------
    Engine
        To be closed after use; it is a context manager.

    Raises
    ------
    EngineError
        If none opens. The sentence has the reason of each, and what to run.
    BundleError
        If there is no such bundle, or it is damaged.
    """
    if engine != "auto" and engine not in ENGINES:
        raise InputError(f"{engine} is no engine; use one of auto, {', '.join(ENGINES)}")
    if isinstance(bundle_or_file, Bundle):
        candidates, refused = _bundle_candidates(bundle_or_file, engine, execution)
    elif Path(bundle_or_file).suffix in {suffix for kind in ENGINES.values() for suffix in kind.suffixes}:
        candidates, refused = [_file_candidate(Path(bundle_or_file), engine, execution)], []
    else:
        return open_engine(find_bundle(bundle_or_file), engine, device, threads, execution)
    if engine != "auto" and candidates:
        return _open(candidates[0], device, threads)
    for candidate in candidates:
        opened = _try_to_open(candidate, device, threads)
        if not isinstance(opened, EngineError):
            # Of several files of an engine, each may be refused for one reason.
            passed_over = dict.fromkeys(reason for rank, reason in sorted(refused) if rank < candidate.rank)
            opened.info = replace(opened.info, passed_over=tuple(passed_over))
            return opened
        refused.append((candidate.rank, f"{candidate.engine}: {opened}"))
    reasons = "; ".join(dict.fromkeys(reason for _, reason in sorted(refused)))
    raise EngineError(reasons if engine != "auto" else f"no engine opens here: {reasons}")


def _open(candidate: _Candidate, device: str | None, threads: int | None) -> Engine:
    module, _, name = ENGINES[candidate.engine].location.partition(":")
    engine_class: _EngineClass = getattr(import_module(module), name)
    chosen = {} if device is None else {"device": device}
    return engine_class(candidate.file, threads=threads, execution=candidate.execution, **chosen)


def _try_to_open(candidate: _Candidate, device: str | None, threads: int | None) -> Engine | EngineError:
    try:
        return _open(candidate, device, threads)
    except EngineError as error:
        return error


def _file_candidate(path: Path, engine: EngineName | Literal["auto"], execution: Precision | None) -> _Candidate:
    if not path.is_file():
        raise EngineError(f"{path} is no file; name a bundle, or a file that is there")
    names = [name for name, kind in ENGINES.items() if path.suffix in kind.suffixes]
    if engine not in ("auto", *names):
        raise EngineError(
            f"{engine} runs no {path.suffix} files; leave the engine out, or ask for {' or '.join(names)}"
        )
    return _Candidate(names[0] if engine == "auto" else engine, path, execution)


def _bundle_candidates(
    bundle: Bundle, engine: EngineName | Literal["auto"], execution: Precision | None
) -> tuple[list[_Candidate], list[tuple[int, str]]]:
    """Return what can be tried, best first, and why the other engines cannot, with their rank."""
    names = list(ENGINES) if engine == "auto" else [engine]
    candidates: list[_Candidate] = []
    refused: list[tuple[int, str]] = []
    for name in names:
        found, reason = _verified(bundle, name, execution)
        candidates += found
        if not found:
            # What was never converted is not passed over: it is told only where nothing opens.
            targets = {record.target for record in bundle.manifest.conversions if record.patch_side is None}
            there = bundle.manifest.plans if name == "tensorrt" else targets & {*ENGINES[name].targets}
            ranks = (rank for rank, (ranked, _) in enumerate(ORDER) if ranked == name and there)
            refused.append((min(ranks, default=len(ORDER)), f"{name}: {reason}"))
    return sorted(candidates, key=lambda candidate: candidate.rank), refused


def _verified(bundle: Bundle, name: EngineName, execution: Precision | None) -> tuple[list[_Candidate], str]:
    """Return what an engine may run of a bundle, or why there is nothing."""
    if name == "tensorrt":
        return _verified_plans(bundle, execution)
    targets = ENGINES[name].targets
    if not targets:
        # The Keras model is what the others are verified against.
        return [_Candidate(name, bundle.keras_path, execution or "fp32")], ""
    # An engine's own format before one that it merely reads; without those that the bundle's frames do not fit.
    conversions = [
        record
        for target in targets
        for record in bundle.manifest.conversions
        if record.target == target and record.patch_side is None
    ]
    if not conversions:
        convert = f"unetplus-export {bundle.path} --target {targets[0]}"
        return [], f"{bundle.path} holds no {targets[0]} conversion; run: {convert}"
    verify = f"run: unetplus-export verify {bundle.path}"
    candidates: list[_Candidate] = []
    reasons: list[str] = []
    for record in conversions:
        passed = record.verified_by(name)
        failed = next((tried for tried in record.verifications if tried.engine == name), None)
        if passed is not None and execution in (None, passed.executed_precision):
            candidates.append(_Candidate(name, bundle.file_of(record), passed.executed_precision))
        elif passed is not None:
            reasons.append(f"{record.file} computes in {passed.executed_precision}, not in {execution}")
        elif failed is not None and failed.reason is not None:
            reasons.append(f"{record.file} is not verified ({failed.reason}); {verify}")
        else:
            reasons.append(f"{record.file} was never verified with {name}; {verify}")
    # Of files that are computed alike, first those that are not widened for it.
    stored = {bundle.file_of(record): record.stored_precision for record in conversions}
    candidates.sort(key=lambda candidate: stored[candidate.file] != candidate.execution)
    return candidates, "; ".join(reasons)


def _verified_plans(bundle: Bundle, execution: Precision | None) -> tuple[list[_Candidate], str]:
    """Return the TensorRT engines of a bundle that are in this machine's cache and verified, or why there is none."""
    build = f"run: unetplus-export {bundle.path} --target trt"
    plans = [plan for plan in bundle.manifest.plans if plan.patch_side == bundle.manifest.recipe.patch_side]
    if not plans:
        return [], f"{bundle.path} has no TensorRT engine; {build}"
    candidates: list[_Candidate] = []
    reasons: list[str] = []
    for plan in plans:
        found = find_plan(plan.key)
        if found is None:
            reasons.append(f"its {plan.precision} engine for {plan.gpu} is not in this machine's cache; {build}")
            continue
        path, record = found
        computes = record.verification.executed_precision
        if not record.verification.verified:
            reasons.append(
                f"{path} is not verified ({record.verification.reason}); run: unetplus-export verify {bundle.path}"
            )
        elif execution not in (None, computes):
            reasons.append(f"{path} computes in {computes}, not in {execution}")
        else:
            candidates.append(_Candidate("tensorrt", path, computes))
    return candidates, "; ".join(reasons)
