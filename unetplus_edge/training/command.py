"""`unetplus-train`: from the data set to a bundle."""

from __future__ import annotations

import json
import os
from contextlib import nullcontext
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from unetplus_edge.bundle import Bundle, open_bundle
from unetplus_edge.commands import Command
from unetplus_edge.errors import TrainingError
from unetplus_edge.training.curves import draw_curves
from unetplus_edge.training.fine_tuning import fine_tuned, with_its_preprocessing
from unetplus_edge.training.interruption import Interruptible
from unetplus_edge.training.limits import limits_suite
from unetplus_edge.training.patches import TrainingData, training_data
from unetplus_edge.training.progress import TerminalProgress
from unetplus_edge.training.recipe_options import given_recipe_options, recipe_from_options, recipe_options
from unetplus_edge.training.run_folder import RunFolder
from unetplus_edge.training.suite import article_suite, chosen, train_suite
from unetplus_edge.zoo import DEFAULT, find_bundle

if TYPE_CHECKING:
    from unetplus_edge.training.recipe import Recipe
    from unetplus_edge.training.suite import Member


@click.command(cls=Command, epilog="Example: unetplus-train unet_plus_tc_b8 --out runs/b8 --epochs 30")
@click.argument("network", default=DEFAULT)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of the run  [default: $UNETPLUS_RUNS/NETWORK, or in the user's data folder]",
)
@click.option("--resume", is_flag=True, help="Go on with the run in the folder, by its own recipe.")
@click.option(
    "--fine-tune",
    metavar="BUNDLE",
    help="Begin with the weights of this model, a folder or a name of the zoo, and with its preprocessing unless told "
    "otherwise.",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of the 2018 Data Science Bowl's images  [default: $UNETPLUS_DATA/dsb2018]",
)
@click.option(
    "--suite",
    type=click.Choice(["article", "limits"]),
    help="Train many models in place of one, each in a folder of its name inside --out; started again, it goes on. "
    "All models of the article; or U-Net+ T.C., B=16, by other recipes than the article's.",
)
@click.option("--only", metavar="NAME,...", help="Of the suite.  [default: all]")
@click.option(
    "--seeds",
    type=click.IntRange(min=1),
    help="How often the models of the article's tables are trained.  [default: 1]",
)
@click.option("--quiet", is_flag=True, help="Show no progress.")
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON.")
@click.pass_context
def main(
    ctx: click.Context,
    /,
    network: str,
    *,
    out: Path | None,
    resume: bool,
    fine_tune: str | None,
    data: Path | None,
    suite: str | None,
    only: str | None,
    seeds: int | None,
    quiet: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Train NETWORK and make a model bundle of it.

    NETWORK is unet_bN, unet_plus_plus_bN, unet_plus_plus_controlled_bN, unet_plus_tc_bN or
    unet_plus_us_bN, N being the filters of the first level. The folder of the run gets log.csv,
    curves.png, a checkpoint after every epoch, and in the end bundle/. A run that was interrupted
    goes on with --resume. --fine-tune begins with a model that there is. KERAS_BACKEND chooses the framework.
    """
    if suite is not None:
        _check_suite_alone(ctx)
        if seeds is not None and suite != "article":
            raise click.UsageError("--seeds is of --suite article")
        members = article_suite(seeds or 1) if suite == "article" else limits_suite()
        if only is not None:
            members = chosen(members, map(str.strip, only.split(",")))
        _train_suite(members, _default_folder(suite) if out is None else out, data, quiet=quiet, as_json=as_json)
        return
    if only is not None or seeds is not None:
        raise click.UsageError("--only and --seeds are of a suite; name it with --suite")
    begun_with = None if fine_tune is None else find_bundle(fine_tune)
    if begun_with and ctx.get_parameter_source("network") is ParameterSource.DEFAULT:
        network = begun_with.manifest.recipe.architecture.name
    run = RunFolder(_default_folder(network) if out is None else out)
    recipe = _resumed_recipe(ctx, run, network) if resume else _new_recipe(ctx, network, begun_with, options)
    samples = training_data(recipe, data)
    _import_keras()
    if not resume:
        run.start(recipe, begun_with.keras_path if begun_with else None)
    _train(run, recipe, samples, quiet=quiet)
    records = run.records()
    draw_curves({recipe.architecture.name: records}, run.path / "curves.png")
    bundle = _bundle(run, samples)
    best = records[bundle.manifest.best_epoch - 1]
    if as_json:
        outcome = {"run": str(run.path), "bundle": str(bundle.path), "network": recipe.architecture.name}
        click.echo(json.dumps({**outcome, "epochs": len(records), "best": asdict(best), "last": asdict(records[-1])}))
    else:
        click.echo(f"best of {len(records)} epochs: {best.epoch}, validation loss {best.validation_loss:.4f}")
        click.echo(f"bundle: {bundle.path}")


main.params.extend(recipe_options())


def _check_suite_alone(ctx: click.Context) -> None:
    given = given_recipe_options(ctx)
    given += [
        name.upper() if name == "network" else f"--{name.replace('_', '-')}"
        for name in ("network", "resume", "fine_tune")
        if ctx.get_parameter_source(name) is not ParameterSource.DEFAULT
    ]
    if given:
        raise click.UsageError(f"a suite has recipes of its own, and goes on by itself; leave out {', '.join(given)}")


def _train_suite(members: tuple[Member, ...], folder: Path, data: Path | None, *, quiet: bool, as_json: bool) -> None:
    # Found missing before the first of many processes is started.
    training_data(members[0].recipe, data)
    if find_spec("keras") is None:
        raise _without("keras")

    def begin(member: Member) -> None:
        if not quiet:
            click.echo(f"{member.name}: {folder / member.name}", err=True)

    outcomes = train_suite(members, folder, data, quiet=quiet, begin=begin)
    if as_json:
        click.echo(json.dumps([asdict(outcome) for outcome in outcomes], indent=2))
    else:
        for outcome in outcomes:
            best = f"best {outcome.best_epoch}, validation loss {outcome.best_loss:.4f}" if outcome.epochs else "none"
            click.echo(f"{outcome.name}: {outcome.epochs} epochs, {best}")
    failed = [outcome.name for outcome in outcomes if outcome.exit_code]
    if failed:
        raise TrainingError(f"not trained to the end: {', '.join(failed)}; the same command goes on with them")


def _default_folder(network: str) -> Path:
    runs = os.environ.get("UNETPLUS_RUNS")
    if runs:
        return Path(runs) / network
    user_data = os.environ.get("XDG_DATA_HOME")
    return (Path(user_data) if user_data else Path.home() / ".local" / "share") / "unetplus-edge" / "runs" / network


def _new_recipe(ctx: click.Context, network: str, begun_with: Bundle | None, options: dict[str, Any]) -> Recipe:
    if begun_with is None:
        return recipe_from_options(network, options)
    given = {name for name in options if ctx.get_parameter_source(name) is not ParameterSource.DEFAULT}
    options = with_its_preprocessing(begun_with, options, given)
    return fine_tuned(recipe_from_options(network, options), begun_with)


def _resumed_recipe(ctx: click.Context, run: RunFolder, network: str) -> Recipe:
    given = given_recipe_options(ctx)
    if ctx.params["fine_tune"] is not None:
        given.append("--fine-tune")
    if given:
        raise click.UsageError(f"--resume goes on by the recipe in the run's folder; leave out {', '.join(given)}")
    recipe = run.recipe()
    typed = ctx.get_parameter_source("network") is not ParameterSource.DEFAULT
    if typed and network != recipe.architecture.name:
        raise click.UsageError(f"{run.path} trains {recipe.architecture.name}, not {network}; leave {network} out")
    return recipe


def _import_keras() -> None:
    # TensorFlow leaves oneDNN off on AMD processors, where it halves the time of a step.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        import keras  # noqa: F401
    except ImportError as error:
        raise _without(error.name or "Keras") from error


def _without(name: str) -> TrainingError:
    return TrainingError(f"training needs {name}, which is not installed; run: pip install 'unetplus-edge[train]'")


def _train(run: RunFolder, recipe: Recipe, samples: TrainingData, *, quiet: bool) -> None:
    from unetplus_edge.training.fit import fit

    shown = nullcontext() if quiet else TerminalProgress(recipe.total_epochs, len(run.records()))
    with run.taken(), shown as progress, Interruptible(progress) as watched:
        fit(recipe, samples, run, watched)


def _bundle(run: RunFolder, samples: TrainingData) -> Bundle:
    from unetplus_edge.training.to_bundle import bundle_of

    path = run.path / "bundle"
    return open_bundle(path) if path.exists() else bundle_of(run, samples, path)
