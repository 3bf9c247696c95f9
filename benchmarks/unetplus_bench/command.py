"""`unetplus-bench`: what a network costs on this machine, on every engine that opens here."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal, get_args

import click
from rich.console import Console

from unetplus_bench.article.command import article
from unetplus_bench.boards.bound_command import main as bound
from unetplus_bench.boards.trtexec_command import main as import_trtexec
from unetplus_bench.comparing.command import compare
from unetplus_bench.measuring.camera import MOST
from unetplus_bench.measuring.material import Material
from unetplus_bench.measuring.measure import measure
from unetplus_bench.measuring.plan import FRAME, RATE, Wanted, planned_rows
from unetplus_bench.measuring.rivals import rival_rows
from unetplus_bench.measuring.rounds import Schedule, steps
from unetplus_bench.measuring.table import result_tables
from unetplus_bench.report.command import report
from unetplus_bench.results import Scope
from unetplus_bench.roofline.command import main as roofline
from unetplus_edge import __version__
from unetplus_edge.commands import Group, command_line
from unetplus_edge.datasets import open_dsb2018
from unetplus_edge.errors import EngineError, InputError
from unetplus_edge.imaging.patches import PATCH_SIDE
from unetplus_edge.manifest import Precision
from unetplus_edge.zoo import DEFAULT, find_bundle
from unetplus_runtime.engines import ENGINES
from unetplus_runtime.progress import progress_bar

if TYPE_CHECKING:
    from collections.abc import Callable

    from unetplus_bench.results import BenchmarkResult
    from unetplus_edge.bundle import Bundle
    from unetplus_edge.manifest import EngineName

    _ParamType = click.ParamType[Any]
else:
    _ParamType = click.ParamType  # has no type of its own in earlier versions

_ARTICLE_PATCHES, _ARTICLE_REPEATS = 174, 5
_WIDE = 200


class _RunByDefault(Group):
    """`unetplus-bench` is `unetplus-bench run`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0] not in self.commands and args[0] not in ("--help", "--version")):
            args = ["run", *args]
        return super().parse_args(ctx, args)


class _Several(_ParamType):
    """A list with commas, each part of another type; a part that is there twice is taken once."""

    def __init__(self, each: Callable[[str], Any], name: str) -> None:
        self._each, self.name = each, name

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if isinstance(value, tuple):
            return value
        try:
            return tuple(dict.fromkeys(self._each(part.strip()) for part in value.split(",")))
        except ValueError as error:
            self.fail(str(error) or f"{value} is no list of {self.name}", param, ctx)


def _one_of(choices: tuple[str, ...], value: str) -> str:
    if value not in choices:
        raise ValueError(f"{value or 'nothing'} is none of {', '.join(choices)}")
    return value


def _positive(value: str) -> int:
    number = int(value) if value.isdecimal() else 0
    if number < 1:
        raise ValueError(f"{value or 'nothing'} is no number from 1")
    return number


def _shape(value: str) -> tuple[int, int]:
    height, _, width = value.partition("x")
    if not (height.isdecimal() and width.isdecimal() and min(int(height), int(width)) >= 32):
        raise ValueError(f"{value or 'nothing'} is no height x width from 32x32, such as 1024x1024")
    return int(height), int(width)


def _rate(value: str) -> float:
    try:
        rate = float(value)
    except ValueError:
        rate = 0.0
    if not 0 < rate <= MOST:
        raise ValueError(f"{value or 'nothing'} is no number of frames a second above 0 and up to {MOST:g}")
    return rate


@click.group(
    cls=_RunByDefault, epilog="Example: unetplus-bench run --engine openvino,keras --batch 1,4 --out here.json"
)
@click.version_option(__version__, package_name="unetplus-edge")
def main() -> None:
    """Measure ms a patch, or a frame; without a command, of the default bundle on every engine that opens here."""


for command in (compare, report, article, import_trtexec, bound, roofline):
    main.add_command(command)


