"""The result file of one model of the article: how it was trained, and how it segments the test images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from unetplus_bench.article.networks import seed_of, trained_names, without_seed
from unetplus_bench.results import NetworkRecord, read_result
from unetplus_edge.errors import InputError
from unetplus_edge.imaging import Postprocessing
from unetplus_edge.training.recipe import Recipe
from unetplus_edge.training.run_folder import EpochRecord
from unetplus_runtime.results import write_text

if TYPE_CHECKING:
    from pathlib import Path

    from unetplus_bench.results import BenchmarkResult

TIMES: Final = "times"
"""Stem of the file that has the times of all models, measured in turns."""

FIGURES: Final = "figures"
"""Stem of the file that says what the pictures were made of."""


class Record(BaseModel):
    """A part of a result file: nothing is added to it or changed in it."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


AnyRecord = TypeVar("AnyRecord", bound=Record)


class ArticleRecord(Record):
    """What one training of the article came to.

    Attributes
    ----------
    schema_version
        Of this description.
    name
        Of the training, as `unetplus_edge.training.suite` has it.
    command
        That scored it, as it was typed.
    keras_sha256
        Of the model.
    recipe
        By which it was trained.
    network
        Its size.
    best_epoch
        The epoch that was kept, with the lowest validation loss.
    log
        Every epoch.
    images, images_sha256
        What was scored: the article's test images, and the hash of their content.
    postprocessing
        The constants that labels were made by; the article's threshold, chosen on no image.
    grid
        How images were cut into patches.
    engine, executed_precision
        What ran it.
    scores
        By name, as `unetplus_edge.evaluation.SetScores` has them.
    versions
        Of the libraries.
    """

    schema_version: Literal[1] = 1
    name: str
    command: str
    keras_sha256: str
    recipe: Recipe
    network: NetworkRecord
    best_epoch: int
    log: tuple[EpochRecord, ...]
    images: Literal["test_images"] = "test_images"
    images_sha256: str
    postprocessing: Postprocessing
    grid: Literal["article"] = "article"
    engine: str
    executed_precision: str
    scores: dict[str, float | None]
    versions: dict[str, str]

    def write(self, folder: Path) -> None:
        """Write the record into a folder of results."""
        write_text(folder / f"{self.name}.json", self.model_dump_json(indent=1) + "\n")


class ArticleResults:
    """All that was measured of the article's models.

    Parameters
    ----------
    folder
        `benchmarks/results/article`; what is not there was not measured.

    Raises
    ------
    InputError
        If a file of it is damaged.
    """

    def __init__(self, folder: Path) -> None:
        names = trained_names([path.stem for path in folder.glob("*.json")])
        self.records = {name: read_record(folder / f"{name}.json", ArticleRecord) for name in names}
        times = folder / f"{TIMES}.json"
        self.times: BenchmarkResult | None = read_result(times) if times.is_file() else None
        figures = folder / f"{FIGURES}.json"
        self.figures = read_record(figures, FiguresRecord) if figures.is_file() else None

    def seeds(self, name: str) -> list[ArticleRecord]:
        """Return the trainings of a model, one a seed."""
        found = [record for record in self.records.values() if without_seed(record.name) == name]
        return sorted(found, key=lambda record: seed_of(record.name))

    def score(self, name: str, key: str) -> float | None:
        """Return a score of a model, the mean over its seeds; None where it was not trained or has none."""
        values = [record.scores[key] for record in self.seeds(name)]
        known = [value for value in values if value is not None]
        return sum(known) / len(known) if known and len(known) == len(values) else None


class FiguresRecord(Record):
    """What the pictures were made of.

    Attributes
    ----------
    images
        Ids of the test images of the overlays, from top to bottom.
    models
        From left to right, name of each model in the overlays, and the hash of its file.
    """

    schema_version: Literal[1] = 1
    command: str
    images: tuple[str, ...]
    models: dict[str, str]


def read_record(path: Path, kind: type[AnyRecord], command: str = "unetplus-bench article --measure") -> AnyRecord:
    """Return what a result file of the article holds.

    Parameters
    ----------
    path
        The file.
    kind
        What it is to hold.
    command
        That writes it anew.

    Raises
    ------
    InputError
        If it is damaged, or of another version.
    """
    try:
        return kind.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise InputError(f"{path} is damaged or of another version; run: {command}") from error
