"""`unetplus-export`: from a bundle's Keras model to verified conversions in the same bundle."""

from __future__ import annotations

import json
import os
import shutil
from contextlib import ExitStack
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

import click
from click.core import ParameterSource
from rich.console import Console

from unetplus_edge import __version__
from unetplus_edge.bundle import open_bundle
from unetplus_edge.commands import Group
from unetplus_edge.errors import ConversionError, OutputError
from unetplus_edge.manifest import CalibrationMethod, Precision, Target
from unetplus_edge.zoo import DEFAULT, find_bundle
from unetplus_export.calibration import calibration_patches
from unetplus_export.doctor import doctor_report, render
from unetplus_export.exporter import Exporter, Options
from unetplus_export.material import has_real_images, real_material, simulated_material
from unetplus_export.plans import make_plan
from unetplus_export.sides import for_side
from unetplus_export.stages import shown_stages
from unetplus_export.tables import outcome_table
from unetplus_export.targets import TARGETS
from unetplus_export.trt import BuildOptions
from unetplus_export.verify import MAX_DROP, Verifier
from unetplus_export.verify_again import verify_again
from unetplus_runtime.engines import open_engine
from unetplus_runtime.engines.tensorrt_flavour import FlavourName, HardwareLevel

if TYPE_CHECKING:
    from unetplus_edge.bundle import Bundle
    from unetplus_edge.manifest import Manifest
    from unetplus_export.calibration import Calibration
    from unetplus_export.outcome import Outcome
    from unetplus_export.stages import Stages

IMPOSSIBLE_HERE, UNVERIFIABLE_HERE, LIMIT_FAILED = 3, 4, 5
"""Exit codes: some targets cannot be made here; something made cannot be run here; a limit is not kept."""

_PRECISIONS: tuple[Precision, ...] = ("fp32", "fp16", "int8")
PRECISIONS_OF: dict[Target, tuple[Precision, ...]] = {
    **{target: kind.precisions for target, kind in TARGETS.items()},
    "trt": _PRECISIONS,
}
"""What each target can be asked for."""

_CODES = {"verified": 0, "impossible": IMPOSSIBLE_HERE, "unverified": UNVERIFIABLE_HERE, "failed": LIMIT_FAILED}
_WORDS = {"impossible": "not made", "unverified": "not verified", "failed": "error"}


class _ConvertByDefault(Group):
    """`unetplus-export BUNDLE` is `unetplus-export convert BUNDLE`; a folder named like a command is ./NAME."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0] not in self.commands and args[0] not in ("--help", "--version")):
            args = ["convert", *args]
        return super().parse_args(ctx, args)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Show the options of the default command too."""
        convert = self.commands["convert"]
        with formatter.section("Options"):
            formatter.write_dl([row for option in convert.get_params(ctx) if (row := option.get_help_record(ctx))])
        self.format_commands(ctx, formatter)


@click.group(
    cls=_ConvertByDefault,
    options_metavar="[BUNDLE] [OPTIONS]",
    subcommand_metavar="| verify [BUNDLE] | doctor",
    epilog="Example: unetplus-export run/bundle --target openvino --precision int8",
)
@click.version_option(__version__, package_name="unetplus-edge")
def main() -> None:
    """Convert the Keras model of BUNDLE and add the files to it, if they still segment.

    BUNDLE is a folder, or a name in the zoo, which is copied into the working folder first. Every
    conversion is compared with the Keras model, patch by patch and by its scores on the validation
    images: those of the data set in UNETPLUS_DATA, or simulated frames where that is not set.

    Exit codes: 0 everything was made and verified; 3 some of it cannot be made here; 4 something
    was made that cannot be run here; 5 something does not keep its limits, and was not added.
    """


_bundle = click.argument("bundle", default=DEFAULT)
_max_drop = click.option(
    "--max-drop",
    type=click.FloatRange(min=0, max=1),
    default=MAX_DROP,
    show_default=True,
    help="By how much int8 may lower average IOU and Kaggle score.",
)
_as_json = click.option("--json", "as_json", is_flag=True, help="Print what was found as JSON.")
_quiet = click.option("--quiet", is_flag=True, help="Print warnings and errors only.")


