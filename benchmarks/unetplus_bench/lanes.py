"""Which way engines on a CPU take several patches soonest: threads that share each, or one thread a patch.

`python -m unetplus_bench.lanes [--bundle MODEL] --out FILE` times every verified conversion of a
bundle both ways, in turns, and compares the answers, which are to be the same to the last bit.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np
from rich.progress import track

from unetplus_bench.device import code_version, device_facts, warnings_about
from unetplus_edge.commands import Command, command_line
from unetplus_edge.datasets.specimen import Specimen, simulate
from unetplus_edge.imaging import PatchGrid, preprocess
from unetplus_edge.zoo import DEFAULT, find_bundle
from unetplus_runtime.engines import open_engine
from unetplus_runtime.engines.lanes import LanedNetwork
from unetplus_runtime.results import write_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from unetplus_edge.bundle import Bundle

_ENGINES: tuple[Any, ...] = ("openvino", "litert", "onnxruntime")
SIDE = 1024


def in_turns(calls: dict[str, Callable[[], object]], rounds: int) -> dict[str, dict[str, float]]:
    """Return median milliseconds of each call, of the clock and of the cores' time, after one that is not kept."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in calls}
    for number in track(range(rounds + 1), description="rounds", transient=True):
        for name, call in calls.items():
            began, worked = time.perf_counter(), time.process_time()
            call()
            if number:
                times[name].append((time.perf_counter() - began, time.process_time() - worked))
    medians = {name: np.median(np.array(pairs), axis=0) * 1e3 for name, pairs in times.items()}
    return {name: {"ms": float(ms), "core_ms": float(core)} for name, (ms, core) in medians.items()}


def opened(bundle: Bundle, threads: int | None) -> dict[str, LanedNetwork]:
    """Return an engine for every conversion that one with lanes has verified."""
    found: dict[str, LanedNetwork] = {}
    for engine in _ENGINES:
        for record in bundle.manifest.conversions:
            passed = record.verified_by(engine)
            if passed is None or record.patch_side is not None or record.target == "bioimageio":
                continue
            network = open_engine(bundle.file_of(record), engine, threads=threads, execution=passed.executed_precision)
            if isinstance(network, LanedNetwork):
                found[f"{engine} {Path(record.file).name}"] = network
    return found


@click.command(cls=Command)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Result file, JSON.")
@click.option("--bundle", default=DEFAULT, show_default=True, help="The model: a folder, or a name in the zoo.")
@click.option("--threads", type=click.IntRange(2), help="Threads of an engine.  [default: every core]")
@click.option("--rounds", type=click.IntRange(1), default=20, show_default=True, help="Turns of each.")
@click.pass_context
def main(context: click.Context, out: Path, bundle: str, threads: int | None, rounds: int) -> None:
    """Time the patches of a 1024 x 1024 frame on every engine with lanes, with and without them."""
    before, model = device_facts(), find_bundle(bundle)
    recipe = model.manifest.recipe
    frame = simulate(Specimen(height=SIDE, width=SIDE)).image
    patches = PatchGrid(SIDE, SIDE, recipe.patch_side).cut(preprocess(frame, recipe.preprocessing))
    calls: dict[str, Callable[[], object]] = {}
    same, engines = {}, opened(model, threads)
    for name, engine in engines.items():
        shared = engine._shared()  # noqa: SLF001 - the setting that is not taken has no other name
        same[name] = bool(np.array_equal(shared.infer(patches).copy(), engine.infer(patches)))
        calls[f"{name}, threads share each patch"] = lambda shared=shared: shared.infer(patches)  # type: ignore[misc]
        calls[f"{name}, one thread a patch"] = lambda engine=engine: engine.infer(patches)  # type: ignore[misc]
    times = in_turns(calls, rounds)
    ratios = {
        name: times[f"{name}, one thread a patch"]["ms"] / times[f"{name}, threads share each patch"]["ms"]
        for name in engines
    }
    report = {
        "command": command_line(context),
        "commit": code_version(),
        "warnings": warnings_about(before, device_facts()),
        "patches": len(patches),
        "rounds": rounds,
        "times": times,
        "one_thread_a_patch_to_shared": ratios,
        "answers_are_the_same": same,
        "device": before,
    }
    write_text(out, json.dumps(report, indent=1) + "\n")
    click.echo(json.dumps({name: report[name] for name in ("times", "one_thread_a_patch_to_shared")}, indent=1))


if __name__ == "__main__":
    main(prog_name="python -m unetplus_bench.lanes")
