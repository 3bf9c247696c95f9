"""What limits U-Net+ T.C. with 16 filters, as the article trains it and finds its nuclei.

`python -m unetplus_bench.article.limits RUNS` scores by the article's method, on the test images and on the
validation images: the true masks themselves, which is what a network without any error would give; every finished
training of `unetplus-train --suite limits`; the model of the zoo, by the article's method and by its own.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

import click
import numpy as np

from unetplus_bench.article.record import Record, read_record
from unetplus_bench.article.scoring import ARTICLES, scored_on
from unetplus_edge.bundle import Bundle, open_bundle
from unetplus_edge.commands import Command, command_line
from unetplus_edge.datasets import content_hash, open_dsb2018
from unetplus_edge.errors import InputError
from unetplus_edge.evaluation import score_image, score_set
from unetplus_edge.imaging import Postprocessing, label_nuclei
from unetplus_edge.training.limits import limits_suite
from unetplus_edge.training.patches import mask_to_learn
from unetplus_edge.training.recipe import Recipe
from unetplus_edge.training.run_folder import EpochRecord, RunFolder
from unetplus_edge.training.suite import is_finished
from unetplus_edge.zoo import WIDE, find_bundle
from unetplus_runtime.progress import progress_bar
from unetplus_runtime.results import write_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from unetplus_edge.datasets import Sample

FILE: Final = "limits.json"
"""Name of the result file."""

TRUTH: Final[Mapping[str, int]] = {"truth": 0, "truth_gap": 2}
"""Rows of the true masks: the gap between nuclei that touch, in pixels on either side."""

ZOO, ZOO_CORES = "zoo", "zoo_cores"
"""Rows of the zoo's model: by the article's postprocessing, and by its own."""


class LimitRow(Record):
    """The scores of one experiment.

    Attributes
    ----------
    name
        Of the training, or of `TRUTH`, `ZOO` and `ZOO_CORES`.
    keras_sha256, recipe, best_epoch
        Of the model; null for the true masks.
    log
        Every epoch; empty for the true masks and for the zoo's model, whose log lies elsewhere.
    postprocessing
        The constants that labels were made by.
    test
        Scores on the test images, as `unetplus_edge.evaluation.SetScores` has them.
    validation
        The same on the validation images; null where the model learnt from them.
    """

    name: str
    keras_sha256: str | None = None
    recipe: Recipe | None = None
    best_epoch: int | None = None
    log: tuple[EpochRecord, ...] = ()
    postprocessing: Postprocessing = ARTICLES
    test: dict[str, float | None]
    validation: dict[str, float | None] | None


class LimitsRecord(Record):
    """All experiments.

    Attributes
    ----------
    command
        As it was typed.
    images_sha256
        Hash of the content of each set of images.
    rows
        In the order of the page.
    """

    schema_version: Literal[1] = 1
    command: str
    images_sha256: dict[Literal["test", "validation"], str]
    rows: tuple[LimitRow, ...]


def read_limits(folder: Path) -> LimitsRecord | None:
    """Return the result file in a folder of the article's results; None where it was not made yet.

    Raises
    ------
    InputError
        If it is damaged.
    """
    path = folder / FILE
    if not path.is_file():
        return None
    return read_record(path, LimitsRecord, "python -m unetplus_bench.article.limits RUNS")


def truth_scores(samples: Sequence[Sample], gap: int) -> dict[str, float | None]:
    """Return the scores of the true masks, read by the article's method.

    Parameters
    ----------
    samples
        Images with their nuclei.
    gap
        As for `unetplus_edge.training.patches.mask_to_learn`.
    """
    scores = []
    for sample in samples:
        truth = sample.labels()
        mask = mask_to_learn(truth, gap).astype(np.float32)
        scores.append(score_image(truth, label_nuclei(mask, ARTICLES)))
    return asdict(score_set(scores))


class Trained(NamedTuple):
    """A model to score.

    Attributes
    ----------
    name
        Of its row.
    bundle
        Its files.
    constants
        Of the postprocessing.
    log
        Every epoch.
    """

    name: str
    bundle: Bundle
    constants: Postprocessing
    log: tuple[EpochRecord, ...] = ()

    @property
    def held_out(self) -> bool:
        """Whether it has not learnt from the validation images."""
        return self.bundle.manifest.recipe.split != "all_patches"


def trained(runs: Path) -> list[Trained]:
    """Return every finished training in a folder of the suite, then the zoo's model twice.

    Raises
    ------
    InputError
        If there is no such folder.
    """
    if not runs.is_dir():
        raise InputError(f"{runs} is no folder; name the one that unetplus-train --suite limits trains in")
    folders = [(member, RunFolder(runs / member.name)) for member in limits_suite()]
    zoo = find_bundle(WIDE)
    return [
        *(
            Trained(member.name, open_bundle(run.path / "bundle"), ARTICLES, tuple(run.records()))
            for member, run in folders
            if is_finished(member, run)
        ),
        Trained(ZOO, zoo, ARTICLES),
        Trained(ZOO_CORES, zoo, zoo.manifest.postprocessing),
    ]


def trained_row(
    model: Trained, test: Sequence[Sample], validation: Sequence[Sample], done: Callable[[], None] = lambda: None
) -> LimitRow:
    """Return the scores of a model.

    Parameters
    ----------
    model
        What to score.
    test, validation
        The images; the latter where it has not learnt from them.
    done
        Called after every image.
    """
    manifest, constants = model.bundle.manifest, model.constants
    return LimitRow(
        name=model.name,
        keras_sha256=manifest.keras_sha256,
        recipe=manifest.recipe,
        best_epoch=manifest.best_epoch,
        log=model.log,
        postprocessing=constants,
        test=scored_on(test, model.bundle, constants, done).scores,
        validation=scored_on(validation, model.bundle, constants, done).scores if model.held_out else None,
    )


@click.command(
    cls=Command,
    epilog="Example: python -m unetplus_bench.article.limits runs/limits  (in a checkout, with UNETPLUS_DATA set)",
)
@click.argument("runs", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--results",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("benchmarks/results/article"),
    show_default=True,
    help="Folder of the result file.",
)
@click.option("--quiet", is_flag=True, help="Show no progress.")
@click.pass_context
def main(context: click.Context, runs: Path, results: Path, quiet: bool) -> None:
    """Score the trainings in RUNS, of unetplus-train --suite limits, and write limits.json."""
    models = trained(runs)
    data = open_dsb2018()
    test, validation = data.test, data.validation
    rows = [
        LimitRow(name=name, test=truth_scores(test, gap), validation=truth_scores(validation, gap))
        for name, gap in TRUTH.items()
    ]
    images = sum(len(test) + model.held_out * len(validation) for model in models)
    with progress_bar("scoring", images, quiet=quiet) as done:
        rows += [trained_row(model, test, validation, done) for model in models]
    record = LimitsRecord(
        command=command_line(context),
        images_sha256={"test": content_hash(test), "validation": content_hash(validation)},
        rows=tuple(rows),
    )
    write_text(results / FILE, record.model_dump_json(indent=1) + "\n")


if __name__ == "__main__":
    main(prog_name="python -m unetplus_bench.article.limits")
