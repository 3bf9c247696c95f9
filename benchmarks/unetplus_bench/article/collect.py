"""Finished trainings, as they are kept with the project: bundle and log, without the optimiser's state."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from unetplus_bench.article.networks import trained_names
from unetplus_edge.bundle import open_bundle
from unetplus_edge.errors import InputError, TrainingError
from unetplus_edge.files import whole_folder
from unetplus_edge.training.run_folder import RunFolder
from unetplus_runtime.results import unwritable

if TYPE_CHECKING:
    from pathlib import Path

    from unetplus_edge.bundle import Bundle
    from unetplus_edge.training.run_folder import EpochRecord


def collect(runs: Path, models: Path) -> list[str]:
    """Copy every finished training of the article out of the folders of the runs.

    What is there already, of the same weights, is left as it is.

    Parameters
    ----------
    runs
        Where `unetplus-train --suite article` trains: one folder a model.
    models
        Gets a folder for each: the bundle with `manifest.json` and `model.keras`, and `log.csv`.

    Returns
    -------
    list of str
        Names of what was copied.

    Raises
    ------
    InputError
        If there is no such folder of runs.
    OutputError
        If a folder cannot be written.
    """
    if not runs.is_dir():
        raise InputError(f"{runs} is no folder; name the one that unetplus-train --suite article trains in")
    copied = []
    for name in trained_names([path.name for path in runs.iterdir()]):
        run = RunFolder(runs / name)
        if not (run.path / "bundle").is_dir() or len(run.records()) < run.recipe().total_epochs:
            continue
        bundle = open_bundle(run.path / "bundle")
        target = models / name
        if target.is_dir() and open_bundle(target).manifest.keras_sha256 == bundle.manifest.keras_sha256:
            continue
        try:
            models.mkdir(parents=True, exist_ok=True)
            with whole_folder(target) as unfinished:
                for file in (bundle.keras_path, bundle.path / "manifest.json", run.log):
                    shutil.copyfile(file, unfinished / file.name)
        except OSError as error:
            raise unwritable(target, error) from error
        copied.append(name)
    return copied


def kept_models(models: Path) -> dict[str, Bundle]:
    """Return the bundles in a folder of models, by name, in the order of the suite.

    Raises
    ------
    BundleError
        If one is damaged.
    """
    if not models.is_dir():
        return {}
    return {name: open_bundle(models / name) for name in trained_names([path.name for path in models.iterdir()])}


def log_of(bundle: Bundle) -> tuple[EpochRecord, ...]:
    """Return the log beside a bundle that `collect` has put there.

    Raises
    ------
    InputError
        If there is none, or it is damaged.
    """
    kept, why = RunFolder(bundle.path), None
    try:
        records = kept.records()
    except (OSError, TrainingError) as error:
        records, why = [], error
    if not records:
        raise InputError(f"{kept.log} is missing or damaged; run: unetplus-bench article --collect RUNS") from why
    return tuple(records)
