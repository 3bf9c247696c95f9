"""SavedModels, read with TensorFlow itself."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from unetplus_edge.architectures import UNetPlus
from unetplus_edge.errors import ConversionError
from unetplus_export.conversion import Request
from unetplus_export.saved_model import LAYER_PREFIX, SIGNATURE, keras_model, saved_model

keras = pytest.importorskip("keras", reason="needs the export extra")
tensorflow = pytest.importorskip("tensorflow", reason="needs the export extra")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory, make_network, make_bundle):
    """A network and its bundle."""
    model = make_network(UNetPlus(base_filters=2, depth=2))
    return model, make_bundle(model, tmp_path_factory.mktemp("saved") / "bundle")


def random_patches(count, side=32):
    return np.random.default_rng(0).random((count, side, side, 1), np.float32)


def test_the_function_answers_as_keras_does_under_the_bundles_names(tiny):
    model, bundle = tiny
    with saved_model(Request(bundle, "fp32", patch_side=32)) as folder:
        function = tensorflow.saved_model.load(folder).signatures[SIGNATURE]
        for count in (1, 3):
            patches = random_patches(count)
            found = function(image=patches)
            assert list(found) == ["probability"]
            np.testing.assert_allclose(found["probability"], model.predict_on_batch(patches), atol=1e-6)
    assert not folder.exists()


def test_the_number_of_patches_can_be_fixed(tiny):
    _, bundle = tiny
    with saved_model(Request(bundle, "fp32", patch_side=32, batch=2)) as folder:
        function = tensorflow.saved_model.load(folder).signatures[SIGNATURE]
    assert function.inputs[0].shape == (2, 32, 32, 1)


def test_every_convolutions_output_can_be_had_behind_its_batch_norm(tiny):
    model, bundle = tiny
    patches = random_patches(1)
    with saved_model(Request(bundle, "fp32", patch_side=32), every_layer=True) as folder:
        found = tensorflow.saved_model.load(folder).signatures[SIGNATURE](image=patches)
    kinds = (keras.layers.Conv2D, keras.layers.Conv2DTranspose)
    names = [layer.name for layer in model.layers if isinstance(layer, kinds)]
    assert set(found) == {"probability", *(f"{LAYER_PREFIX}{name}" for name in names)}
    for name in names:
        # The last convolution has no batch norm.
        end = name if name == "probability" else f"{name.removesuffix('_conv')}_norm"
        expected = keras.Model(model.input, model.get_layer(end).output).predict_on_batch(patches)
        np.testing.assert_allclose(found[f"{LAYER_PREFIX}{name}"], expected, atol=1e-5)


def test_a_model_for_another_patch_side_has_the_same_weights(tiny):
    model, bundle = tiny
    other = keras_model(Request(bundle, "fp32", patch_side=48))
    assert other.input_shape == (None, 48, 48, 1)
    for found, expected in zip(other.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_a_side_that_levels_cannot_halve_is_refused(tiny):
    _, bundle = tiny
    with pytest.raises(ConversionError, match="tiny cannot be built for patches of 33 pixels; take a side"):
        keras_model(Request(bundle, "fp32", patch_side=33))


def test_another_backend_than_tensorflow_is_refused(tiny):
    _, bundle = tiny
    code = """
import sys
from pathlib import Path
from unetplus_edge.bundle import open_bundle
from unetplus_edge.errors import ConversionError
from unetplus_export.conversion import Request
from unetplus_export.saved_model import keras_model
try:
    keras_model(Request(open_bundle(Path(sys.argv[1])), "fp32", patch_side=32))
except ConversionError as error:
    print(error)
"""
    command = [sys.executable, "-c", code, str(bundle.path)]
    environment = {**os.environ, "KERAS_BACKEND": "jax"}
    said = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
    assert "Keras runs on jax here; run again with KERAS_BACKEND=tensorflow" in said
