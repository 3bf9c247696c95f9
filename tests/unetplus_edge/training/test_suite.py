"""`unetplus-train --suite`: many trainings by one command, which can be stopped and started again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from click.testing import CliRunner

from unetplus_edge.bundle import open_bundle
from unetplus_edge.errors import InputError, TrainingError
from unetplus_edge.training import command
from unetplus_edge.training.limits import limits_suite
from unetplus_edge.training.run_folder import EpochRecord, RunFolder
from unetplus_edge.training.suite import Member, article_suite, chosen, train_suite

EIGHT = {
    f"{family}_b{width}" for family in ("unet", "unet_plus_plus", "unet_plus_tc", "unet_plus_us") for width in (8, 16)
}
NEEDS_KERAS = "needs the train extra"


def by_name(seeds=1):
    return {member.name: member.recipe for member in article_suite(seeds)}


def test_the_suite_begins_with_the_eight_models_of_the_tables_the_narrow_ones_first():
    members = article_suite()
    assert {member.name for member in members[:8]} == EIGHT
    assert [member.recipe.architecture.base_filters for member in members[:8]] == [8] * 4 + [16] * 4
    assert all(member.recipe.architecture.name == member.name for member in members[:8])


def test_all_of_them_learn_from_the_same_patches_by_the_same_constants():
    special = {"architecture", "extra_epochs"}
    recipes = [recipe.model_dump(exclude=special) for recipe in by_name().values()]
    assert all(recipe == recipes[0] for recipe in recipes)
    assert (recipes[0]["labels"], recipes[0]["split"], recipes[0]["gap"]) == ("released", "all_patches", 0)
    assert (recipes[0]["epochs"], recipes[0]["learning_rate"]) == (20, 5e-4)


def test_the_articles_special_cases_are_those_of_unet_plus_plus():
    found = {
        name: (recipe.extra_epochs, recipe.architecture.l2, getattr(recipe.architecture, "variant", None))
        for name, recipe in by_name().items()
        if recipe.extra_epochs or recipe.architecture.l2 or "plus_plus" in name
    }
    assert found == {
        "unet_plus_plus_b8": (5, 0.0, "published"),
        "unet_plus_plus_b16": (5, 1e-4, "published"),
        "unet_plus_plus_b8_l2": (5, 1e-4, "published"),
        "unet_plus_plus_b16_no_l2": (5, 0.0, "published"),
        "unet_plus_plus_controlled_b8": (0, 0.0, "controlled"),
    }


def test_more_seeds_train_the_eight_again_and_change_nothing_else():
    once, thrice = by_name(), by_name(3)
    assert set(thrice) - set(once) == {f"{name}_seed{seed}" for name in EIGHT for seed in (1, 2)}
    for name in EIGHT:
        assert thrice[f"{name}_seed2"] == once[name].model_copy(update={"seed": 2})


def test_the_suite_of_limits_has_the_articles_recipe_in_float32_and_the_zoos():
    recipes = [member.recipe.model_dump() for member in limits_suite()]
    article = by_name()["unet_plus_tc_b16"].model_dump()
    changes = [{name for name in article if recipe[name] != article[name]} for recipe in recipes]
    more = {"labels", "preprocessing", "patches_per_epoch", "batch_size", "epochs", "extra_epochs"}
    assert changes == [{"precision"}, {"split", "gap", *more}]
    assert [recipe["split"] for recipe in recipes] == ["all_patches", "validation_images"]


def test_the_command_trains_the_suite_of_limits_by_its_name(tmp_path):
    missing = typed("--suite", "limits", "--only", "unet_b8", "--out", str(tmp_path / "out"))
    assert missing.exit_code == InputError.exit_code
    assert "the suite has no unet_b8; it has unet_plus_tc_b16_float32, unet_plus_tc_b16_all_patches" in missing.stderr
    seeded = typed("--suite", "limits", "--seeds", "2", "--out", str(tmp_path / "out"))
    assert (seeded.exit_code, "--seeds is of --suite article" in seeded.stderr) == (2, True)
    assert not (tmp_path / "out").exists()


def test_some_are_chosen_by_name_in_the_order_of_the_suite():
    members = chosen(article_suite(), ["unet_plus_plus_b8_l2", "unet_b8"])
    assert [member.name for member in members] == ["unet_b8", "unet_plus_plus_b8_l2"]
    with pytest.raises(InputError, match="the suite has no unet_b9; it has unet_plus_tc_b8, unet_b8"):
        chosen(article_suite(), ["unet_b8", "unet_b9"])


def test_a_folder_of_another_recipe_is_refused_before_anything_is_trained(tmp_path, tiny_recipe):
    RunFolder(tmp_path / "second").start(tiny_recipe.model_copy(update={"epochs": 3, "seed": 1}))
    members = [Member("first", tiny_recipe), Member("second", tiny_recipe)]
    with pytest.raises(TrainingError, match=r"epochs 3 in place of 5; seed 1 in place of 5"):
        train_suite(members, tmp_path)
    assert not (tmp_path / "first").exists()


def test_a_folder_that_another_process_trains_in_is_left_alone(tmp_path, tiny_recipe):
    run = RunFolder(tmp_path)
    run.start(tiny_recipe)
    with run.taken(), pytest.raises(TrainingError, match="another process trains in"), RunFolder(tmp_path).taken():
        pass
    with run.taken():
        pass


@pytest.fixture(scope="module")
def members(tiny_recipe):
    """Two short trainings."""
    short = tiny_recipe.model_copy(update={"epochs": 2, "batch_size": 64, "labels": "released"})
    few = short.model_copy(update={"random_patches": 0, "patches_per_epoch": 16})
    return (Member("first", few), Member("second", few.model_copy(update={"seed": 9})))


def typed(*words):
    return CliRunner().invoke(command.main, words)


@pytest.fixture(scope="module")
def trained(tmp_path_factory, drawn_dsb2018, members):
    """The folder of a suite of which the first member was begun by hand, and what the command said."""
    pytest.importorskip("keras", reason=NEEDS_KERAS)
    folder = tmp_path_factory.mktemp("suite")
    RunFolder(folder / "first").start(members[0].recipe)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(command, "article_suite", lambda seeds: members)
        result = typed("--suite", "article", "--json", "--out", str(folder), "--data", str(drawn_dsb2018))
    assert result.exit_code == 0, result.output
    return folder, result


def test_all_of_a_suite_are_trained_to_the_end(trained, members):
    folder, result = trained
    for told, member in zip(json.loads(result.stdout), members, strict=True):
        run = RunFolder(folder / member.name)
        records = run.records()
        assert [record.patches for record in records] == [16, 16]
        best = min(records, key=lambda record: record.validation_loss)
        assert told == {
            "name": member.name,
            "epochs": 2,
            "best_epoch": best.epoch,
            "best_loss": best.validation_loss,
            "exit_code": 0,
        }
        assert open_bundle(run.path / "bundle").manifest.recipe == member.recipe


def test_a_finished_suite_is_told_of_again_without_training(trained, members, monkeypatch, drawn_dsb2018):
    folder, first = trained
    monkeypatch.setattr(command, "article_suite", lambda seeds: members)
    # Any training would fail.
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    again = typed("--suite", "article", "--json", "--out", str(folder), "--data", str(drawn_dsb2018))
    assert again.exit_code == 0, again.output
    assert json.loads(again.stdout) == json.loads(first.stdout)
    assert again.stderr == ""


def test_one_that_fails_does_not_stop_the_next_and_is_named(tmp_path, members, monkeypatch, drawn_dsb2018):
    pytest.importorskip("keras", reason=NEEDS_KERAS)
    run = RunFolder(tmp_path / "first")
    run.start(members[0].recipe)
    # Its checkpoint is gone, so it cannot go on.
    run.log.write_text("epoch,learning_rate,patches,loss,validation_loss,seconds\n1,0.01,16,0.5,0.5,1\n")
    monkeypatch.setattr(command, "article_suite", lambda seeds: members)
    result = typed("--suite", "article", "--quiet", "--out", str(tmp_path), "--data", str(drawn_dsb2018))
    assert result.exit_code == TrainingError.exit_code
    assert "error: not trained to the end: first; the same command goes on with them" in result.stderr
    assert RunFolder(tmp_path / "first").records() == [EpochRecord(1, 0.01, 16, 0.5, 0.5, 1.0)]
    assert len(RunFolder(tmp_path / "second").records()) == 2


_LONG = """
import sys
from pathlib import Path
from unetplus_edge.training import command
from unetplus_edge.training.recipe import Recipe
from unetplus_edge.training.suite import Member
recipe = Recipe.model_validate_json(sys.argv.pop(1))
command.article_suite = lambda seeds: (Member("first", recipe), Member("second", recipe))
command.main()
"""


def test_a_suite_that_is_told_to_end_ends_its_training_and_starts_no_other(tmp_path, members, drawn_dsb2018):
    pytest.importorskip("keras", reason=NEEDS_KERAS)
    recipe = members[0].recipe.model_copy(update={"epochs": 500})
    arguments = ["--suite", "article", "--quiet", "--out", str(tmp_path), "--data", str(drawn_dsb2018)]
    process = subprocess.Popen(
        [sys.executable, "-c", _LONG, recipe.model_dump_json(), *arguments],
        env=dict(os.environ),
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        while not (tmp_path / "first" / "log.csv").exists() and process.poll() is None:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=120)
    assert (process.returncode, said.splitlines()[-1]) == (130, "error: interrupted"), said
    assert not (tmp_path / "second").exists()
    # The child has let go of the folder.
    with RunFolder(tmp_path / "first").taken():
        pass


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--suite article --epochs 3 --resume", "leave out --epochs, --resume"),
        ("unet_b8 --suite article", "leave out NETWORK"),
        ("unet_b8 --only unet_b8", "name it with --suite"),
        ("--seeds 3", "name it with --suite"),
        ("--suite article --seeds 0", "--seeds"),
    ],
)
def test_what_does_not_go_with_a_suite_is_refused(tmp_path, words, said):
    result = typed(*words.split(), "--out", str(tmp_path / "out"))
    assert result.exit_code == 2
    assert said in result.stderr
    assert not (tmp_path / "out").exists()