@main.command(hidden=True)
@_bundle
@click.option(
    "--target", type=click.Choice([*get_args(Target), "all"]), default="all", show_default=True, help="Format to write."
)
@click.option(
    "--precision", type=click.Choice([*_PRECISIONS, "all"]), default="fp32", show_default=True, help="Of the weights."
)
@click.option("--batch", type=click.IntRange(min=1), help="Patches a call.  [default: any number where possible, or 1]")
@click.option(
    "--patch-size",
    "side",
    type=click.IntRange(min=16),
    help="Side of a patch in pixels, of a file beside those for the model's own.  [default: the model's own]",
)
@click.option(
    "--calibration",
    type=click.Path(path_type=Path),
    help="Folder of images to take int8 ranges of.  [default: the data set's training part]",
)
@click.option("--calibration-patches", "count", type=click.IntRange(min=1), default=300, show_default=True)
@click.option(
    "--calibration-method",
    "method",
    type=click.Choice(get_args(CalibrationMethod)),
    help="How int8 ranges are taken.  [default: the one that lowers the scores least]",
)
@click.option(
    "--trt-flavour",
    "flavour",
    type=click.Choice(get_args(FlavourName)),
    help="Library that builds TensorRT engines.  [default: what is installed]",
)
@click.option("--trt-batches", "batches", type=(int, int, int), help="Smallest, usual and largest batch of an engine.")
@click.option("--trt-workspace", "workspace", type=click.IntRange(min=1), help="Memory of a TensorRT layer, in MiB.")
@click.option("--trt-version-compatible", "version_compatible", is_flag=True, help="Later versions run the engine too.")
@click.option("--trt-hardware", "hardware", type=click.Choice(get_args(HardwareLevel)), help="Other GPUs run it too.")
@click.option("--integer-ends", is_flag=True, help="Input and output of int8 TFLite are int8 too.")
@_max_drop
@_as_json
@_quiet
@click.pass_context
def convert(
    context: click.Context,
    bundle: str,
    target: Target | Literal["all"],
    precision: Precision | Literal["all"],
    batch: int | None,
    side: int | None,
    calibration: Path | None,
    count: int,
    method: CalibrationMethod | None,
    flavour: FlavourName | None,
    batches: tuple[int, int, int] | None,
    workspace: int | None,
    version_compatible: bool,
    hardware: HardwareLevel | None,
    integer_ends: bool,
    max_drop: float,
    as_json: bool,
    quiet: bool,
) -> None:
    """Convert the Keras model of BUNDLE."""
    _use_tensorflow()
    opened = _own(bundle)
    manifest = opened.manifest
    chosen = calibration is not None or context.get_parameter_source("count") is not ParameterSource.DEFAULT
    options = Options(side or manifest.recipe.patch_side, batch, integer_ends, method, calibration_chosen=chosen)
    with ExitStack() as opens, shown_stages(quiet=quiet) as stages:
        exporter = Exporter(
            opened,
            options,
            cache(lambda: _verifier(opened, options.patch_side, max_drop, stages, opens)),
            cache(lambda: _calibration(manifest, calibration, count, options.patch_side)),
            stages,
        )
        build = BuildOptions(
            flavour,
            batches=batches or ((batch,) * 3 if batch else None),
            workspace_mib=workspace,
            version_compatible=version_compatible,
            hardware=hardware,
        )
        outcomes = [
            make_plan(exporter, each, build, stages) if one == "trt" else exporter.make(one, each)
            for one, each in _asked(target, precision)
        ]
    if as_json:
        click.echo(json.dumps([outcome.as_json() for outcome in outcomes], indent=2))
    elif not quiet:
        Console().print(outcome_table(manifest.name, outcomes))
    _leave(context, outcomes, explicit=target != "all")


