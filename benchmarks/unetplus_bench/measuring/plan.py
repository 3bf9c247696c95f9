"""Which rows a measurement has, and what each of them is told to time."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

from unetplus_bench.measuring.camera import CameraSubject
from unetplus_bench.measuring.files import served_files, timed_files
from unetplus_bench.measuring.subjects import FrameSubject, NetworkSubject
from unetplus_bench.results import NET_SCOPES, NetworkRecord, Row
from unetplus_edge.architecture_cost import architecture_cost
from unetplus_edge.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from unetplus_bench.measuring.material import Material
    from unetplus_bench.measuring.worker import Subject
    from unetplus_bench.results import Scope
    from unetplus_edge.bundle import Bundle
    from unetplus_edge.manifest import EngineName, Manifest, Precision

FRAME = (1024, 1024)
"""Height and width in pixels of a frame where none is asked for."""

RATE = 10.0
"""Frames a second of a camera where none is asked for."""


@dataclass(frozen=True)
class Wanted:
    """What is to be measured of every bundle.

    Attributes
    ----------
    engines, precisions
        As `unetplus_bench.measuring.files.timed_files` takes them.
    device
        What to compute on; None takes each engine's own.
    batches
        Patches a call, in the scopes of the network alone.
    threads
        Of the engines; None takes each engine's own number.
    scopes
        What times cover.
    frames
        Height and width of frames, in the scopes "frame" and "camera".
    rates
        Frames a second, in the scope "camera".
    test_patches
        Time all patches of the article's test images in place of simulated ones.
    """

    engines: tuple[EngineName, ...] | None = None
    precisions: tuple[Precision, ...] | None = None
    device: str | None = None
    batches: tuple[int, ...] = (1,)
    threads: tuple[int | None, ...] = (None,)
    scopes: tuple[Scope, ...] = ("net",)
    frames: tuple[tuple[int, int], ...] = (FRAME,)
    rates: tuple[float, ...] = (RATE,)
    test_patches: bool = False


@dataclass(frozen=True)
class Planned:
    """A row that is to be measured.

    Attributes
    ----------
    row
        With all that is known before it is opened; with `error` where it is not to be opened.
    subject
        What times it in turns; None where there is an error already, and in the scope "camera".
    manifest
        Of its bundle, to look up what was verified of its file; None for what is of no bundle.
    camera
        The service and its camera, in the scope "camera".
    """

    row: Row
    subject: Subject | None
    manifest: Manifest | None = None
    camera: CameraSubject | None = None


def planned_rows(bundles: Sequence[Bundle], wanted: Wanted, material: Material) -> list[Planned]:
    """Return the rows of a measurement, in the order of its table.

    Raises
    ------
    InputError
        If the scope cannot be measured, or there is nothing to measure.
    """
    if "camera" in wanted.scopes and wanted.device is not None:
        raise InputError("the service takes each engine's own device: leave --device out, or the scope camera")
    rows = [
        planned
        for bundle, label in zip(bundles, _labels(bundles), strict=True)
        for scope in wanted.scopes
        for planned in _of_bundle(bundle, label, scope, wanted, material)
    ]
    if not rows:
        raise InputError("nothing is to be measured so: the scope net+copies is for engines on a GPU; ask for net")
    return rows


def _of_bundle(bundle: Bundle, label: str, scope: Scope, wanted: Wanted, material: Material) -> Iterator[Planned]:
    recipe = bundle.manifest.recipe
    cost = architecture_cost(recipe.architecture, recipe.patch_side)
    network = NetworkRecord(
        name=recipe.architecture.name,
        base_filters=recipe.architecture.base_filters,
        weights=cost.weights,
        macs=cost.macs,
        side=recipe.patch_side,
    )
    files = timed_files(bundle, wanted.engines, wanted.precisions)
    for file in served_files(files, bundle.manifest) if scope == "camera" else files:
        on_gpu = _on_gpu(file.engine, wanted.device)
        if scope == "net+copies" and not on_gpu:
            # On a CPU there is nothing to copy: "net" is all there is.
            continue
        shapes: Iterable[tuple[int, int] | None] = (None,) if scope in NET_SCOPES else wanted.frames
        rates: Iterable[float | None] = wanted.rates if scope == "camera" else (None,)
        batches = wanted.batches if scope in NET_SCOPES else (1,)
        for shape, rate, batch, threads in product(shapes, rates, batches, wanted.threads):
            row = Row(
                name=_name(f"{label} {file.title}", scope, shape, rate, batch, threads),
                scope=scope,
                network=network,
                engine=file.engine,
                stored_precision=file.stored,
                executed_precision=file.execution if scope == "camera" else None,
                device=wanted.device or ("cuda" if file.engine == "tensorrt" else "cpu"),
                batch=batch,
                threads=threads,
                frame_shape=shape,
                file_bytes=file.size,
                file_sha256=file.sha256,
                error=file.error,
            )
            if file.path is None or file.error is not None:
                yield Planned(row, None)
                continue
            if shape is not None and rate is not None:
                camera = CameraSubject(bundle.path, file.engine, file.execution, threads, shape, rate)
                yield Planned(row, None, bundle.manifest, camera)
                continue
            opens = (bundle.path, file.path, file.engine, wanted.device, threads, file.execution)
            subject: Subject
            if shape is not None:
                subject = FrameSubject(*opens, material.frame(shape))
            else:
                patches = _patches(bundle, batch, wanted, material)
                subject = NetworkSubject(*opens, batch, patches, compute_only=scope == "net" and on_gpu)
            yield Planned(row, subject, bundle.manifest)


def _patches(bundle: Bundle, batch: int, wanted: Wanted, material: Material) -> Path:
    recipe = bundle.manifest.recipe
    return material.test_patches(recipe) if wanted.test_patches else material.simulated_patches(recipe, batch)


def _on_gpu(engine: EngineName, device: str | None) -> bool:
    return engine == "tensorrt" if device is None else not device.startswith("cpu")


def _labels(bundles: Sequence[Bundle]) -> list[str]:
    """Return names that differ: those of the manifests, or where two are the same, the folders'."""
    names = [bundle.manifest.name for bundle in bundles]
    return [name if names.count(name) == 1 else str(bundle.path) for name, bundle in zip(names, bundles, strict=True)]


def _name(
    what: str, scope: Scope, shape: tuple[int, int] | None, rate: float | None, batch: int, threads: int | None
) -> str:
    parts = [what]
    if shape is not None:
        parts.append(f"{scope} {shape[0]}x{shape[1]}")
    elif scope != "net":
        parts.append(scope)
    if rate is not None:
        parts.append(f"{rate:g} a second")
    if batch != 1:
        parts.append(f"batch {batch}")
    if threads is not None:
        parts.append(f"{threads} thread{'s' if threads != 1 else ''}")
    return ", ".join(parts)
