"""`unetplus-evaluate`: how good a model is, on images that it has not learnt from."""

from __future__ import annotations

import json
import platform
from dataclasses import asdict, fields
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import click
from rich.console import Console
from rich.table import Table

from unetplus_edge import __version__
from unetplus_edge.bundle import update_manifest
from unetplus_edge.commands import Command, command_line
from unetplus_edge.datasets import Sample, content_hash, open_dsb2018
from unetplus_edge.errors import OutputError
from unetplus_edge.evaluation import (
    ErrorCauses,
    ImageScores,
    SetScores,
    error_causes,
    error_overlay,
    score_image,
    score_set,
    tiled,
)
from unetplus_edge.imaging import Postprocessing, label_nuclei
from unetplus_edge.manifest import Precision, ScoreRecord
from unetplus_edge.zoo import DEFAULT
from unetplus_runtime.engines import ENGINES
from unetplus_runtime.engines.plan_cache import cache_folder
from unetplus_runtime.pipeline import GRIDS
from unetplus_runtime.progress import progress_bar
from unetplus_runtime.results import write_picture, write_table, write_text
from unetplus_runtime.scoring import evaluate
from unetplus_runtime.segmenter import Segmenter

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from unetplus_edge.datasets.dsb2018 import Labels
    from unetplus_edge.manifest import EngineName
    from unetplus_runtime.pipeline import GridName
    from unetplus_runtime.scoring import Labelled, Seen
    from unetplus_runtime.segmenter import Result

    Images = Literal["validation", "test"]

_TILE = 220


