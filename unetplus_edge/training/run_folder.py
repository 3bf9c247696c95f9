"""The folder of one training: what survives a kill at any moment."""

from __future__ import annotations

import csv
import shutil
import sys
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING

from unetplus_edge.errors import TrainingError
from unetplus_edge.files import whole_file
from unetplus_edge.training.recipe import Recipe

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import keras


@dataclass(frozen=True)
class EpochRecord:
    """One line of the log.

    Attributes
    ----------
    epoch
        Counted from 1.
    learning_rate
        Of this epoch.
    patches
        Patches learnt from.
    loss, validation_loss
        Means over patches.
    seconds
        Time that the epoch took.
    """

    epoch: int
    learning_rate: float
    patches: int
    loss: float
    validation_loss: float
    seconds: float


class RunFolder:
    """Recipe, log and weights of a training on disk.

    An epoch is finished once its line is in the log. Its checkpoint is written before, so the log
    never names a checkpoint that is not there; whatever a kill leaves beyond the log is written
    again when the run is resumed. Every file appears whole or not at all.

    Parameters
    ----------
    path
        The folder: `recipe.json`, `log.csv`, `best.keras`, and `epoch-N.keras` with the state of
        the optimiser after the last finished epoch; of a fine-tuning also `start.keras`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def best(self) -> Path:
        """The model of the epoch with the lowest validation loss."""
        return self.path / "best.keras"

    @property
    def first(self) -> Path:
        """The model that a fine-tuning begins with."""
        return self.path / "start.keras"

    @property
    def log(self) -> Path:
        """The log as a CSV table, one line an epoch."""
        return self.path / "log.csv"

    def checkpoint(self, epoch: int) -> Path:
        """Return where the model after an epoch is kept."""
        return self.path / f"epoch-{epoch}.keras"

    def start(self, recipe: Recipe, model: Path | None = None) -> None:
        """Make the folder for a new training.

        Parameters
        ----------
        recipe
            What it is to do.
        model
            The Keras model that it begins with, where the recipe names one; it is copied.

        Raises
        ------
        TrainingError
            If it holds a training already, or cannot be written.
        """
        if (self.path / "recipe.json").exists():
            raise TrainingError(f"{self.path} holds a training already; go on with --resume, or name another folder")
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            if model is not None:
                with whole_file(self.first) as unfinished:
                    shutil.copyfile(model, unfinished)
            with whole_file(self.path / "recipe.json") as unfinished:
                unfinished.write_text(recipe.model_dump_json(indent=2))
        except OSError as error:
            raise TrainingError(f"{self.path} cannot be written ({error.strerror}); name another folder") from error

    def recipe(self) -> Recipe:
        """Return the recipe of the training in this folder."""
        path = self.path / "recipe.json"
        if not path.is_file():
            raise TrainingError(f"{self.path} holds no training to resume; start one without --resume")
        try:
            return Recipe.model_validate_json(path.read_bytes())
        except (OSError, ValueError) as error:
            raise TrainingError(f"{path} is damaged or of another version; start a new training") from error

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Keep other processes of this machine from training in the folder while the block runs.

        Windows has no such lock.

        Raises
        ------
        TrainingError
            If another process trains in it.
        """
        with (self.path / "recipe.json").open("rb") as file:
            if sys.platform != "win32":
                import fcntl

                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    raise TrainingError(
                        f"another process trains in {self.path}; wait for it, or end it, then go on with --resume"
                    ) from None
            yield

    def records(self) -> list[EpochRecord]:
        """Return the lines of the log."""
        if not self.log.is_file():
            return []
        with self.log.open(newline="") as file:
            rows = list(csv.DictReader(file))
        try:
            return [
                EpochRecord(
                    epoch=int(row["epoch"]),
                    learning_rate=float(row["learning_rate"]),
                    patches=int(row["patches"]),
                    loss=float(row["loss"]),
                    validation_loss=float(row["validation_loss"]),
                    seconds=float(row["seconds"]),
                )
                for row in rows
            ]
        except (KeyError, TypeError, ValueError) as error:
            raise TrainingError(f"{self.log} is damaged; start a new training") from error

    def finish_epoch(self, model: keras.Model, record: EpochRecord) -> None:
        """Write the checkpoint of an epoch, the best model if it is that, and then the log.

        Raises
        ------
        TrainingError
            If the disk does not take them. What was kept before stays.
        """
        try:
            self._finish_epoch(model, record)
        except OSError as error:
            raise TrainingError(
                f"{self.path} cannot be written ({error.strerror}); free the disk, then go on with --resume"
            ) from error

    def _finish_epoch(self, model: keras.Model, record: EpochRecord) -> None:
        records = self.records()
        self._save(model, self.checkpoint(record.epoch))
        if all(record.validation_loss < earlier.validation_loss for earlier in records):
            self._save(model, self.best)
        with whole_file(self.log) as unfinished, unfinished.open("w", newline="") as table:
            writer = csv.DictWriter(table, [field.name for field in fields(EpochRecord)])
            writer.writeheader()
            writer.writerows(asdict(line) for line in [*records, record])
        for checkpoint in set(self.path.glob("epoch-*.keras")) - {self.checkpoint(record.epoch)}:
            checkpoint.unlink()

    @staticmethod
    def _save(model: keras.Model, path: Path) -> None:
        with whole_file(path) as unfinished:
            model.save(unfinished)
