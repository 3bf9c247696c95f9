"""`unetplus-runtime`: frames in, nuclei out."""

from __future__ import annotations

import json
import logging
import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import click
import cv2
from rich.console import Console

from unetplus_edge import __version__
from unetplus_edge.commands import Group, printable
from unetplus_edge.errors import PartialResultError
from unetplus_edge.imaging import PATCH_SIDE
from unetplus_edge.manifest import Precision
from unetplus_edge.zoo import DEFAULT
from unetplus_runtime.batch import Outcome, segment_files
from unetplus_runtime.cameras.command import cameras
from unetplus_runtime.configuration.command import config
from unetplus_runtime.daemon.reload_command import reload_model
from unetplus_runtime.daemon.serve_command import serve
from unetplus_runtime.daemon.status_command import status
from unetplus_runtime.demo import FRAMES, count_table, demo_frames, save_pictures, stage_table
from unetplus_runtime.engines import ENGINES
from unetplus_runtime.formats import DEFAULT_FORMATS, FORMATS
from unetplus_runtime.large import Shard
from unetplus_runtime.large.cluster import require_dask
from unetplus_runtime.pages import MAX_PIXELS
from unetplus_runtime.pipeline import DEFAULT_GRID, GRIDS
from unetplus_runtime.plan import BLOCK_SIDE, Cutting, make_plan
from unetplus_runtime.progress import progress_bar
from unetplus_runtime.records.export import export_results
from unetplus_runtime.segmenter import Segmenter

if TYPE_CHECKING:
    from unetplus_edge.manifest import EngineName
    from unetplus_runtime.engines import EngineInfo
    from unetplus_runtime.pipeline import GridName
    from unetplus_runtime.plan import Plan


class _Path(click.Path):
    """A path that is not empty: of nothing, as an unset variable is, would become this folder."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return super().convert(value, param, ctx) if value else self.fail("the path is empty", param, ctx)


def _formats(_context: click.Context, _parameter: click.Parameter, value: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in value.split(","))
    for name in names:
        if name not in FORMATS:
            raise click.BadParameter(f"{name or 'nothing'} is not one of {', '.join(FORMATS)}")
    return tuple(dict.fromkeys(names))


def _block(_context: click.Context, _parameter: click.Parameter, value: int) -> int:
    if value % PATCH_SIDE:
        raise click.BadParameter(f"{value} is no multiple of {PATCH_SIDE}, the side of a patch")
    return value


def _shard(_context: click.Context, _parameter: click.Parameter, value: str | None) -> Shard | None:
    if value is None:
        return None
    number, slash, count = value.partition("/")
    if not (slash and number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count)):
        raise click.BadParameter(f"{value} is no part of a whole; write 1/8, 2/8, ... 8/8")
    return Shard(int(number), int(count))


@click.group(cls=Group)
@click.version_option(__version__, package_name="unetplus-edge")
def main() -> None:
    """Segment nuclei with a trained model. Not for diagnosis."""


main.add_command(cameras)
main.add_command(export_results)
main.add_command(config)
main.add_command(serve)
main.add_command(status)
main.add_command(reload_model)


@main.command(epilog="Example: unetplus-runtime segment images/ --out results/")
@click.argument("inputs", metavar="INPUT...", nargs=-1, required=True, type=_Path(path_type=Path))
@click.option("--out", required=True, type=_Path(file_okay=False, path_type=Path), help="Folder of the results.")
@click.option("--bundle", default=DEFAULT, show_default=True, help="The model: a folder, or a name in the zoo.")
@click.option(
    "--engine", type=click.Choice(["auto", *ENGINES]), default="auto", show_default=True, help="What runs it."
)
@click.option(
    "--execution",
    type=click.Choice(get_args(Precision)),
    help="Precision to compute in.  [default: the first of the engine's that is verified]",
)
@click.option(
    "--grid", type=click.Choice(GRIDS), default=DEFAULT_GRID, show_default=True, help="How frames are cut into patches."
)
@click.option("--threads", type=click.IntRange(min=1), help="Threads of all stages together.  [default: every core]")
@click.option("--channel", metavar="N|NAME", help="Which channel holds the nuclei: a number from 1, or a name.")
@click.option(
    "--pixel-size",
    type=click.FloatRange(min=0, min_open=True),
    help="Side of a pixel in micrometres.  [default: as OME-XML or ImageJ has it]",
)
@click.option(
    "--formats",
    callback=_formats,
    metavar="NAME,...",
    default=",".join(DEFAULT_FORMATS),
    show_default=True,
    help=f"Results to write: {', '.join(FORMATS)}.",
)
@click.option(
    "--large",
    type=click.IntRange(1, MAX_PIXELS),
    default=MAX_PIXELS,
    show_default=True,
    metavar="PIXELS",
    help="Segment frames of more pixels block by block: TIFF and OME-Zarr.",
)
@click.option(
    "--block",
    type=click.IntRange(min=PATCH_SIDE),
    callback=_block,
    default=BLOCK_SIDE,
    show_default=True,
    metavar="PIXELS",
    help="Side of a block.",
)
@click.option("--shard", callback=_shard, metavar="I/N", help="Do part I of N; another process does each other one.")
@click.option("--join", is_flag=True, help="End what shards have done.")
@click.option("--dask", metavar="ADDRESS", help="Segment the blocks of large frames on this Dask cluster.")
@click.option("--overwrite", is_flag=True, help="Replace results that exist, and begin anew.")
@click.option("--json", "as_json", is_flag=True, help="Print what was done as JSON.")
@click.option("--quiet", is_flag=True, help="Print errors only.")
def segment(
    inputs: tuple[Path, ...],
    out: Path,
    bundle: str,
    engine: EngineName | Literal["auto"],
    execution: Precision | None,
    grid: GridName,
    threads: int | None,
    channel: str | None,
    pixel_size: float | None,
    formats: tuple[str, ...],
    large: int,
    block: int,
    shard: Shard | None,
    join: bool,
    dask: str | None,
    overwrite: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Segment PNG, JPEG, TIFF and OME-Zarr images, all that lie in folders, and all that match patterns.

    Every page of a TIFF file is a frame. Results of a frame: ID_labels.tif, ID_overlay.png and
    ID_nuclei.csv, or what --formats names; of a frame above --large: ID_labels.ome.zarr and the
    table; of all frames: summary.csv. A run that was broken off goes on where it stopped when the
    same command is typed again.
    """
    if pixel_size is not None and not math.isfinite(pixel_size):
        raise click.BadParameter(f"{pixel_size} is no length", param_hint="--pixel-size")
    if (shard is not None) + join + overwrite > 1:
        raise click.UsageError("--shard, --join and --overwrite exclude each other; remove the folder to begin anew")
    if shard is not None and dask is not None:
        raise click.UsageError("--shard and --dask exclude each other: either shares the blocks")
    if dask is not None:
        require_dask()
    # Files that tifffile grumbles about are read or refused; either way there is nothing to add.
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    plan = make_plan(
        inputs,
        out,
        channel=channel,
        formats=formats,
        overwrite=overwrite,
        cutting=Cutting(large, block),
        shard=shard,
        join=join,
    )
    if plan.ended and shard is not None:
        if as_json:
            click.echo(json.dumps(_report(plan, None, Outcome()), indent=2))
        elif not quiet:
            click.echo(
                f"{click.format_filename(out)} holds the results of every frame already: "
                f"part {shard.number} of {shard.count} has nothing to do"
            )
        return
    try:
        with (
            Segmenter(bundle, engine, threads, execution, grid) as segmenter,
            progress_bar("segmenting", plan.steps, quiet=quiet) as done,
        ):
            outcome = segment_files(plan, segmenter, pixel_size, done, dask, threads)
    except KeyboardInterrupt:
        click.echo("What is done is kept: the same command, without --overwrite, goes on where it stopped.", err=True)
        raise
    if as_json:
        click.echo(json.dumps(_report(plan, segmenter.engine, outcome), indent=2))
    elif not quiet:
        for reason in (*segmenter.engine.passed_over, *plan.passed_over):
            click.echo(f"passed over {printable(reason)}", err=True)
        if outcome.rows:
            click.echo(_sentence(out, segmenter.engine, outcome))
        if shard is not None:
            click.echo(f"part {shard.number} of {shard.count} is done; when all are, type the command with --join")
    if outcome.refused:
        for refusal in outcome.refused:
            click.echo(f"refused: {printable(refusal)}", err=True)
        raise PartialResultError(_refusal(out, outcome))