@click.command(
    cls=Command,
    epilog="Example: unetplus-evaluate unet_plus_tc_b8 --images test --out scores/  (with UNETPLUS_DATA set)",
)
@click.version_option(__version__, package_name="unetplus-edge")
@click.argument("bundle", default=DEFAULT)
@click.option(
    "--images",
    type=click.Choice(["validation", "test"]),
    default="validation",
    show_default=True,
    help="The validation images, by which choices are made, or the test images, by which none is.",
)
@click.option(
    "--labels",
    type=click.Choice(["fixed", "released"]),
    default="fixed",
    show_default=True,
    help="Truth of the validation images: corrected by hand, or as released. The test images have the released one.",
)
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the data set.  [default: $UNETPLUS_DATA/dsb2018]",
)
@click.option(
    "--engine", type=click.Choice(["auto", *ENGINES]), default="auto", show_default=True, help="What runs it."
)
@click.option(
    "--execution",
    type=click.Choice(get_args(Precision)),
    help="Precision to compute in.  [default: the first of the engine's that is verified]",
)
@click.option(
    "--grid",
    type=click.Choice(GRIDS),
    default="article",
    show_default=True,
    help="How images are cut into patches; unetplus-runtime has another default.",
)
@click.option("--threads", type=click.IntRange(min=1), help="Threads of all stages together.  [default: every core]")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Folder for scores.json and images.csv.")
@click.option("--overlays", is_flag=True, help="Write a picture of each image's errors too; needs --out.")
@click.option("--worst", type=click.IntRange(min=1), help="Write a sheet with the errors of the N worst; needs --out.")
@click.option("--record", is_flag=True, help="Keep the scores in the bundle's manifest.")
@click.option("--json", "as_json", is_flag=True, help="Print what scores.json holds.")
@click.option("--quiet", is_flag=True, help="Print errors only.")
@click.pass_context
def main(
    context: click.Context,
    bundle: str,
    images: Images,
    labels: Labels,
    data: Path | None,
    engine: EngineName | Literal["auto"],
    execution: Precision | None,
    grid: GridName,
    threads: int | None,
    out: Path | None,
    overlays: bool,
    worst: int | None,
    record: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Score a model on the validation or the test images of the 2018 Data Science Bowl.

    BUNDLE is a folder, or a name in the zoo. In pictures of errors, white is right, red missed and
    blue false.
    """
    if (overlays or worst) and out is None:
        raise OutputError("pictures have nowhere to go; name a folder with --out")
    if record and grid != "article":
        raise OutputError("the manifest keeps scores with the article's grid; leave --grid or --record out")
    samples, labels = _samples(data, images, labels)
    seen = _Seen(out if overlays else None, keep_pictures=bool(worst))
    with (
        Segmenter(bundle, engine, threads, execution, grid) as segmenter,
        progress_bar("scoring", len(samples), quiet=quiet) as done,
    ):
        facts = _facts(segmenter)
        scores = evaluate(segmenter, samples, seen.watch(done))
    summary = score_set([image for _, image in scores])
    report = {
        "command": command_line(context),
        **facts,
        "images": f"{images}_images",
        "labels": labels,
        "images_sha256": content_hash(samples),
        "postprocessing": segmenter.bundle.manifest.postprocessing.model_dump(),
        "scores": asdict(summary),
        "article_method": {
            "postprocessing": seen.articles.model_dump(),
            "scores": asdict(score_set(seen.by_the_article)),
        },
        "error_causes": asdict(sum(seen.causes.values(), start=ErrorCauses(0, 0, 0, 0, 0))),
    }
    if out is not None:
        write_text(out / "scores.json", json.dumps(report, indent=2) + "\n")
        columns = ["id", *(field.name for field in (*fields(ImageScores), *fields(ErrorCauses)))]
        rows = ({"id": image, **asdict(score), **asdict(seen.causes[image])} for image, score in scores)
        write_table(out / "images.csv", columns, rows)
        if worst:
            hardest = sorted(scores, key=lambda pair: pair[1].kaggle_score)[:worst]
            write_picture(out / "worst.png", tiled([seen.errors[image] for image, _ in hardest], 5, _TILE))
    if record:
        _record(segmenter, images, summary)
    if as_json:
        click.echo(json.dumps(report, indent=2))
    elif not quiet:
        for reason in segmenter.engine.passed_over:
            click.echo(f"passed over {reason}", err=True)
        Console().print(
            _table(f"{segmenter.bundle.manifest.name}, {images} images", summary, score_set(seen.by_the_article))
        )


def _samples(data: Path | None, images: Images, labels: Labels) -> tuple[list[Sample], Labels]:
    if images == "test":
        return list(open_dsb2018(data, "released").test), "released"
    return list(open_dsb2018(data, labels).validation), labels


class _Seen:
    """What is kept of every image beside its scores: why nuclei were not found, and scores by the article's method.

    The article's nuclei are the connected parts of what is above 0.5, of the same probability map.
    Where asked for, there are pictures of errors too.

    Parameters
    ----------
    folder
        Where pictures are written; None writes none.
    keep_pictures
        Whether `errors` is filled.
    """

    def __init__(self, folder: Path | None, *, keep_pictures: bool) -> None:
        self.causes: dict[str, ErrorCauses] = {}
        self.articles = Postprocessing()
        self.by_the_article: list[ImageScores] = []
        self.errors: dict[str, NDArray[np.uint8]] = {}
        self._folder = folder
        self._keep = keep_pictures

    def watch(self, done: Callable[[], None]) -> Seen:
        """Return what `evaluate` is to call."""

        def seen(sample: Labelled, truth: NDArray[np.int32], result: Result) -> None:
            self.causes[sample.id] = error_causes(truth, result.labels)
            self.by_the_article.append(score_image(truth, label_nuclei(result.probability, self.articles)))
            if self._folder is not None or self._keep:
                picture = error_overlay(truth, result.labels)
                if self._keep:
                    self.errors[sample.id] = picture
                if self._folder is not None:
                    write_picture(self._folder / f"{sample.id}_errors.png", picture)
            done()

        return seen


def _record(segmenter: Segmenter, images: Images, scores: SetScores) -> None:
    """Keep scores in the manifest, in place of earlier ones of the same images and engine."""
    manifest, engine = segmenter.bundle.manifest, segmenter.engine
    new = ScoreRecord(
        images="test_images" if images == "test" else "validation_images",
        engine=engine.engine,
        precision=engine.executed_precision,
        scores=asdict(scores),
    )
    kept = (
        old
        for old in manifest.scores
        if (old.images, old.engine, old.precision) != (new.images, new.engine, new.precision)
    )
    update_manifest(segmenter.bundle, manifest.model_copy(update={"scores": (*kept, new)}))


def _facts(segmenter: Segmenter) -> dict[str, Any]:
    """Return what ran; no path of this machine is in it."""
    manifest, engine = segmenter.bundle.manifest, segmenter.engine
    return {
        "bundle": manifest.name,
        "keras_sha256": manifest.keras_sha256,
        "engine": engine.engine,
        "file": _file_name(engine.file, segmenter.bundle.path),
        "stored_precision": engine.stored_precision,
        "executed_precision": engine.executed_precision,
        "device": engine.device,
        "threads": engine.threads,
        "grid": segmenter.grid,
        "versions": {
            "unetplus-edge": __version__,
            "python": platform.python_version(),
            engine.library: engine.library_version,
            **{name: version(name) for name in ("numpy", "opencv-python-headless")},
        },
    }


def _file_name(file: Path, bundle: Path) -> str:
    """Return the path of a file in the bundle, or in the cache, where TensorRT's engines lie."""
    for folder in (bundle, cache_folder()):
        if file.is_relative_to(folder):
            return file.relative_to(folder).as_posix()
    return file.name


def _table(title: str, scores: SetScores, by_the_article: SetScores) -> Table:
    table = Table(title=title)
    table.add_column("score")
    table.add_column("value", justify="right")
    table.add_column("article's postprocessing", justify="right")
    articles = asdict(by_the_article)
    for name, value in asdict(scores).items():
        table.add_row(name.replace("_", " "), _text(value), _text(articles[name]))
    return table


def _text(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}" if isinstance(value, float) else f"{value:,}"
