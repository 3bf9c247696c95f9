"""Measure the way from a frame to its nuclei beside its engine, and beside what libraries offer.

`python -m unetplus_bench.frame_path [--bundle MODEL] --out FILE` writes one result file. Every part
can be left out with `--parts`.
"""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from unetplus_bench.device import code_version, device_facts, warnings_about
from unetplus_bench.frame_path.nuclei import same_nuclei
from unetplus_bench.frame_path.path import ALONE, FRAME, STREAM, PathSubject
from unetplus_bench.frame_path.steady import BlockSubject, Model, allocations, residence
from unetplus_bench.frame_path.straightforward import StraightforwardSubject
from unetplus_bench.measuring.rounds import Schedule, measure_rounds
from unetplus_bench.preprocessing import in_turns
from unetplus_edge.commands import Command, command_line
from unetplus_edge.datasets import open_dsb2018
from unetplus_edge.datasets.specimen import Specimen, simulate
from unetplus_edge.errors import InputError
from unetplus_edge.zoo import DEFAULT, find_bundle
from unetplus_runtime.results import write_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from unetplus_bench.measuring.worker import Subject

PARTS = ("ratios", "nuclei", "sizes", "blocks", "allocations", "residence")
SIDE = 1024


def ratios(model: Model, frame: Path, rounds: int) -> dict[str, Any]:
    """Return milliseconds a frame of everything, and what the path costs as a multiple of the others."""
    subjects: list[Subject] = [
        PathSubject(model.bundle, model.engine, model.execution, model.threads, frame),
        StraightforwardSubject(model.bundle, frame),
    ]
    ours, slow = measure_rounds(subjects, Schedule(rounds=rounds, calls=1, warm_up=2.0))
    for found in (ours, slow):
        if found.error is not None:
            raise InputError(f"nothing was measured: {found.error}")
    ms = {name: 1e3 * float(np.median(seconds)) for name, seconds in ours.stages.items()}
    straight = [seconds for turn in slow.rounds for seconds in turn]
    alone = {name: np.array(seconds) for name, seconds in ours.stages.items() if name.startswith(ALONE)}
    best = min(alone, key=lambda name: float(np.median(alone[name])))
    paths = {name: np.array(ours.stages[name]) for name in (FRAME, STREAM)}
    return {
        "engine": ours.facts,
        "rounds": rounds,
        "ms_per_frame": {**ms, "straightforward": 1e3 * float(np.median(straight))},
        "best_of_the_engine_alone": best,
        "to_the_engine_alone": {name: float(np.median(path / alone[best])) for name, path in paths.items()},
        "faster_than_straightforward": {
            name: float(np.median(np.array(straight) / path)) for name, path in paths.items()
        },
    }


