"""From a finished training to a model bundle."""

from __future__ import annotations

import platform
import shutil
from importlib import import_module
from typing import TYPE_CHECKING

import keras
import numpy as np

import unetplus_edge
from unetplus_edge.bundle import Bundle, create_bundle
from unetplus_edge.datasets import content_hash
from unetplus_edge.errors import OutputError, TrainingError
from unetplus_edge.files import sha256_of
from unetplus_edge.imaging import Postprocessing
from unetplus_edge.manifest import DataSetRecord, Manifest, TensorRecord
from unetplus_edge.networks import build_network

if TYPE_CHECKING:
    from pathlib import Path

    from unetplus_edge.training.patches import TrainingData
    from unetplus_edge.training.recipe import Recipe
    from unetplus_edge.training.run_folder import RunFolder


def bundle_of(run: RunFolder, data: TrainingData, path: Path) -> Bundle:
    """Make a bundle of the best model of a run, without the state of its optimiser.

    Parameters
    ----------
    run
        A training with at least one finished epoch.
    data
        What it was trained on.
    path
        The folder; must not exist. It appears whole or not at all.

    Raises
    ------
    TrainingError
        If no epoch is finished.
    OutputError
        If the folder exists or cannot be written.
    """
    records = run.records()
    if not records:
        raise TrainingError(f"{run.path} has no finished epoch; go on with --resume")
    if path.exists():
        raise OutputError(f"{path} exists already; name another folder, or remove it first")
    recipe = run.recipe()
    unfinished = path.with_name(f".unfinished-{path.name}")
    try:
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        model = unfinished / "inference.keras"
        side = recipe.patch_side
        _in_float32(keras.models.load_model(run.best, compile=False), recipe).save(model)
        manifest = Manifest(
            name=recipe.architecture.name,
            recipe=recipe,
            postprocessing=recipe.fine_tuned_from.postprocessing if recipe.fine_tuned_from else Postprocessing(),
            input=TensorRecord(name="image", shape=(None, side, side, 1)),
            output=TensorRecord(name="probability", shape=(None, side, side, 1)),
            data_set=_data_set(recipe, data),
            keras_sha256=sha256_of(model),
            epochs_trained=len(records),
            best_epoch=min(records, key=lambda record: record.validation_loss).epoch,
            tools=_tools(),
        )
        create_bundle(unfinished / "bundle", model, manifest)
        (unfinished / "bundle").replace(path)
    except OSError as error:
        raise OutputError(f"{path} cannot be written ({error.strerror}); free the disk or the folder") from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return Bundle(path, manifest)


def _in_float32(trained: keras.Model, recipe: Recipe) -> keras.Model:
    """Return the network as inference computes it, whatever the precision of the training."""
    model = build_network(recipe.architecture, trained.input_shape[1:3])
    model.set_weights(trained.get_weights())
    return model


def _data_set(recipe: Recipe, data: TrainingData) -> DataSetRecord:
    learnt = {sample.id: sample for sample in data.training}
    seen = learnt | {sample.id: sample for sample in data.validation}
    return DataSetRecord(
        name="dsb2018",
        labels=recipe.labels,
        training_images=len(learnt),
        validation_images=len(seen) - len(learnt),
        sha256=content_hash(seen.values()),
    )


def _tools() -> dict[str, str]:
    backend = keras.backend.backend()
    return {
        "unetplus-edge": unetplus_edge.__version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "keras": keras.__version__,
        backend: str(import_module(backend).__version__),
    }