@main.command(epilog="Example: unetplus-runtime demo --out demo/")
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="Folder of the pictures.")
@click.option("--bundle", default=DEFAULT, show_default=True, help="The model: a folder, or a name in the zoo.")
@click.option("--frames", type=click.IntRange(min=1), default=FRAMES, show_default=True, help="Frames to simulate.")
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


def _refusal(out: Path, outcome: Outcome) -> str:
    refused, done = len(outcome.refused), len(outcome.rows)
    if not done:
        return f"{'the image was' if refused == 1 else f'all {refused} images were'} refused, as listed above"
    return (
        f"{refused} of {done + refused} images were refused, as listed above; the results of all others are in {out}, "
        "and the same command tries those again"
    )


def _report(plan: Plan, engine: EngineInfo | None, outcome: Outcome) -> dict[str, Any]:
    return {
        "out": str(plan.out),
        "engine": None if engine is None else asdict(engine) | {"file": str(engine.file)},
        "frames": [asdict(row) for row in outcome.rows],
        "kept": outcome.kept,
        "passed_over": plan.passed_over,
        "refused": outcome.refused,
    }


def _sentence(out: Path, engine: EngineInfo, outcome: Outcome) -> str:
    nuclei = sum(row.nuclei for row in outcome.rows)
    frames = len(outcome.rows)
    seconds = sum(row.seconds for row in outcome.rows)
    speed = f", {1000 * seconds / frames:.0f} ms a frame" if frames else ""
    kept = f", {outcome.kept:,} of them done before" if outcome.kept else ""
    return (
        f"{nuclei:,} nuclei in {frames:,} frame{'' if frames == 1 else 's'} ({engine.engine} "
        f"{engine.executed_precision}{speed}{kept}); results in {click.format_filename(out)}"
    )
