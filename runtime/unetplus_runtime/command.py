"""`unetplus-runtime`: frames in, nuclei out."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click
from rich.console import Console

from unetplus_edge import __version__
from unetplus_edge.commands import Group
from unetplus_edge.errors import PartialResultError
from unetplus_edge.zoo import DEFAULT
from unetplus_runtime.batch import Outcome, make_plan, segment_files
from unetplus_runtime.demo import count_table, demo_frames, save_pictures, stage_table
from unetplus_runtime.engines import ENGINES
from unetplus_runtime.progress import progress_bar
from unetplus_runtime.segmenter import Segmenter

if TYPE_CHECKING:
    from unetplus_edge.manifest import EngineName
    from unetplus_runtime.engines import EngineInfo


@click.group(cls=Group)
@click.version_option(__version__, package_name="unetplus-edge")
def main() -> None:
    """Segment nuclei with a trained model. Not for diagnosis."""


@main.command(epilog="Example: unetplus-runtime segment images/ --out results/")
@click.argument("inputs", metavar="INPUT...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="Folder of the results.")
@click.option("--bundle", default=DEFAULT, show_default=True, help="The model: a folder, or a name in the zoo.")
@click.option(
    "--engine", type=click.Choice(["auto", *ENGINES]), default="auto", show_default=True, help="What runs it."
)
@click.option("--threads", type=click.IntRange(min=1), help="Threads of the engine.  [default: every core]")
@click.option("--pixel-size", type=click.FloatRange(min=0, min_open=True), help="Side of a pixel in micrometres.")
@click.option("--overwrite", is_flag=True, help="Replace results that exist.")
@click.option("--json", "as_json", is_flag=True, help="Print what was done as JSON.")
@click.option("--quiet", is_flag=True, help="Print errors only.")
def segment(
    inputs: tuple[Path, ...],
    out: Path,
    bundle: str,
    engine: EngineName | Literal["auto"],
    threads: int | None,
    pixel_size: float | None,
    overwrite: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Segment PNG and TIFF files, and all that lie in folders.

    Every page of a TIFF file is a frame. Results of a frame: ID_labels.tif, ID_overlay.png and
    ID_nuclei.csv; of all frames: summary.csv.
    """
    # Files that tifffile grumbles about are read or refused; either way there is nothing to add.
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)
    plan = make_plan(inputs, out, overwrite=overwrite)
    with (
        Segmenter(bundle, engine, threads) as segmenter,
        progress_bar("segmenting", plan.frame_count, quiet=quiet) as done,
    ):
        outcome = segment_files(plan, segmenter, pixel_size, done)
    if as_json:
        click.echo(json.dumps(_report(out, segmenter.engine, outcome), indent=2))
    elif not quiet:
        for reason in segmenter.engine.passed_over:
            click.echo(f"passed over {reason}", err=True)
        click.echo(_sentence(out, segmenter.engine, outcome))
    if outcome.refused:
        for refusal in outcome.refused:
            click.echo(f"refused: {refusal}", err=True)
        total = len(outcome.rows) + len(outcome.refused)
        raise PartialResultError(
            f"{len(outcome.refused)} of {total} images were refused, as listed above; "
            f"the results of all others are in {out}"
        )


@main.command(epilog="Example: unetplus-runtime demo --out demo/")
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="Folder of the pictures.")
@click.option("--bundle", default=DEFAULT, show_default=True, help="The model: a folder, or a name in the zoo.")
@click.option("--frames", type=click.IntRange(min=1), default=6, show_default=True, help="Frames to simulate.")
@click.option("--side", type=click.IntRange(min=32), default=512, show_default=True, help="Height and width, px.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the first specimen.")
def demo(out: Path, bundle: str, frames: int, side: int, seed: int) -> None:
    """Segment simulated frames and compare the counts with the truth."""
    with Segmenter(bundle) as segmenter:
        done = list(demo_frames(segmenter, frames=frames, side=side, seed=seed))
        engine = segmenter.engine
    paths = save_pictures(done, out)
    title = f"{frames} simulated frames of {side} x {side}, {engine.engine} {engine.executed_precision}"
    Console().print(count_table(done, title), stage_table(done))
    click.echo(f"Open {paths[0]}; every frame by itself: {', '.join(path.name for path in paths[1:])}")


def _report(out: Path, engine: EngineInfo, outcome: Outcome) -> dict[str, Any]:
    return {
        "out": str(out),
        "engine": asdict(engine) | {"file": str(engine.file)},
        "frames": [asdict(row) for row in outcome.rows],
        "refused": outcome.refused,
    }


def _sentence(out: Path, engine: EngineInfo, outcome: Outcome) -> str:
    nuclei = sum(row.nuclei for row in outcome.rows)
    frames = len(outcome.rows)
    seconds = sum(row.seconds for row in outcome.rows)
    speed = f", {1000 * seconds / frames:.0f} ms a frame" if frames else ""
    return (
        f"{nuclei:,} nuclei in {frames:,} frame{'' if frames == 1 else 's'} ({engine.engine} "
        f"{engine.executed_precision}{speed}); results in {out}"
    )