@main.command(epilog="Example: unetplus-bench run --scope net,frame --frame 1024x1024 --out here.json")
@click.option(
    "--bundle", "bundles", multiple=True, help=f"A folder, or a name in the zoo; may be repeated.  [default: {DEFAULT}]"
)
@click.option(
    "--engine",
    "engines",
    type=_Several(partial(_one_of, tuple(ENGINES)), "engines"),
    metavar="NAME,...",
    help=f"Of {', '.join(ENGINES)}.  [default: all that the bundle has files for]",
)
@click.option(
    "--precision",
    "precisions",
    type=_Several(partial(_one_of, get_args(Precision)), "precisions"),
    metavar="NAME,...",
    help="fp32, fp16, int8: of the weights in a file; bf16, tf32: of computing.  [default: every file as it is]",
)
@click.option("--device", help="What to compute on, as the engines name it.  [default: each engine's own]")
@click.option(
    "--batch",
    "batches",
    type=_Several(_positive, "numbers"),
    default="1",
    show_default=True,
    metavar="N,...",
    help="Patches a call.",
)
@click.option(
    "--threads",
    type=_Several(_positive, "numbers"),
    metavar="N,...",
    help="Threads of the engines.  [default: each engine's own number]",
)
@click.option(
    "--scope",
    "scopes",
    type=_Several(partial(_one_of, get_args(Scope)), "scopes"),
    metavar="NAME,...",
    help="What one time covers: net, net+copies (GPUs), frame, camera.  [default: net; with --rivals net,frame]",
)
@click.option(
    "--frame",
    "frames",
    type=_Several(_shape, "frames"),
    default="x".join(map(str, FRAME)),
    show_default=True,
    metavar="HxW,...",
    help="Height and width in the scopes frame and camera.",
)
@click.option(
    "--rate",
    "rates",
    type=_Several(_rate, "rates"),
    default=f"{RATE:g}",
    show_default=True,
    metavar="N,...",
    help="Frames a second in the scope camera.",
)
@click.option(
    "--rounds",
    type=click.IntRange(min=1),
    help=f"Turns of every row, runs in the scope camera.  [default: {Schedule.rounds}; {Schedule.runs}]",
)
@click.option(
    "--seconds",
    type=click.FloatRange(min=0, min_open=True),
    help=f"Length of each.  [default: {Schedule.seconds:g}; {Schedule.run_seconds:g}]",
)
@click.option(
    "--protocol",
    type=click.Choice(["rounds", "article"]),
    default="rounds",
    show_default=True,
    help="article: all patches of the 53 test images one by one, five times, with the scores on these images; needs "
    "UNETPLUS_DATA.",
)
@click.option("--rivals", is_flag=True, help="Measure what other people use too.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the order of the rows.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Result file, JSON.")
@click.option("--json", "as_json", is_flag=True, help="Print what the result file holds.")
@click.option("--quiet", is_flag=True, help="Print errors only.")
@click.pass_context
def run(
    context: click.Context,
    bundles: tuple[str, ...],
    engines: tuple[EngineName, ...] | None,
    precisions: tuple[Precision, ...] | None,
    device: str | None,
    batches: tuple[int, ...],
    threads: tuple[int, ...] | None,
    scopes: tuple[Scope, ...] | None,
    frames: tuple[tuple[int, int], ...],
    rates: tuple[float, ...],
    rounds: int | None,
    seconds: float | None,
    protocol: Literal["rounds", "article"],
    rivals: bool,
    seed: int,
    out: Path | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Measure rows in turns, each in a process of its own, and print ms a patch or a frame with what it is of.

    A row that cannot be measured says why. Exit code 0: at least one was measured.
    """
    wanted = Wanted(
        engines=engines,
        precisions=precisions,
        device=device,
        batches=batches,
        threads=threads or (None,),
        scopes=scopes or (("net", "frame") if rivals and protocol == "rounds" else ("net",)),
        frames=frames,
        rates=rates,
        test_patches=protocol == "article",
    )
    opened = [find_bundle(name) for name in bundles or (DEFAULT,)]
    if protocol == "article":
        schedule = _article(wanted, opened, rounds, seconds, seed)
    else:
        schedule = Schedule(
            rounds=rounds or Schedule.rounds,
            seconds=seconds or Schedule.seconds,
            seed=seed,
            runs=rounds or Schedule.runs,
            run_seconds=seconds or Schedule.run_seconds,
        )
    with TemporaryDirectory(prefix="unetplus-bench-") as folder:
        material = Material(Path(folder))
        planned = planned_rows(opened, wanted, material)
        if rivals:
            planned += rival_rows(opened, wanted, material)
        with progress_bar("measuring", len(planned) * steps(schedule), quiet=quiet or as_json) as done:
            result = measure(planned, schedule, command=command_line(context), protocol=protocol, done=done)
    if out is not None:
        result.write(out)
    if as_json:
        click.echo(result.model_dump_json(indent=1))
    elif not quiet:
        _print(result)
    if all(row.error is not None for row in result.rows):
        reasons = "; ".join(f"{row.name}: {row.error}" for row in result.rows)
        raise EngineError(f"nothing could be measured: {reasons}")


def _article(wanted: Wanted, bundles: list[Bundle], rounds: int | None, seconds: float | None, seed: int) -> Schedule:
    """Return the article's way of measuring, after checking that nothing else is asked for."""
    if wanted.scopes != ("net",) or wanted.batches != (1,) or rounds is not None or seconds is not None:
        raise InputError(
            "the article timed networks alone, one patch a call, all test patches five times: leave --scope, "
            "--batch, --rounds and --seconds out, or the protocol"
        )
    for bundle in bundles:
        if bundle.manifest.recipe.patch_side != PATCH_SIDE:
            raise InputError(
                f"{bundle.path} has patches of {bundle.manifest.recipe.patch_side} x "
                f"{bundle.manifest.recipe.patch_side} pixels, the article {PATCH_SIDE}; name another bundle, or leave "
                "the protocol out"
            )
    # Found missing before anything is measured.
    open_dsb2018(labels="released")
    return Schedule(rounds=_ARTICLE_REPEATS, calls=_ARTICLE_PATCHES, images="test_images", seed=seed)


def _print(result: BenchmarkResult) -> None:
    console = Console()
    if not console.is_terminal:
        # A file or a pipe has no width of its own.
        console = Console(width=_WIDE)
    console.print(result_tables(result))
