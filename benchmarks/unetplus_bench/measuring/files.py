"""The files of a bundle that an engine can be timed on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from unetplus_bench.measuring.accuracy import refused
from unetplus_edge.files import sha256_of
from unetplus_runtime.engines import ENGINES
from unetplus_runtime.engines.plan_cache import find_plan

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from unetplus_edge.bundle import Bundle
    from unetplus_edge.manifest import ConversionRecord, EngineName, Manifest, Precision

_STORED: tuple[Precision, ...] = ("fp32", "fp16", "int8")
_EXECUTED_ALONE: dict[Precision, tuple[EngineName, ...]] = {
    "bf16": ("openvino",),
    "tf32": ("onnxruntime",),
}
"""Precisions that no file is stored in, and the engines that compute a float32 file in them when asked."""


@dataclass(frozen=True)
class TimedFile:
    """A file on an engine.

    Attributes
    ----------
    engine
        What opens it.
    title
        What it is called beside others of its bundle: engine, format where it is not the engine's
        own, and precision.
    path, sha256, size
        Where it lies, its hash, and its bytes with companions; null where there is no such file.
    stored
        Precision of its weights.
    execution
        What the engine is asked to compute in; null for what it takes by itself.
    error
        Why it is not timed, in one sentence; null where it is.
    """

    engine: EngineName
    title: str
    path: Path | None = None
    sha256: str | None = None
    size: int | None = None
    stored: Precision | None = None
    execution: Precision | None = None
    error: str | None = None


def timed_files(
    bundle: Bundle, engines: tuple[EngineName, ...] | None, precisions: tuple[Precision, ...] | None
) -> list[TimedFile]:
    """Return what can be timed of a bundle, or why it cannot be, Keras first.

    Parameters
    ----------
    bundle
        The bundle.
    engines
        Which; None takes all that the bundle has files for.
    precisions
        Which: of weights in a file, and "bf16" and "tf32" of computing. None takes all files as
        they are.
    """
    names = [name for name in ("keras", *ENGINES) if engines is None or name in engines]
    found: list[TimedFile] = []
    for name in dict.fromkeys(names):
        files = [file for file in _files(bundle, name) if precisions is None or file.stored in precisions]
        files += [
            _in(file, precision)
            for precision in precisions or ()
            if name in _EXECUTED_ALONE.get(precision, ())
            for file in _files(bundle, name)
            if file.stored == "fp32" and file.error is None
        ]
        if not files and engines is not None:
            files = [TimedFile(name, name, error=_nothing(bundle, name, precisions))]
        found += files
    return found


def served_files(files: Iterable[TimedFile], manifest: Manifest) -> list[TimedFile]:
    """Return the files that a service takes, which is told the engine and the precision to compute in, but no file.

    Parameters
    ----------
    files
        As `timed_files` returns them.
    manifest
        Of their bundle.

    Returns
    -------
    list of TimedFile
        With the precision to compute in; what is not to be timed, as it is. Of two that an engine computes alike,
        `open_engine` takes the one that is not widened for it, and so does this.
    """
    found: dict[tuple[str, Precision], TimedFile] = {}
    errors = [file for file in files if file.error is not None]
    for file in files:
        if file.error is None and file.stored is not None:
            executed = file.execution or _executed(file, manifest) or file.stored
            there = found.get((file.engine, executed))
            if there is None or (there.stored != executed and file.stored == executed):
                found[file.engine, executed] = replace(file, execution=executed)
    return [*found.values(), *errors]


def _executed(file: TimedFile, manifest: Manifest) -> Precision | None:
    """Return what a file was verified to compute in, or None where nobody has tried."""
    for conversion in manifest.conversions:
        passed = conversion.verified_by(file.engine)
        if conversion.sha256 == file.sha256 and passed is not None:
            return passed.executed_precision
    plans = (plan.verification for plan in manifest.plans if plan.sha256 == file.sha256)
    return next((tried.executed_precision for tried in plans), None)


def _files(bundle: Bundle, engine: EngineName) -> Iterable[TimedFile]:
    if engine == "keras":
        path = bundle.keras_path
        return [TimedFile(engine, "keras fp32", path, bundle.manifest.keras_sha256, path.stat().st_size, "fp32")]
    if engine == "tensorrt":
        return _plans(bundle)
    return _conversions(bundle, engine)


def _conversions(bundle: Bundle, engine: EngineName) -> Iterator[TimedFile]:
    targets = ENGINES[engine].targets
    for target in targets:
        # What is for patches of another side is of no use to the bundle's frames.
        records = [
            record for record in bundle.manifest.conversions if record.target == target and record.patch_side is None
        ]
        for record in records:
            through = "" if target == targets[0] else f" {target}"
            yield TimedFile(
                engine,
                f"{engine}{through} {_weights(record, records)}",
                bundle.file_of(record),
                record.sha256,
                sum((bundle.path / part.file).stat().st_size for part in record.files),
                record.stored_precision,
                error=refused(record, engine),
            )


def _weights(record: ConversionRecord, others: Iterable[ConversionRecord]) -> str:
    alike = [other for other in others if other.stored_precision == record.stored_precision]
    return f"{record.stored_precision}+{record.remainder}" if len(alike) > 1 else record.stored_precision


def _plans(bundle: Bundle) -> Iterator[TimedFile]:
    for plan in bundle.manifest.plans:
        if plan.patch_side != bundle.manifest.recipe.patch_side:
            continue
        title = f"tensorrt {plan.precision}"
        found = find_plan(plan.key)
        if found is None:
            error = (
                f"its engine for {plan.gpu} is not in this machine's cache; run: unetplus-export {bundle.path} "
                f"--target trt --precision {plan.precision}"
            )
            yield TimedFile("tensorrt", title, stored=plan.precision, error=error)
        else:
            path, record = found
            yield TimedFile(
                "tensorrt",
                title,
                path,
                sha256_of(path),
                path.stat().st_size,
                plan.precision,
                error=refused(record, "tensorrt"),
            )


def _in(file: TimedFile, precision: Precision) -> TimedFile:
    return TimedFile(
        file.engine, f"{file.title} in {precision}", file.path, file.sha256, file.size, file.stored, precision
    )


def _nothing(bundle: Bundle, engine: EngineName, precisions: tuple[Precision, ...] | None) -> str:
    wanted = [precision for precision in precisions or () if precision in _STORED]
    of = f" of weights in {' or '.join(wanted)}" if wanted else ""
    targets = ENGINES[engine].targets
    if not targets:
        return f"{engine} runs the trained model itself, which is in fp32; leave the precision out"
    precision = f" --precision {wanted[0]}" if wanted else ""
    return (
        f"{bundle.path} has no file{of} for {engine}; run: unetplus-export {bundle.path} --target {targets[0]}"
        f"{precision}"
    )
