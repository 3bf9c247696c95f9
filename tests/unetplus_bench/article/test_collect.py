"""Finished trainings are copied out of the folders of the runs, and only they."""

from __future__ import annotations

import shutil

import pytest

from unetplus_bench.article.collect import collect, kept_models, log_of
from unetplus_edge.errors import InputError
from unetplus_edge.training.recipe import Recipe
from unetplus_edge.training.run_folder import RunFolder

HEADER = "epoch,learning_rate,patches,loss,validation_loss,seconds\n"
LINE = "{},0.0005,400,0.4,0.3,9.5\n"


@pytest.fixture
def runs(tmp_path, paper_bundle):
    """Three trainings: one at its end, one on its way, one that is none of the article's."""
    recipe = Recipe(architecture=paper_bundle.manifest.recipe.architecture, epochs=2)
    for name, epochs in (("unet_b8", 2), ("unet_b16", 1), ("mine", 2)):
        run = RunFolder(tmp_path / "runs" / name)
        run.start(recipe)
        run.log.write_text(HEADER + "".join(LINE.format(number + 1) for number in range(epochs)))
        run.checkpoint(epochs).write_bytes(b"with the state of the optimiser")
        shutil.copytree(paper_bundle.path, run.path / "bundle")
    return tmp_path / "runs"


def test_what_is_at_its_end_is_copied_without_the_optimisers_state(tmp_path, runs, paper_bundle):
    assert collect(runs, tmp_path / "models") == ["unet_b8"]
    files = sorted(path.relative_to(tmp_path / "models") for path in (tmp_path / "models").rglob("*") if path.is_file())
    assert [str(path) for path in files] == ["unet_b8/log.csv", "unet_b8/manifest.json", "unet_b8/model.keras"]
    (bundle,) = kept_models(tmp_path / "models").values()
    assert bundle.manifest == paper_bundle.manifest
    assert [(epoch.epoch, epoch.validation_loss) for epoch in log_of(bundle)] == [(1, 0.3), (2, 0.3)]


def test_what_is_there_already_is_left_and_other_weights_take_its_place(tmp_path, runs, with_manifest):
    collect(runs, tmp_path / "models")
    assert collect(runs, tmp_path / "models") == []
    (bundle,) = kept_models(tmp_path / "models").values()
    bundle.keras_path.write_bytes(b"older weights")
    from unetplus_edge.files import sha256_of

    with_manifest(bundle, keras_sha256=sha256_of(bundle.keras_path))
    assert collect(runs, tmp_path / "models") == ["unet_b8"]


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match="nowhere is no folder"):
        collect(tmp_path / "nowhere", tmp_path / "models")
    assert kept_models(tmp_path / "models") == {}


def test_a_model_without_its_log_is_named(tmp_path, runs):
    collect(runs, tmp_path / "models")
    (bundle,) = kept_models(tmp_path / "models").values()
    (bundle.path / "log.csv").unlink()
    with pytest.raises(InputError, match=r"log\.csv is missing or damaged"):
        log_of(bundle)
