"""TensorRT engines ("plans") in the user's cache: found by what they were built of, for and with.

An entry is a folder with the plan and beside it, as JSON, the `PlanRecord` that says what it is.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from unetplus_edge.errors import EngineError, OutputError
from unetplus_edge.files import sha256_of, whole_file
from unetplus_edge.manifest import PlanRecord
from unetplus_runtime.engines.gpu import sm
from unetplus_runtime.engines.tensorrt_flavour import TITLES

if TYPE_CHECKING:
    from unetplus_runtime.engines.gpu import Gpu
    from unetplus_runtime.engines.tensorrt_flavour import Flavour

PORTABLE = "portable"
"""Stands for the GPU of a plan that was built without one."""

REBUILD = "unetplus-export BUNDLE --target trt"
"""The command that builds plans."""

_PLAN, _SIDECAR = "model.plan", "model.json"
# What decides whether a plan may be used in place of another.
_KEY_FIELDS = {
    "onnx_sha256",
    "precision",
    "flavour",
    "version",
    "gpu",
    "compute_capability",
    "batches",
    "patch_side",
    "flags",
}


def cache_folder() -> Path:
    """Return the user's cache: $UNETPLUS_CACHE, or `unetplus-edge` in the cache folder of the desktop standard."""
    own = os.environ.get("UNETPLUS_CACHE")
    if own:
        return Path(own)
    shared = os.environ.get("XDG_CACHE_HOME")
    return (Path(shared) if shared else Path.home() / ".cache") / "unetplus-edge"


def plan_key(record: PlanRecord) -> str:
    """Return the key of a plan, whatever key its record bears: the SHA-256 of what decides its use."""
    facts = record.model_dump(mode="json", include=_KEY_FIELDS)
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def plan_path(key: str) -> Path:
    """Return where the plan of a key lies, if it is there."""
    return cache_folder() / "plans" / key / _PLAN


def timings_path(flavour: Flavour, gpu: Gpu) -> Path:
    """Return where what a builder measured on a GPU is kept, to build faster next time."""
    name = re.sub(r"[^a-z0-9.]+", "-", f"{flavour.name} {flavour.version} {gpu.name} {gpu.sm}".lower())
    return cache_folder() / "timings" / f"{name}.cache"


def sidecar_path(plan: Path) -> Path:
    """Return where the record of a plan lies."""
    return plan.with_suffix(".json")


def find_plan(key: str) -> tuple[Path, PlanRecord] | None:
    """Return a plan of the cache and its record; None if there is none, or it is damaged."""
    path = plan_path(key)
    try:
        record = read_plan(path)
    except EngineError:
        return None
    return (path, record) if record.key == key else None


def read_plan(path: Path) -> PlanRecord:
    """Return the record of a plan, which is checked to be the plan that the record was written for.

    Raises
    ------
    EngineError
        If either is missing or damaged.
    """
    sidecar = sidecar_path(path)
    if not path.is_file():
        raise EngineError(f"{path} is not there. Build it: {REBUILD}")
    try:
        record = PlanRecord.model_validate_json(sidecar.read_bytes())
    except FileNotFoundError:
        raise EngineError(
            f"{path} has no {sidecar.name} beside it, which says what it was built for. Rebuild: {REBUILD}"
        ) from None
    except (OSError, ValidationError) as error:
        raise EngineError(f"{sidecar} cannot be read ({str(error).splitlines()[0]}). Rebuild: {REBUILD}") from error
    if plan_key(record) != record.key or sha256_of(path) != record.sha256:
        raise EngineError(
            f"{path} is not the engine that {sidecar.name} was written for (its SHA-256 differs). Rebuild: {REBUILD}"
        )
    return record


def require_usable(path: Path, record: PlanRecord, flavour: Flavour, gpu: Gpu) -> None:
    """Refuse a plan that was built by another version or for another GPU than are here.

    Raises
    ------
    EngineError
        Naming both, and the command that builds it again.
    """
    if not (flavour.loads(record.flavour, record.version, record.flags) and _is_for(record, gpu)):
        built_for = PORTABLE if record.compute_capability is None else sm(record.compute_capability)
        here = gpu.sm
        if built_for == here:
            # The same architecture is no help where the models differ.
            built_for, here = f"{record.gpu} ({built_for})", f"{gpu.name} ({here})"
        raise EngineError(
            f"{path.name} was built by {TITLES[record.flavour]} {record.version} for {built_for}; this machine has "
            f"{flavour.title} and {here}. Rebuild: {REBUILD}"
        )


def _is_for(record: PlanRecord, gpu: Gpu) -> bool:
    if record.compute_capability is None:
        return True
    if "hardware:ampere+" in record.flags:
        return int(gpu.compute_capability.split(".")[0]) >= 8
    same_capability = record.compute_capability == gpu.compute_capability
    return same_capability and ("hardware:same-capability" in record.flags or record.gpu == gpu.name)


def store_plan(plan: bytes, record: PlanRecord) -> Path:
    """Write a plan and its record into the cache, both or neither, in place of an earlier one.

    Parameters
    ----------
    plan
        The engine.
    record
        With its key and the plan's SHA-256.

    Returns
    -------
    pathlib.Path
        Where the plan lies.

    Raises
    ------
    OutputError
        If the cache cannot be written.
    """
    entry = plan_path(record.key).parent
    try:
        entry.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".unfinished-{entry.name}-", dir=entry.parent) as folder:
            new = Path(folder) / "new"
            new.mkdir()
            with whole_file(new / _PLAN) as unfinished:
                unfinished.write_bytes(plan)
            _write_sidecar(new / _SIDECAR, record)
            if entry.exists():
                entry.rename(Path(folder) / "old")
            new.rename(entry)
    except OSError as error:
        raise _unwritable(entry.parent, error) from error
    return entry / _PLAN


def update_record(plan: Path, record: PlanRecord) -> None:
    """Replace the record beside a plan that stays as it is, after it was inspected or verified.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    try:
        _write_sidecar(sidecar_path(plan), record)
    except OSError as error:
        raise _unwritable(plan.parent, error) from error


def _write_sidecar(path: Path, record: PlanRecord) -> None:
    with whole_file(path) as unfinished:
        unfinished.write_text(record.model_dump_json(indent=2) + "\n", encoding="utf-8")


def _unwritable(folder: Path, error: OSError) -> OutputError:
    return OutputError(
        f"{folder} cannot be written ({error.strerror}); free the disk or the folder, or name another in UNETPLUS_CACHE"
    )
