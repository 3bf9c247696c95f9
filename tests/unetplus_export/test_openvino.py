"""OpenVINO files, read with OpenVINO itself."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest

import unetplus_edge
from unetplus_edge.architectures import UNet, UNetPlus, UNetPlusPlus
from unetplus_edge.errors import ConversionError
from unetplus_export.conversion import Request
from unetplus_export.openvino import METADATA, convert_openvino
from unetplus_runtime.engines.openvino import OpenVINOEngine, import_openvino

keras = pytest.importorskip("keras", reason="needs the export extra")
pytest.importorskip("tensorflow", reason="needs the export extra")
if find_spec("openvino") is None:
    pytest.skip("needs the export extra", allow_module_level=True)

ARCHITECTURES = [
    UNetPlus(base_filters=2, depth=2),
    UNetPlus(base_filters=2, depth=2, upsampling="nearest"),
    UNet(base_filters=2, depth=2),
    UNetPlusPlus(base_filters=2, depth=2),
    UNetPlusPlus(base_filters=2, depth=2, variant="controlled"),
]

NETWORK_OPERATORS = {
    "Add", "Concat", "Convolution", "ConvolutionBackpropData", "Elu", "Interpolate", "MaxPool", "Relu", "Reshape",
    "Sigmoid", "Transpose",
}  # fmt: skip


@pytest.fixture(scope="module")
def tiny(tmp_path_factory, make_network, make_bundle):
    """A network, what to convert of it, and a folder for conversions."""
    folder = tmp_path_factory.mktemp("openvino")
    model = make_network(ARCHITECTURES[0])
    return model, Request(make_bundle(model, folder / "bundle"), "fp32", patch_side=32), folder


@pytest.fixture(scope="module")
def plain(tiny):
    """Its conversion to fp32, and what was said of it."""
    _, request, folder = tiny
    return folder / "plain.xml", convert_openvino(request, folder / "plain.xml")


@pytest.fixture(scope="module")
def half(tiny):
    _, request, folder = tiny
    convert_openvino(replace(request, precision="fp16"), folder / "half.xml")
    return folder / "half.xml"


def random_patches(count, side=32):
    return np.random.default_rng(0).random((count, side, side, 1), np.float32)


def read(path):
    return import_openvino().Core().read_model(path)


def answers(path, patches):
    """Return what the library makes of all patches in one call, computed in float32."""
    compiled = import_openvino().compile_model(str(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return compiled(patches)["probability"]


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.mark.parametrize("count", [1, 2, 5])
def test_a_file_answers_as_keras_does_for_any_number_of_patches(tiny, plain, count):
    patches = random_patches(count)
    expected = tiny[0].predict_on_batch(patches)
    assert expected.std() > 0.01
    np.testing.assert_allclose(answers(plain[0], patches), expected, atol=1e-5)


@pytest.mark.parametrize("architecture", ARCHITECTURES[1:], ids=lambda architecture: architecture.name)
def test_every_network_can_be_converted(tmp_path, make_network, make_bundle, architecture):
    model = make_network(architecture)
    request = Request(make_bundle(model, tmp_path / "bundle"), "fp32", patch_side=32)
    said = convert_openvino(request, tmp_path / "model.xml")
    # Axes are moved once on the way in; on the way out there is one channel, and nothing to move.
    assert said.operators["Transpose"] == said.operators["Reshape"] == 1
    assert set(said.operators) <= NETWORK_OPERATORS
    patches = random_patches(3)
    expected = model.predict_on_batch(patches)
    np.testing.assert_allclose(answers(tmp_path / "model.xml", patches), expected, atol=1e-4)
    with OpenVINOEngine(tmp_path / "model.xml") as engine:
        assert engine.info.executed_precision == "fp32"
        np.testing.assert_allclose(engine.infer(patches), expected, atol=1e-4)


def test_only_the_networks_own_layers_are_left(tiny, plain):
    # No shape arithmetic, and batch norm is part of the convolutions.
    layers = Counter(type(layer).__name__ for layer in tiny[0].layers)
    convolutions = layers["Conv2D"] + layers["Conv2DTranspose"]
    expected = {
        "Add": convolutions,
        "Concat": layers["Concatenate"],
        "Convolution": layers["Conv2D"],
        "ConvolutionBackpropData": layers["Conv2DTranspose"],
        "Relu": layers["ReLU"],
        "Reshape": 1,
        "Sigmoid": 1,
        "Transpose": 1,
    }
    assert plain[1].operators == expected
    found = Counter(node.get_type_name() for node in read(plain[0]).get_ops())
    assert {name: number for name, number in found.items() if name in expected} == expected


def test_convolutions_bear_their_layers_names(tiny, plain):
    kinds = (keras.layers.Conv2D, keras.layers.Conv2DTranspose)
    expected = {(layer.name, layer.filters, layer.strides) for layer in tiny[0].layers if isinstance(layer, kinds)}
    found = {
        (node.get_friendly_name(), node.get_output_shape(0)[1], tuple(node.get_attributes()["strides"]))
        for node in _for_one_patch(plain[0]).get_ops()
        if node.get_type_name().startswith("Convolution")
    }
    assert found == expected


def _for_one_patch(path):
    model = read(path)
    model.reshape([1, 32, 32, 1])
    return model


def test_input_and_output_bear_the_bundles_names_and_nothing_else(plain):
    model = read(plain[0])
    assert [end.names for end in (*model.inputs, *model.outputs)] == [{"image"}, {"probability"}]


def test_a_file_is_for_any_number_of_patches_or_for_the_number_asked_for(tiny, plain):
    _, request, folder = tiny
    convert_openvino(replace(request, batch=3), folder / "three.xml")
    for path, count in ((plain[0], -1), (folder / "three.xml", 3)):
        model = read(path)
        for end in (*model.inputs, *model.outputs):
            assert [size.get_length() if size.is_static else -1 for size in end.partial_shape] == [count, 32, 32, 1]
            assert end.element_type.get_type_name() == "f32"
    np.testing.assert_allclose(
        answers(folder / "three.xml", random_patches(3)), answers(plain[0], random_patches(3)), atol=1e-6
    )


def test_a_file_can_be_for_another_patch_side(tiny):
    model, request, folder = tiny
    convert_openvino(replace(request, patch_side=48), folder / "wide.xml")
    resized = keras.models.clone_model(model, input_tensors=keras.Input((48, 48, 1)))
    resized.set_weights(model.get_weights())
    patches = random_patches(2, side=48)
    np.testing.assert_allclose(answers(folder / "wide.xml", patches), resized.predict_on_batch(patches), atol=1e-5)


def test_a_file_says_what_it_was_made_of(tiny, plain):
    manifest = tiny[1].bundle.manifest
    model = read(plain[0])
    found = {
        name: model.get_rt_info([METADATA, name]).value for name in ("bundle", "keras_sha256", "version", "precision")
    }
    assert found == {
        "bundle": "tiny",
        "keras_sha256": manifest.keras_sha256,
        "version": unetplus_edge.__version__,
        "precision": "fp32",
    }


def test_tools_and_the_file_of_weights_are_named(plain):
    path, said = plain
    assert set(said.tools) == {"openvino", "tensorflow", "keras"}
    assert said.tools["keras"] == keras.__version__
    assert said.companions == ("plain.bin",)
    assert (path.with_name("plain.bin")).is_file()
    assert said.higher_precision == ()


def test_fp16_halves_the_weights_and_keeps_the_answers(plain, half):
    types = Counter(
        node.get_element_type().get_type_name() for node in read(half).get_ops() if node.get_type_name() == "Constant"
    )
    assert types["f16"] > 0
    assert types["f32"] == 0
    sizes = [path.with_suffix(".bin").stat().st_size for path in (half, plain[0])]
    assert sizes[0] < 0.55 * sizes[1]
    patches = random_patches(3)
    difference = np.abs(answers(half, patches) - answers(plain[0], patches)).max()
    assert 0 < difference < 5e-3


def test_the_same_request_makes_the_same_bytes(tiny, plain, half):
    # Half was made in between: what the library numbers its operators by has moved on.
    _, request, folder = tiny
    again = folder / "again.xml"
    convert_openvino(request, again)
    for suffix in (".xml", ".bin"):
        assert again.with_suffix(suffix).read_bytes() == plain[0].with_suffix(suffix).read_bytes()


def test_a_network_that_openvino_cannot_hold_is_refused_and_leaves_earlier_files(tmp_path, make_bundle):
    image = keras.Input((32, 32, 1), name="image")
    bundle = make_bundle(keras.Model(image, keras.ops.erfinv(image)), tmp_path / "bundle")
    (tmp_path / "exports").mkdir()
    for suffix in (".xml", ".bin"):
        (tmp_path / "exports" / f"model{suffix}").write_text("earlier")
    with pytest.raises(ConversionError, match=r"tiny cannot be converted to OpenVINO .*Erfinv"):
        convert_openvino(Request(bundle, "fp32", patch_side=32), tmp_path / "exports" / "model.xml")
    assert contents(tmp_path / "exports") == {"model.xml": b"earlier", "model.bin": b"earlier"}


def test_a_conversion_that_fails_leaves_the_log_of_the_program_as_it_was(tmp_path, make_bundle):
    image = keras.Input((32, 32, 1), name="image")
    bundle = make_bundle(keras.Model(image, keras.ops.erfinv(image)), tmp_path / "bundle")
    root = logging.getLogger()
    before = root.level, list(root.filters), list(root.handlers)
    with pytest.raises(ConversionError):
        convert_openvino(Request(bundle, "fp32", patch_side=32), tmp_path / "model.xml")
    assert (root.level, root.filters, root.handlers) == before


def test_a_file_that_cannot_be_written_leaves_nothing(tiny, tmp_path):
    (tmp_path / "model.bin").mkdir()
    with pytest.raises(OSError, match=r"model\.bin"):
        convert_openvino(tiny[1], tmp_path / "model.xml")
    assert [path.name for path in tmp_path.iterdir()] == ["model.bin"]


def test_a_conversion_takes_the_place_of_an_earlier_one(tiny, plain, tmp_path):
    for suffix in (".xml", ".bin"):
        (tmp_path / f"model{suffix}").write_text("earlier")
    convert_openvino(tiny[1], tmp_path / "model.xml")
    expected = {f"model{suffix}": plain[0].with_suffix(suffix).read_bytes() for suffix in (".xml", ".bin")}
    assert contents(tmp_path) == expected