def sizes(model: Model, tile: NDArray[Any], sides: tuple[int, ...], rounds: int) -> dict[str, Any]:
    """Return nanoseconds a pixel by the side of the frame, and what of the smallest is not its pixels' share."""
    with model.open() as segmenter:

        def of(side: int) -> Callable[[], object]:
            repeats = -(-side // len(tile))
            frame = np.ascontiguousarray(np.tile(tile, (repeats, repeats))[:side, :side])
            return lambda: segmenter.segment(frame)

        times = in_turns({str(side): of(side) for side in sides}, rounds)
    per_pixel = {side: float(np.median(seconds)) / int(side) ** 2 * 1e9 for side, seconds in times.items()}
    large = [nanoseconds for side, nanoseconds in per_pixel.items() if int(side) >= 2048]
    smallest = min(sides)
    share = float(np.median(large or list(per_pixel.values())))
    return {
        "rounds": rounds,
        "ns_per_pixel": per_pixel,
        "spread_of_2048_and_more": max(large) / min(large) - 1 if large else None,
        "smallest_ms": float(np.median(times[str(smallest)])) * 1e3,
        "fixed_ms_of_the_smallest": (per_pixel[str(smallest)] - share) * smallest**2 * 1e-6,
    }


def blocks(model: Model, frame: Path, sides: tuple[int, ...], block: int) -> dict[str, Any]:
    """Return the peak memory of processes that segment frames of several sizes block by block."""
    found = {}
    for side in sides:
        (measured,) = measure_rounds(
            [BlockSubject(model, frame, side, block)], Schedule(rounds=0, warm_up=0.0, patience=36_000)
        )
        found[str(side)] = measured.error or measured.peak_memory
    peaks = [peak for peak in found.values() if isinstance(peak, int)]
    return {"block": block, "peak_memory": found, "spread": max(peaks) / min(peaks) - 1 if peaks else None}


def _sides(_context: click.Context, _parameter: click.Parameter, value: str) -> tuple[int, ...]:
    return tuple(int(side) for side in value.split(","))


@click.command(cls=Command)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Result file, JSON.")
@click.option("--bundle", default=DEFAULT, show_default=True, help="The model: a folder, or a name in the zoo.")
@click.option("--engine", default="openvino", show_default=True, help="What runs it.")
@click.option("--execution", default="int8", show_default=True, help="Precision to compute in.")
@click.option("--threads", type=click.IntRange(1), help="Of everything.  [default: every core]")
@click.option("--parts", default=",".join(PARTS), show_default=True, help="What to measure.")
@click.option("--rounds", type=click.IntRange(1), default=30, show_default=True, help="Of the ratios.")
@click.option("--images", type=click.IntRange(1), help="Test images whose nuclei are compared; all of them.")
@click.option("--sides", callback=_sides, default="256,2048,4096,8192", show_default=True, help="Of frames.")
@click.option("--size-rounds", type=click.IntRange(1), default=3, show_default=True, help="Of the sizes.")
@click.option("--block-sides", callback=_sides, default="4096,8192,16384", show_default=True, help="Of large frames.")
@click.option("--block", type=click.IntRange(256), default=2048, show_default=True, help="Side of a block.")
@click.option("--frames", type=click.IntRange(100), default=10_000, show_default=True, help="Of the residence.")
@click.option(
    "--frame-side", type=click.IntRange(32), default=256, show_default=True, help="Of the residence's frames."
)
@click.pass_context
def main(
    context: click.Context,
    out: Path,
    bundle: str,
    engine: Any,
    execution: Any,
    threads: int | None,
    parts: str,
    rounds: int,
    images: int | None,
    sides: tuple[int, ...],
    size_rounds: int,
    block_sides: tuple[int, ...],
    block: int,
    frames: int,
    frame_side: int,
) -> None:
    """Measure the path from a frame to its nuclei: ratios, sizes and memory."""
    before = device_facts()
    model = Model(find_bundle(bundle).path.resolve(), engine, execution, threads)
    tile = simulate(Specimen(height=SIDE, width=SIDE)).image
    chosen = parts.split(",")
    if unknown := set(chosen) - set(PARTS):
        raise InputError(f"{', '.join(sorted(unknown))} is no part; name some of {', '.join(PARTS)}")
    report: dict[str, Any] = {"command": command_line(context), "commit": code_version()}
    with TemporaryDirectory() as folder:
        frame = Path(folder) / "frame.npy"
        np.save(frame, tile)
        if "ratios" in chosen:
            report["ratios"] = ratios(model, frame, rounds)
        if "sizes" in chosen:
            report["sizes"] = sizes(model, tile, sides, size_rounds)
        if "blocks" in chosen:
            report["blocks"] = blocks(model, frame, block_sides, block)
        if "allocations" in chosen:
            report["allocations"] = allocations(model, tile)
        if "residence" in chosen:
            small = simulate(Specimen(height=frame_side, width=frame_side)).image
            report["residence"] = residence(model, small, frames)
        if "nuclei" in chosen:
            samples = open_dsb2018(labels="released").test
            samples = samples[:: max(len(samples) // images, 1)][:images] if images else samples
            precisions = tuple(dict.fromkeys((execution, "fp32")))
            report["nuclei"] = same_nuclei(model.bundle, engine, precisions, samples)
    after = device_facts()
    report |= {"warnings": warnings_about(before, after), "device": before}
    write_text(out, json.dumps(report, indent=1) + "\n")
    shown = {name: part for name, part in report.items() if name in PARTS}
    shown.get("residence", {}).pop("resident", None)
    click.echo(json.dumps(shown, indent=1))


if __name__ == "__main__":
    main(prog_name="python -m unetplus_bench.frame_path")
