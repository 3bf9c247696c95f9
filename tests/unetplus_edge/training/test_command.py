"""`unetplus-train`, as it is typed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import click
import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from unetplus_edge.architectures import UNetPlus
from unetplus_edge.bundle import open_bundle, update_manifest
from unetplus_edge.datasets import Augmentation, content_hash, open_dsb2018
from unetplus_edge.imaging import Postprocessing, Preprocessing
from unetplus_edge.training.command import main
from unetplus_edge.training.fine_tuning import fine_tuned
from unetplus_edge.training.recipe import Origin, Recipe
from unetplus_edge.training.run_folder import RunFolder

TINY = "unet_plus_tc_b1 --depth 2 --patch-side 32 --epochs 1 --extra-epochs 1 --batch-size 64 --random-patches 0 "
TINY += "--tv-iterations 2 --no-geometry --seed 3"
NEEDS_KERAS = "needs the train extra"


def typed(*words):
    """What the command answers to words and to strings of words."""
    return CliRunner().invoke(main, [part for word in words for part in (word.split() if " " in word else [word])])


def alone(code, *arguments, **environment):
    """A process of its own that runs code."""
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def keras_model(path):
    keras = pytest.importorskip("keras", reason=NEEDS_KERAS)
    return keras.models.load_model(path, compile=False)


@pytest.fixture(scope="module")
def resumed(tmp_path_factory, drawn_dsb2018):
    """A run that was killed as soon as it began, and what the command said when it went on."""
    pytest.importorskip("keras", reason=NEEDS_KERAS)
    out = tmp_path_factory.mktemp("runs") / "tiny"
    arguments = [*TINY.split(), "--out", str(out), "--data", str(drawn_dsb2018)]
    with alone("from unetplus_edge.training.command import main; main()", *arguments) as process:
        while not (out / "recipe.json").exists() and process.poll() is None:
            time.sleep(0.01)
        process.kill()
        _, said = process.communicate()
    assert process.returncode == -signal.SIGKILL, said
    result = typed("--resume", "--out", str(out), "--data", str(drawn_dsb2018))
    assert result.exit_code == 0, result.output
    return RunFolder(out), result


def test_a_killed_run_goes_on_to_its_end(resumed):
    run, _ = resumed
    assert [record.epoch for record in run.records()] == [1, 2]
    assert [record.learning_rate for record in run.records()] == [5e-4, 1e-4]
    assert run.records()[0].patches == 541 - 109


def test_ctrl_c_ends_a_run_that_can_be_resumed(tmp_path, drawn_dsb2018):
    pytest.importorskip("keras", reason=NEEDS_KERAS)
    out = tmp_path / "tiny"
    arguments = [*TINY.replace("--epochs 1", "--epochs 500").split(), "--out", str(out), "--data", str(drawn_dsb2018)]
    with alone("from unetplus_edge.training.command import main; main()", *arguments) as process:
        while not (out / "log.csv").exists() and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=120)
    assert (process.returncode, "error: interrupted" in said.splitlines()) == (130, True), said
    run = RunFolder(out)
    assert run.checkpoint(len(run.records())).is_file()


def test_options_make_the_recipe(resumed):
    run, _ = resumed
    assert run.recipe() == Recipe(
        architecture=UNetPlus(base_filters=1, depth=2),
        preprocessing=Preprocessing(tv_iterations=2),
        augmentation=Augmentation(geometry=False),
        patch_side=32,
        epochs=1,
        extra_epochs=1,
        batch_size=64,
        random_patches=0,
        seed=3,
    )


def test_each_epoch_is_told_on_stderr_and_the_outcome_on_stdout(resumed):
    run, result = resumed
    lines = result.stderr.splitlines()
    assert [line.split(":")[0] for line in lines if line.startswith("epoch")] == ["epoch 1/2", "epoch 2/2"]
    assert result.stdout.splitlines()[-1] == f"bundle: {run.path / 'bundle'}"


def test_a_finished_run_has_its_curves(resumed):
    run, _ = resumed
    assert cv2.imread(str(run.path / "curves.png")) is not None


def test_a_finished_run_has_its_bundle(resumed, drawn_dsb2018):
    run, _ = resumed
    manifest = open_bundle(run.path / "bundle").manifest
    assert manifest.recipe == run.recipe()
    assert manifest.epochs_trained == 2
    assert manifest.data_set.training_images == 541 - 109
    assert manifest.data_set.validation_images == 109
    assert manifest.data_set.sha256 == content_hash(open_dsb2018(drawn_dsb2018).training)


def test_a_finished_run_is_told_of_again_and_left_as_it_is(resumed, drawn_dsb2018):
    run, _ = resumed
    manifest = (run.path / "bundle" / "manifest.json").read_bytes()
    result = typed("unet_plus_tc_b1 --resume --quiet --json", "--out", str(run.path), "--data", str(drawn_dsb2018))
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    outcome = json.loads(result.stdout)
    first, last = run.records()
    best = first if first.validation_loss <= last.validation_loss else last
    assert outcome["best"] == vars(best)
    assert outcome["last"] == vars(last)
    assert {key: outcome[key] for key in ("run", "bundle", "network", "epochs")} == {
        "run": str(run.path),
        "bundle": str(run.path / "bundle"),
        "network": "unet_plus_tc_b1",
        "epochs": 2,
    }
    assert (run.path / "bundle" / "manifest.json").read_bytes() == manifest


def test_a_run_is_not_resumed_by_another_recipe(resumed):
    run, _ = resumed
    result = typed("--resume --epochs 3 --no-geometry", "--out", str(run.path))
    assert result.exit_code == 2
    assert "leave out --epochs, --geometry" in result.stderr


def test_a_run_is_not_resumed_as_another_network(resumed):
    run, _ = resumed
    result = typed("unet_b16 --resume", "--out", str(run.path))
    assert result.exit_code == 2
    assert "trains unet_plus_tc_b1, not unet_b16" in result.stderr


def test_a_fine_tuning_begins_with_a_model_and_prepares_images_as_it_does(resumed, tmp_path, drawn_dsb2018):
    run, _ = resumed
    bundle = open_bundle(shutil.copytree(run.path / "bundle", tmp_path / "bundle"))
    found_by = Postprocessing(threshold=0.4, core_threshold=0.9)
    bundle = update_manifest(bundle, bundle.manifest.model_copy(update={"postprocessing": found_by}))
    out = tmp_path / "further"
    # A step of Adam is at most about the learning rate; one of 1e-30 changes no float32 weight.
    still = "--depth 2 --patch-side 32 --epochs 1 --learning-rate 1e-30 --patches-per-epoch 64 --clahe-clip 3"
    result = typed("--fine-tune", str(bundle.path), still, "--out", str(out), "--data", str(drawn_dsb2018))
    assert result.exit_code == 0, result.output
    manifest = open_bundle(out / "bundle").manifest
    recipe, sha256 = manifest.recipe, bundle.manifest.keras_sha256
    assert recipe.fine_tuned_from == Origin(name="unet_plus_tc_b1", keras_sha256=sha256, postprocessing=found_by)
    assert manifest.postprocessing == found_by
    assert recipe.architecture == run.recipe().architecture
    assert recipe.preprocessing == Preprocessing(tv_iterations=2, clahe_clip=3)
    before, after = (
        keras_model(path).trainable_weights for path in (bundle.keras_path, out / "bundle" / "model.keras")
    )
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())


def test_a_fine_tuning_that_was_killed_goes_on_without_its_bundle(resumed, tmp_path, drawn_dsb2018):
    run, _ = resumed
    bundle, out = open_bundle(run.path / "bundle"), tmp_path / "further"
    recipe = fine_tuned(run.recipe().model_copy(update={"epochs": 1, "extra_epochs": 0}), bundle)
    RunFolder(out).start(recipe, bundle.keras_path)
    result = typed("--resume", "--out", str(out), "--data", str(drawn_dsb2018))
    assert result.exit_code == 0, result.output
    # It has learnt before: its first epoch is better than that of the other.
    assert RunFolder(out).records()[0].loss < run.records()[0].loss


def test_a_fine_tuning_without_a_folder_goes_to_that_of_its_network(resumed, tmp_path, monkeypatch, drawn_dsb2018):
    run, _ = resumed
    monkeypatch.setenv("UNETPLUS_RUNS", str(tmp_path))
    RunFolder(tmp_path / "unet_plus_tc_b1").start(run.recipe())
    bundle = str(run.path / "bundle")
    result = typed("--depth 2 --patch-side 32", "--fine-tune", bundle, "--data", str(drawn_dsb2018))
    assert result.exit_code == 16
    assert f"{tmp_path / 'unet_plus_tc_b1'} holds a training already" in result.stderr


def test_a_fine_tuning_whose_first_model_is_gone_says_so(resumed, tmp_path, drawn_dsb2018):
    run, _ = resumed
    bundle, out = open_bundle(run.path / "bundle"), tmp_path / "further"
    RunFolder(out).start(fine_tuned(run.recipe(), bundle))
    result = typed("--resume", "--out", str(out), "--data", str(drawn_dsb2018))
    assert result.exit_code == 16
    assert f"{out / 'start.keras'} is missing or damaged" in result.stderr


@pytest.mark.parametrize(
    ("words", "exit_code", "said"),
    [
        ("unet_plus_tc_b2 --depth 2", 16, "holds unet_plus_tc_b1 of depth 2, and unet_plus_tc_b2 of depth 2 is to be"),
        ("--seed 3", 16, "holds unet_plus_tc_b1 of depth 2, and unet_plus_tc_b1 of depth 5 is to be trained"),
        ("--resume", 2, "leave out --fine-tune"),
        ("--suite article", 2, "leave out --fine-tune"),
    ],
)
def test_only_a_new_training_of_the_same_network_begins_with_a_model(resumed, tmp_path, words, exit_code, said):
    run, _ = resumed
    out = tmp_path / "out"
    result = typed(words, "--fine-tune", str(run.path / "bundle"), "--out", str(out if exit_code == 16 else run.path))
    assert result.exit_code == exit_code
    assert said in result.stderr
    assert not out.exists()


def test_a_folder_is_not_trained_in_twice(resumed, drawn_dsb2018):
    run, _ = resumed
    result = typed("unet_b1", "--out", str(run.path), "--data", str(drawn_dsb2018))
    assert result.exit_code == 16
    assert result.stderr.startswith(f"error: {run.path} holds a training already")


def test_every_constant_of_the_recipe_is_an_option_with_its_default():
    options = {option.name: option for option in main.params if isinstance(option, click.Option)}
    recipe = Recipe(architecture=UNetPlus())
    constants = {**recipe.model_dump(), **vars(recipe.preprocessing), **vars(recipe.augmentation)}
    constants |= {"l2": recipe.architecture.l2, "depth": recipe.architecture.depth}
    for part in ("architecture", "preprocessing", "augmentation", "fine_tuned_from"):
        del constants[part]
    own = {"out", "resume", "fine_tune", "data", "suite", "only", "seeds", "quiet", "as_json"}
    assert {name: option.default for name, option in options.items() if name not in own} == constants
    assert all(option.help for option in options.values())


@pytest.mark.parametrize(
    ("words", "exit_code", "said"),
    [
        ("--learning-rate inf", 2, "--learning-rate"),
        ("--clahe-tile 48", 2, "--clahe-tile: must be a power of two"),
        ("--blur 1.5", 2, "--blur"),
        ("--l2 -1", 2, "--l2"),
        ("--patch-side 40", 2, "patch_side must be a multiple of 16"),
        ("--split patches --patch-side 128", 2, "patch_side must be 256"),
        ("--labels mine", 2, "--labels"),
        ("resnet_b8 --seed 1", 11, "error: resnet_b8 is no network"),
        ("--fine-tune nothing_like_it", 13, "error: nothing_like_it is neither"),
        ("--data /nowhere/at/all", 12, "error: /nowhere/at/all is no folder"),
    ],
)
def test_what_cannot_be_trained_is_refused_by_name_and_leaves_nothing(tmp_path, words, exit_code, said):
    out = tmp_path / "out"
    result = typed(words, "--out", str(out))
    assert result.exit_code == exit_code
    assert said in result.stderr
    assert not out.exists()


@pytest.mark.parametrize(
    ("environment", "folder"),
    [
        ({"UNETPLUS_RUNS": "{0}/runs", "XDG_DATA_HOME": "{0}/data"}, "{0}/runs/unet_b4"),
        ({"XDG_DATA_HOME": "{0}/data"}, "{0}/data/unetplus-edge/runs/unet_b4"),
        ({"HOME": "{0}/home"}, "{0}/home/.local/share/unetplus-edge/runs/unet_b4"),
    ],
)
def test_a_run_without_a_folder_goes_to_the_users_data(tmp_path, monkeypatch, environment, folder):
    for name in ("UNETPLUS_RUNS", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value.format(tmp_path))
    result = typed("unet_b4", "--resume")
    assert result.exit_code == 16
    assert result.stderr.startswith(f"error: {folder.format(tmp_path)} holds no training to resume")


def test_without_keras_the_command_says_what_to_install(tmp_path, drawn_dsb2018):
    code = """
import os, sys
sys.modules["keras"] = None
from unetplus_edge.training.command import main
try:
    main()
finally:
    print(os.environ["TF_ENABLE_ONEDNN_OPTS"], os.environ["TF_CPP_MIN_LOG_LEVEL"])
"""
    arguments = ("unet_b1", "--out", str(tmp_path / "out"), "--data", str(drawn_dsb2018))
    with alone(code, *arguments, TF_CPP_MIN_LOG_LEVEL="1") as process:
        printed, said = process.communicate()
    assert process.returncode == 16
    assert said == "error: training needs keras, which is not installed; run: pip install 'unetplus-edge[train]'\n"
    # What the user has set stays.
    assert printed.split()[1] == "1"
    assert printed.split()[0] in ("0", "1")
    assert not (tmp_path / "out").exists()


def test_the_help_shows_an_example():
    result = typed("--help")
    assert result.exit_code == 0
    assert "Example: unetplus-train unet_plus_tc_b8" in result.stdout