@main.command()
@_bundle
@_max_drop
@_as_json
@_quiet
@click.pass_context
def verify(context: click.Context, bundle: str, max_drop: float, as_json: bool, quiet: bool) -> None:
    """Try every conversion in BUNDLE again, on this machine, and write the verdicts into its manifest.

    Exit codes: 0 all keep their limits, or there is none; 4 something cannot be run here; 5
    something does not keep its limits.
    """
    _use_tensorflow()
    opened = _own(bundle)
    with ExitStack() as opens, shown_stages(quiet=quiet) as stages:
        outcomes = verify_again(opened, cache(lambda side: _verifier(opened, side, max_drop, stages, opens)), stages)
    if not outcomes and not quiet:
        click.echo(f"{opened.manifest.name} holds no conversion; make one: unetplus-export {opened.path}", err=True)
    if as_json:
        click.echo(json.dumps([outcome.as_json() for outcome in outcomes], indent=2))
    elif outcomes and not quiet:
        Console().print(outcome_table(opened.manifest.name, outcomes))
    _leave(context, outcomes, explicit=False)


@main.command()
@_as_json
def doctor(as_json: bool) -> None:
    """Say what this machine can make and run, what not and why, and what runs on which board."""
    report = doctor_report()
    if as_json:
        click.echo(json.dumps(asdict(report), indent=2))
    else:
        Console().print(render(report))


def _use_tensorflow() -> None:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    # Whatever a model was trained with, TensorFlow is what converts it.
    os.environ["KERAS_BACKEND"] = "tensorflow"


def _asked(target: Target | Literal["all"], precision: Precision | Literal["all"]) -> list[tuple[Target, Precision]]:
    targets: list[Target] = list(get_args(Target)) if target == "all" else [target]
    return [
        (one, each)
        for one in targets
        for each in (PRECISIONS_OF[one] if precision == "all" else (precision,))
        # What is asked of all targets is asked of those that have it.
        if target != "all" or each in PRECISIONS_OF[one]
    ]


def _verifier(bundle: Bundle, side: int, max_drop: float, stages: Stages, opens: ExitStack) -> Verifier:
    sized = opens.enter_context(for_side(bundle, side))
    if has_real_images():
        material = real_material(sized.manifest)
    else:
        click.echo("warning: UNETPLUS_DATA is not set; conversions are compared on simulated frames", err=True)
        material = simulated_material(sized.manifest)
    stages.begin("what the Keras model answers", len(material.samples))
    reference = opens.enter_context(open_engine(sized, "keras"))
    return Verifier(sized, reference, material, max_drop, stages.step)


def _calibration(manifest: Manifest, folder: Path | None, count: int, side: int) -> Calibration:
    calibration = calibration_patches(manifest, folder, count, side)
    if calibration.simulated:
        click.echo(
            "warning: UNETPLUS_DATA is not set; int8 is calibrated on simulated frames, and layers are compared on "
            "them: name a folder of images of yours with --calibration",
            err=True,
        )
    return calibration


def _own(name: str) -> Bundle:
    if Path(name).is_dir():
        return open_bundle(Path(name))
    found = find_bundle(name)
    copy = Path(found.path.name)
    unfinished = Path(f".unfinished-{copy}")
    try:
        shutil.rmtree(unfinished, ignore_errors=True)
        shutil.copytree(found.path, unfinished)
        unfinished.rename(copy)
    except OSError as error:
        raise OutputError(f"{copy} cannot be written here; change to another folder") from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return open_bundle(copy)


def _leave(context: click.Context, outcomes: list[Outcome], *, explicit: bool) -> None:
    for outcome in outcomes:
        if outcome.status != "verified":
            click.echo(f"{_WORDS[outcome.status]}: {outcome.target} {outcome.precision}: {outcome.reason}", err=True)
    statuses = {outcome.status for outcome in outcomes}
    if explicit and statuses == {"impossible"}:
        context.exit(ConversionError.exit_code)
    context.exit(max((_CODES[status] for status in statuses), default=0))
