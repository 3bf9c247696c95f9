"""The folder of a run: what it says, and what it refuses."""

from __future__ import annotations

import csv
import resource

import numpy as np
import pytest

keras = pytest.importorskip("keras", reason="needs the train extra")
from unetplus_edge.architectures import UNet, UNetPlus  # noqa: E402
from unetplus_edge.errors import TrainingError  # noqa: E402
from unetplus_edge.training.recipe import Recipe  # noqa: E402
from unetplus_edge.training.run_folder import EpochRecord, RunFolder  # noqa: E402


def record(epoch, validation_loss):
    return EpochRecord(epoch, 5e-4, 100, 0.5, validation_loss, 1.5)


def model_of(value):
    """A model that is told by its only weight."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    model.set_weights([np.array([[value]], np.float32)])
    return model


def value_of(path):
    return float(keras.models.load_model(path).get_weights()[0][0, 0])


def test_a_recipe_comes_back_from_the_folder(tmp_path):
    recipe = Recipe(architecture=UNetPlus(base_filters=8), gap=1)
    run = RunFolder(tmp_path / "deep" / "run")
    run.start(recipe)
    assert run.recipe() == recipe
    assert run.records() == []


def test_a_folder_takes_one_training(tmp_path):
    run = RunFolder(tmp_path)
    run.start(Recipe(architecture=UNet()))
    with pytest.raises(TrainingError, match="--resume"):
        run.start(Recipe(architecture=UNetPlus()))
    assert run.recipe().architecture == UNet()


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(TrainingError, match="another folder"):
        RunFolder(tmp_path / "file" / "run").start(Recipe(architecture=UNet()))


def test_an_empty_folder_has_nothing_to_resume(tmp_path):
    with pytest.raises(TrainingError, match="no training to resume"):
        RunFolder(tmp_path).recipe()


def test_the_log_is_a_table_of_what_was_finished(tmp_path):
    run = RunFolder(tmp_path)
    records = [record(1, 0.75), record(2, 0.25)]
    for line in records:
        run.finish_epoch(model_of(line.epoch), line)
    assert run.records() == records
    with run.log.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["validation_loss"] for row in rows] == ["0.75", "0.25"]
    assert rows[1] == {
        "epoch": "2",
        "learning_rate": "0.0005",
        "patches": "100",
        "loss": "0.5",
        "validation_loss": "0.25",
        "seconds": "1.5",
    }


def test_the_best_model_has_the_lowest_validation_loss_and_the_earliest_of_equals(tmp_path):
    run = RunFolder(tmp_path)
    for epoch, (loss, best) in enumerate([(0.5, 1), (0.75, 1), (0.25, 3), (0.25, 3), (0.5, 3)], start=1):
        run.finish_epoch(model_of(epoch), record(epoch, loss))
        assert value_of(run.best) == best


def test_only_the_last_checkpoint_is_kept(tmp_path):
    run = RunFolder(tmp_path)
    run.finish_epoch(model_of(1), record(1, 0.5))
    run.checkpoint(0).write_text("left over by a kill")
    run.finish_epoch(model_of(2), record(2, 0.5))
    assert list(tmp_path.glob("epoch-*.keras")) == [run.checkpoint(2)]
    assert value_of(run.checkpoint(2)) == 2


def test_nothing_unfinished_is_left_behind(tmp_path):
    run = RunFolder(tmp_path)
    run.start(Recipe(architecture=UNet()))
    run.finish_epoch(model_of(1), record(1, 0.5))
    assert {path.name for path in tmp_path.iterdir()} == {"recipe.json", "log.csv", "best.keras", "epoch-1.keras"}


@pytest.mark.parametrize("content", ["", "{}", '{"architecture": {"kind": "resnet"}}', "no JSON"])
def test_a_damaged_recipe_is_an_error_that_names_it(tmp_path, content):
    (tmp_path / "recipe.json").write_text(content)
    with pytest.raises(TrainingError, match=r"recipe\.json is damaged"):
        RunFolder(tmp_path).recipe()


@pytest.mark.parametrize("content", ["epoch,loss\n1,0.5\n", "epoch\nfirst\n"])
def test_a_damaged_log_is_an_error_that_names_it(tmp_path, content):
    (tmp_path / "log.csv").write_text(content)
    with pytest.raises(TrainingError, match=r"log\.csv is damaged"):
        RunFolder(tmp_path).records()


def test_a_full_disk_is_an_error_that_names_the_folder(tmp_path):
    run = RunFolder(tmp_path)
    run.finish_epoch(model_of(1), record(1, 0.5))
    _, hard = limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(TrainingError, match=f"{tmp_path} cannot be written"):
            run.finish_epoch(model_of(2), record(2, 0.25))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert run.records() == [record(1, 0.5)]
    assert value_of(run.checkpoint(1)) == value_of(run.best) == 1
