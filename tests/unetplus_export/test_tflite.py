"""TFLite files, read with LiteRT itself."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from unetplus_edge.architectures import UNet, UNetPlus, UNetPlusPlus
from unetplus_edge.errors import ConversionError
from unetplus_export.tflite import convert_tflite, custom_operators

keras = pytest.importorskip("keras", reason="needs the export extra")
tensorflow = pytest.importorskip("tensorflow", reason="needs the export extra")


@pytest.fixture(scope="module")
def converted(tmp_path_factory, make_network, make_bundle):
    """A U-Net+ as Keras has it and as a TFLite file, and the tools that made it."""
    folder = tmp_path_factory.mktemp("converted")
    model = make_network(UNetPlus(base_filters=2, depth=2))
    tools = convert_tflite(make_bundle(model, folder / "bundle"), folder / "model.tflite")
    return model, folder / "model.tflite", tools


def model_of(function):
    """A network that is one function of the image."""
    image = keras.Input((32, 32, 1), name="image")
    return keras.Model(image, function(image * 0.5))


def answers(path, patches):
    """Run patch after patch through a TFLite file by the names of its signature."""
    run = Interpreter(model_path=str(path)).get_signature_runner()
    return np.concatenate([run(image=patch[None])["probability"] for patch in patches])


def difference(model, path):
    patches = np.random.default_rng(0).random((3, 32, 32, 1), np.float32)
    return np.abs(answers(path, patches) - keras.ops.convert_to_numpy(model(patches, training=False))).max()


def test_a_converted_network_answers_as_keras_does(converted):
    model, path, _ = converted
    assert difference(model, path) < 1e-5


@pytest.mark.parametrize(
    "architecture",
    [
        UNetPlus(base_filters=2, depth=2, upsampling="nearest"),
        UNet(base_filters=2, depth=2),
        UNetPlusPlus(base_filters=2, depth=2),
        UNetPlusPlus(base_filters=2, depth=2, variant="controlled"),
    ],
    ids=lambda architecture: architecture.name,
)
def test_every_network_can_be_converted(tmp_path, make_network, make_bundle, architecture):
    model = make_network(architecture)
    convert_tflite(make_bundle(model, tmp_path / "bundle"), tmp_path / "model.tflite")
    assert difference(model, tmp_path / "model.tflite") < 1e-5
    assert custom_operators(tmp_path / "model.tflite") == []


def test_input_and_output_bear_the_bundles_names(converted):
    _, path, _ = converted
    signatures = Interpreter(model_path=str(path)).get_signature_list()
    assert signatures == {"serving_default": {"inputs": ["image"], "outputs": ["probability"]}}


def test_a_file_takes_one_patch_of_float32(converted):
    _, path, _ = converted
    interpreter = Interpreter(model_path=str(path))
    for end in (*interpreter.get_input_details(), *interpreter.get_output_details()):
        assert end["shape_signature"].tolist() == [1, 32, 32, 1]
        assert end["dtype"] is np.float32


def test_only_the_networks_own_layers_are_left(converted):
    # No variables, no shape arithmetic, and batch norm and ReLU are part of the convolutions.
    from ai_edge_litert import schema_py_generated as schema

    _, path, _ = converted
    model = schema.Model.GetRootAs(path.read_bytes())
    codes = {model.OperatorCodes(number).BuiltinCode() for number in range(model.OperatorCodesLength())}
    own = schema.BuiltinOperator
    assert codes == {own.CONV_2D, own.TRANSPOSE_CONV, own.CONCATENATION, own.LOGISTIC}


def test_the_tools_are_named_with_their_versions(converted):
    _, _, tools = converted
    assert tools == {"tensorflow": tensorflow.__version__, "keras": keras.__version__, "numpy": np.__version__}


# An interpreter could have the first through TensorFlow's own kernels, and the second not at all.
@pytest.mark.parametrize("name", ["erf", "erfinv"])
def test_a_network_that_needs_more_than_tflite_has_is_refused_by_name(tmp_path, make_bundle, name):
    bundle = make_bundle(model_of(getattr(keras.ops, name)), tmp_path / "bundle")
    with pytest.raises(ConversionError, match=f"tiny needs {name.title()}, which TFLite has not of its own"):
        convert_tflite(bundle, tmp_path / "model.tflite")
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_flex_operators_in_a_file_are_found(tmp_path):
    converter = tensorflow.lite.TFLiteConverter.from_keras_model(model_of(keras.ops.erf))
    converter.target_spec.supported_ops = [
        tensorflow.lite.OpsSet.TFLITE_BUILTINS,
        tensorflow.lite.OpsSet.SELECT_TF_OPS,
    ]
    path = tmp_path / "flex.tflite"
    path.write_bytes(converter.convert())
    assert custom_operators(path) == ["FlexErf"]


def test_another_backend_than_tensorflow_is_refused(tmp_path, make_network, make_bundle):
    make_bundle(make_network(UNet(base_filters=1, depth=2)), tmp_path / "bundle")
    code = """
import sys
from pathlib import Path
from unetplus_edge.bundle import open_bundle
from unetplus_edge.errors import ConversionError
from unetplus_export.tflite import convert_tflite
try:
    convert_tflite(open_bundle(Path(sys.argv[1])), Path("never.tflite"))
except ConversionError as error:
    print(error)
"""
    command = [sys.executable, "-c", code, str(tmp_path / "bundle")]
    environment = {**os.environ, "KERAS_BACKEND": "jax"}
    said = subprocess.run(command, env=environment, cwd=tmp_path, check=True, capture_output=True, text=True).stdout
    assert "Keras runs on jax here; run again with KERAS_BACKEND=tensorflow" in said
