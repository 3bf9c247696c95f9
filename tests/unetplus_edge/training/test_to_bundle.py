"""A finished run as a bundle."""

from __future__ import annotations

import platform
import resource
import zipfile

import numpy as np
import pytest

keras = pytest.importorskip("keras", reason="needs the train extra")
import unetplus_edge  # noqa: E402
from unetplus_edge.bundle import open_bundle  # noqa: E402
from unetplus_edge.datasets import content_hash  # noqa: E402
from unetplus_edge.errors import OutputError, TrainingError  # noqa: E402
from unetplus_edge.networks import build_network  # noqa: E402
from unetplus_edge.training.losses import CrossEntropyLogDice  # noqa: E402
from unetplus_edge.training.patches import TrainingData  # noqa: E402
from unetplus_edge.training.run_folder import EpochRecord, RunFolder  # noqa: E402
from unetplus_edge.training.to_bundle import bundle_of  # noqa: E402


@pytest.fixture(scope="module")
def run(tmp_path_factory, tiny_recipe):
    """A folder as three epochs leave it, the second being the best."""
    folder = RunFolder(tmp_path_factory.mktemp("run"))
    folder.start(tiny_recipe)
    model = build_network(tiny_recipe.architecture, (32, 32))
    model.compile(optimizer="adam", loss=CrossEntropyLogDice())
    model.optimizer.build(model.trainable_variables)
    for epoch, loss in enumerate([0.5, 0.25, 0.75], start=1):
        model.set_weights([0.9 * weight for weight in model.get_weights()])
        folder.finish_epoch(model, EpochRecord(epoch, 0.01, 16, 1.0, loss, 1.0))
    return folder


def test_the_bundle_holds_the_best_model(run, drawn_data, tmp_path):
    bundle = bundle_of(run, drawn_data, tmp_path / "bundle")
    assert open_bundle(tmp_path / "bundle") == bundle
    patches = np.random.default_rng(0).random((2, 32, 32, 1), np.float32)
    best, bundled = (keras.models.load_model(path, compile=False) for path in (run.best, bundle.keras_path))
    np.testing.assert_array_equal(best.predict_on_batch(patches), bundled.predict_on_batch(patches))
    assert (bundle.manifest.best_epoch, bundle.manifest.epochs_trained) == (2, 3)


def test_what_was_trained_in_bfloat16_is_bundled_in_float32(drawn_data, tiny_recipe, tmp_path):
    recipe = tiny_recipe.model_copy(update={"precision": "mixed_bfloat16"})
    run = RunFolder(tmp_path / "run")
    run.start(recipe)
    model = build_network(recipe.architecture, (32, 32), recipe.precision)
    run.finish_epoch(model, EpochRecord(1, 0.01, 16, 1.0, 0.5, 1.0))
    bundled = keras.models.load_model(bundle_of(run, drawn_data, tmp_path / "bundle").keras_path)
    assert {layer.compute_dtype for layer in bundled.layers} == {"float32"}
    for weight, trained in zip(bundled.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, trained)


def test_the_bundled_model_has_no_optimiser(run, drawn_data, tmp_path):
    bundle = bundle_of(run, drawn_data, tmp_path / "bundle")
    assert keras.models.load_model(run.best).optimizer is not None
    assert not hasattr(keras.models.load_model(bundle.keras_path), "optimizer")
    assert bundle.keras_path.stat().st_size < run.best.stat().st_size
    assert zipfile.ZipFile(bundle.keras_path).testzip() is None


def test_the_manifest_says_what_was_trained_and_by_what(run, drawn_data, tmp_path):
    manifest = bundle_of(run, drawn_data, tmp_path / "bundle").manifest
    assert manifest.name == "unet_plus_tc_b1"
    assert manifest.recipe == run.recipe()
    assert (manifest.input.name, manifest.input.shape) == ("image", (None, 32, 32, 1))
    assert (manifest.output.name, manifest.output.shape) == ("probability", (None, 32, 32, 1))
    assert manifest.tools["keras"] == keras.__version__
    assert manifest.tools["numpy"] == np.__version__
    assert manifest.tools["python"] == platform.python_version()
    assert manifest.tools["unetplus-edge"] == unetplus_edge.__version__
    assert keras.backend.backend() in manifest.tools


def test_the_manifest_says_which_images_were_learnt_from_and_held_out(run, drawn_data, tmp_path):
    record = bundle_of(run, drawn_data, tmp_path / "bundle").manifest.data_set
    assert (record.labels, record.training_images, record.validation_images) == ("fixed", 4, 1)
    assert record.sha256 == content_hash(drawn_data.training + drawn_data.validation)


def test_a_split_by_patch_holds_no_image_out(run, drawn_data, tmp_path):
    data = TrainingData(drawn_data.training, drawn_data.training)
    record = bundle_of(run, data, tmp_path / "bundle").manifest.data_set
    assert (record.training_images, record.validation_images) == (4, 0)
    assert record.sha256 == content_hash(drawn_data.training)


def test_what_an_earlier_try_left_is_in_no_ones_way(run, drawn_data, tmp_path):
    (tmp_path / ".unfinished-bundle" / "bundle").mkdir(parents=True)
    bundle_of(run, drawn_data, tmp_path / "bundle")
    assert {path.name for path in tmp_path.iterdir()} == {"bundle"}
    assert {path.name for path in (tmp_path / "bundle").iterdir()} == {"manifest.json", "model.keras"}


def test_a_folder_that_is_there_is_not_touched(run, drawn_data, tmp_path):
    (tmp_path / "bundle").mkdir()
    with pytest.raises(OutputError, match="exists already"):
        bundle_of(run, drawn_data, tmp_path / "bundle")
    assert not list((tmp_path / "bundle").iterdir())


def test_a_full_disk_leaves_no_half_bundle(run, drawn_data, tmp_path):
    _, hard = limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(OutputError, match="bundle cannot be written"):
            bundle_of(run, drawn_data, tmp_path / "bundle")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not list(tmp_path.iterdir())


def test_a_run_without_a_finished_epoch_gives_no_bundle(drawn_data, tiny_recipe, tmp_path):
    run = RunFolder(tmp_path)
    run.start(tiny_recipe)
    with pytest.raises(TrainingError, match="no finished epoch"):
        bundle_of(run, drawn_data, tmp_path / "bundle")
