"""`unetplus-bench article`: the article's tables and claims beside what comes out here."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Table

from unetplus_bench.article.claims import claims
from unetplus_bench.article.collect import collect, kept_models
from unetplus_bench.article.figures import draw_losses, draw_overlays
from unetplus_bench.article.networks import tabled
from unetplus_bench.article.record import TIMES, ArticleResults
from unetplus_bench.article.scoring import scored
from unetplus_bench.article.tables import tables
from unetplus_bench.article.timing import timed
from unetplus_edge.commands import Command, command_line
from unetplus_edge.datasets import content_hash, open_dsb2018
from unetplus_edge.errors import InputError
from unetplus_runtime.progress import progress_bar

if TYPE_CHECKING:
    from unetplus_bench.article.tables import Cells
    from unetplus_edge.bundle import Bundle
    from unetplus_edge.datasets import Sample

_WIDE = 220


@click.command(
    "article",
    cls=Command,
    epilog="Example: unetplus-bench article --collect runs/article --measure --figures  (in a checkout, with "
    "UNETPLUS_DATA set)",
)
@click.option(
    "--collect",
    "runs",
    type=click.Path(path_type=Path),
    metavar="RUNS",
    help="First copy every finished training from the folder of unetplus-train --suite article to --models.",
)
@click.option("--measure", is_flag=True, help="Score the models on the test images, and time those of the tables.")
@click.option("--scores-only", is_flag=True, help="With --measure: time nothing.")
@click.option("--figures", is_flag=True, help="Draw the validation losses, and overlays of six test images.")
@click.option("--only", metavar="NAME,...", help="Measure these models.  [default: all]")
@click.option(
    "--models",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("models/article"),
    show_default=True,
    help="Folder with a bundle for each model.",
)
@click.option(
    "--results",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("benchmarks/results/article"),
    show_default=True,
    help="Folder of the result files.",
)
@click.option(
    "--pictures",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("docs/images"),
    show_default=True,
    help="Folder of the figures.",
)
@click.option(
    "--data", type=click.Path(file_okay=False, path_type=Path), help="The data set.  [default: $UNETPLUS_DATA/dsb2018]"
)
@click.option("--json", "as_json", is_flag=True, help="Print tables and claims as JSON.")
@click.option("--quiet", is_flag=True, help="Print errors only.")
@click.pass_context
def article(
    context: click.Context,
    runs: Path | None,
    measure: bool,
    scores_only: bool,
    figures: bool,
    only: str | None,
    models: Path,
    results: Path,
    pictures: Path,
    data: Path | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Print the article's Tables 1 and 2 from the result files, and which of its claims hold.

    A model that was not trained is named so. Nothing is measured unless that is asked for; a model
    whose result file is of the same weights is not scored again.
    """
    if (scores_only or only is not None) and not measure:
        raise click.UsageError("--scores-only and --only are of a measurement; add --measure")

    def tell(sentence: str) -> None:
        if not quiet:
            click.echo(sentence, err=True)

    if runs is not None:
        for name in collect(runs, models):
            tell(f"collected {name}")
    if measure or figures:
        bundles = kept_models(models)
        samples = list(open_dsb2018(data, "released").test)
        command = command_line(context)
        if measure:
            wanted = _wanted(bundles, only, models)
            _score(wanted, samples, results, command, quiet=quiet)
            timed_ones = {name: wanted[name] for name in tabled() if name in wanted}
            if timed_ones and not scores_only:
                timed(timed_ones, command, tell=tell).write(results / f"{TIMES}.json")
        if figures:
            draw_losses(ArticleResults(results), pictures)
            shown = {name: bundles[name] for name in tabled() if name in bundles}
            draw_overlays(shown, samples, command, pictures, results)
    found = ArticleResults(results)
    cells = tables(found)
    if as_json:
        told = {name: table._asdict() for name, table in cells.items()}
        click.echo(json.dumps({"tables": told, "claims": [asdict(claim) for claim in claims(found)]}, indent=2))
    elif not quiet:
        console = Console()
        if not console.is_terminal:
            console = Console(width=_WIDE)
        for table in cells.values():
            console.print(_drawn(table))


def _wanted(bundles: dict[str, Bundle], only: str | None, models: Path) -> dict[str, Bundle]:
    names = list(bundles) if only is None else [name.strip() for name in only.split(",")]
    missing = [name for name in names if name not in bundles]
    if missing or not names:
        raise InputError(
            f"{models} has no {', '.join(missing) or 'model'}; train with unetplus-train --suite article, then "
            "unetplus-bench article --collect RUNS"
        )
    return {name: bundles[name] for name in names}


def _score(bundles: dict[str, Bundle], samples: list[Sample], results: Path, command: str, *, quiet: bool) -> None:
    kept, images = ArticleResults(results).records, content_hash(samples)
    new = {
        name: bundle
        for name, bundle in bundles.items()
        if name not in kept
        or (kept[name].keras_sha256, kept[name].images_sha256) != (bundle.manifest.keras_sha256, images)
    }
    with progress_bar("scoring", len(new) * len(samples), quiet=quiet) as done:
        for name, bundle in new.items():
            scored(name, bundle, samples, command, done).write(results)


def _drawn(cells: Cells) -> Table:
    table = Table(title=cells.title)
    for number, title in enumerate(cells.header):
        table.add_column(title, justify="right" if number else "left")
    for row in cells.rows:
        table.add_row(*row)
    return table
