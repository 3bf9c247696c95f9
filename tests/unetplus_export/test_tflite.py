"""TFLite files, read with LiteRT itself."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from unetplus_edge.architectures import UNet, UNetPlus, UNetPlusPlus
from unetplus_edge.errors import ConversionError
from unetplus_export.calibration import Calibration
from unetplus_export.conversion import Request
from unetplus_export.tflite import convert_tflite
from unetplus_export.tflite_file import custom_operators, operator_counts, operators
from unetplus_export.tflite_int8 import layer_errors

keras = pytest.importorskip("keras", reason="needs the export extra")
tensorflow = pytest.importorskip("tensorflow", reason="needs the export extra")

PATCHES = np.random.default_rng(0).random((12, 32, 32, 1), np.float32)
CALIBRATION = Calibration(PATCHES, "random numbers", simulated=False, sha256="0" * 64)
ARCHITECTURES = [
    UNetPlus(base_filters=2, depth=2),
    UNetPlus(base_filters=2, depth=2, upsampling="nearest"),
    UNet(base_filters=2, depth=2),
    UNetPlusPlus(base_filters=2, depth=2),
    UNetPlusPlus(base_filters=2, depth=2, variant="controlled"),
]


class Made:
    """A network, its bundle and its conversions."""

    def __init__(self, model, bundle, folder):
        self.model, self.bundle, self.folder = model, bundle, folder
        self._made = {}

    def request(self, precision, **changes):
        calibration = CALIBRATION if precision == "int8" else None
        return replace(Request(self.bundle, precision, patch_side=32, calibration=calibration), **changes)

    def convert(self, precision, **changes):
        """Return the file, made once, and what its conversion says."""
        key = (precision, repr(changes))
        if key not in self._made:
            file = self.folder / f"{len(self._made)}.tflite"
            self._made[key] = file, convert_tflite(self.request(precision, **changes), file)
        return self._made[key]

    def convolutions(self):
        kinds = (keras.layers.Conv2D, keras.layers.Conv2DTranspose)
        return [layer.name for layer in self.model.layers if isinstance(layer, kinds)]

    def expected(self, patches):
        return keras.ops.convert_to_numpy(self.model(patches, training=False))


@pytest.fixture(scope="module")
def networks(tmp_path_factory, make_network, make_bundle):
    """Every kind of network, by its name."""

    def made(architecture):
        folder = tmp_path_factory.mktemp("networks")
        model = make_network(architecture)
        return Made(model, make_bundle(model, folder / "bundle"), folder)

    return {architecture.name: made(architecture) for architecture in ARCHITECTURES}


@pytest.fixture(scope="module")
def tiny(networks):
    return networks[ARCHITECTURES[0].name]


@pytest.fixture(scope="module", params=[architecture.name for architecture in ARCHITECTURES])
def every(request, networks):
    return networks[request.param]


def model_of(function):
    """A network that is one function of the image."""
    image = keras.Input((32, 32, 1), name="image")
    return keras.Model(image, function(image * 0.5))


def answers(path, patches):
    """Run patch after patch through a TFLite file by the names of its signature."""
    run = Interpreter(model_path=str(path)).get_signature_runner()
    return np.concatenate([run(image=patch[None])["probability"] for patch in patches])


def ends(path):
    interpreter = Interpreter(model_path=str(path))
    return [*interpreter.get_input_details(), *interpreter.get_output_details()]


def kernels(path):
    """Return the type of each convolution's kernel, in the order of computation."""
    return [operator.weights for operator in operators(path.read_bytes()) if operator.weights]


def test_every_network_answers_as_keras_does(every):
    path, _ = every.convert("fp32")
    assert np.abs(answers(path, PATCHES[:3]) - every.expected(PATCHES[:3])).max() < 1e-5
    assert custom_operators(path.read_bytes()) == []


def test_every_network_has_weights_in_half_the_space_in_fp16(every):
    path, converted = every.convert("fp16")
    found = answers(path, PATCHES[:3])
    assert 0 < np.abs(found - answers(every.convert("fp32")[0], PATCHES[:3])).max() < 5e-3
    details = Interpreter(model_path=str(path)).get_tensor_details()
    stored = {
        tuple(tensor["shape"]) for tensor in details if tensor["dtype"] is np.float16 and len(tensor["shape"]) == 4
    }
    # TFLite has the output channels of a kernel first.
    wanted = {
        tuple(layer.kernel.shape[number] for number in ((2, 0, 1, 3) if "transposed" in layer.name else (3, 0, 1, 2)))
        for layer in every.model.layers
        if layer.name in every.convolutions()
    }
    assert stored == wanted
    assert converted.higher_precision == ()


def test_every_network_can_be_had_in_int8_but_for_its_sigmoid(every):
    path, converted = every.convert("int8")
    assert kernels(path) == ["INT8"] * len(every.convolutions())
    # TFLite has no ELU in int8, nor a way to pool what comes of it.
    activations = [
        layer.name for layer in every.model.layers if getattr(layer, "activation", None) is keras.activations.elu
    ]
    stated = [name for name in converted.higher_precision if not name.endswith(("_pool", "_join"))]
    assert stated == [*(f"{name}:ELU" for name in activations), "probability:LOGISTIC"]
    assert activations or converted.higher_precision == ("probability:LOGISTIC",)
    assert custom_operators(path.read_bytes()) == []
    found = answers(path, PATCHES)
    assert np.abs(found - every.expected(PATCHES)).mean() < 0.02
    assert np.corrcoef(found.ravel(), every.expected(PATCHES).ravel())[0, 1] > 0.95


def test_every_network_can_be_had_in_int8_from_end_to_end(every):
    path, converted = every.convert("int8", integer_ends=True)
    assert set(kernels(path)) == {"INT8"}
    assert "probability:LOGISTIC" not in converted.higher_precision
    assert [end["dtype"] for end in ends(path)] == [np.int8, np.int8]


def test_kernels_have_a_scale_for_each_of_their_channels(tiny):
    path, _ = tiny.convert("int8")
    scales = {
        tuple(tensor["shape"]): len(tensor["quantization_parameters"]["scales"])
        for tensor in Interpreter(model_path=str(path)).get_tensor_details()
        if tensor["dtype"] is np.int8 and len(tensor["shape"]) == 4 and tensor["shape"][1] == 3
    }
    assert scales
    assert all(count == shape[0] for shape, count in scales.items())


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_a_file_takes_and_gives_one_patch_of_float32(tiny, precision):
    for end in ends(tiny.convert(precision)[0]):
        assert end["shape_signature"].tolist() == [1, 32, 32, 1]
        assert end["dtype"] is np.float32


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_input_and_output_bear_the_bundles_names(tiny, precision):
    signatures = Interpreter(model_path=str(tiny.convert(precision)[0])).get_signature_list()
    assert signatures == {"serving_default": {"inputs": ["image"], "outputs": ["probability"]}}


def test_only_the_networks_own_layers_are_left(tiny):
    # No variables, no shape arithmetic, and batch norm and ReLU are part of the convolutions.
    path, converted = tiny.convert("fp32")
    assert set(converted.operators) == {"CONV_2D", "TRANSPOSE_CONV", "CONCATENATION", "LOGISTIC"}
    assert operator_counts(path.read_bytes()) == converted.operators


def test_operators_are_counted(every):
    _, converted = every.convert("fp32")
    counted = converted.operators.get("CONV_2D", 0) + converted.operators.get("TRANSPOSE_CONV", 0)
    assert counted == len(every.convolutions())


def test_int8_adds_nothing_but_the_change_between_types(tiny):
    plain, rounded = (tiny.convert(precision)[1].operators for precision in ("fp32", "int8"))
    assert {name: rounded[name] - plain.get(name, 0) for name in rounded if rounded[name] != plain.get(name, 0)} == {
        "QUANTIZE": 1,
        "DEQUANTIZE": 1,
    }


def test_operators_know_the_layers_that_they_compute(every):
    found = operators(every.convert("fp32")[0].read_bytes(), [layer.name for layer in every.model.layers])
    assert sorted(operator.layers[0] for operator in found if operator.weights) == sorted(every.convolutions())
    assert all(operator.layers for operator in found)
    assert [operator.layers[0] for operator in found if operator.ends] == ["probability"]


def test_layers_that_are_kept_stay_in_float32(tiny):
    first, *_ = tiny.convolutions()
    path, converted = tiny.convert("int8", keep=(first,))
    assert converted.higher_precision == (first, "probability:LOGISTIC")
    found = operators(path.read_bytes(), [layer.name for layer in tiny.model.layers])
    assert {operator.layers[0]: operator.weights for operator in found if operator.weights} == {
        name: "FLOAT32" if name == first else "INT8" for name in tiny.convolutions()
    }


def test_the_layer_that_costs_most_comes_first(tiny):
    path, _ = tiny.convert("int8")
    found = layer_errors(tiny.request("int8"), path)
    candidates = [name for name in tiny.convolutions() if name != "u1_transposed"]
    assert sorted(name for name, _ in found) == sorted(candidates)
    assert [loss for _, loss in found] == sorted(loss for _, loss in found)

    def error(alone):
        kept = tuple(name for name in candidates if name != alone)
        return ((answers(tiny.convert("int8", keep=kept)[0], PATCHES) - tiny.expected(PATCHES)) ** 2).mean()

    assert error(found[0][0]) > error(found[-1][0])


def test_layers_out_of_int8_are_not_among_those_that_cost(tiny):
    first, *_ = tiny.convolutions()
    path, _ = tiny.convert("int8", keep=(first,))
    assert first not in dict(layer_errors(tiny.request("int8", keep=(first,)), path))


REFUSED = {
    "entropy": ({"method": "entropy"}, "takes int8 ranges by min-max alone, not by entropy"),
    "fp16 remainder": ({"remainder": "fp16"}, "computes in fp32 what it leaves out of int8, not in fp16"),
    "unknown layer": ({"keep": ("c9_9_conv",)}, "tiny has no layer c9_9_conv that computes anything"),
    "no calibration": ({"calibration": None}, "int8 needs patches to calibrate on"),
    "NaN": ({"calibration": replace(CALIBRATION, patches=PATCHES * np.float32(np.nan))}, "reach from nan to nan"),
    "another side": ({"patch_side": 48}, r"int8 takes float32 of shape \(n, 48, 48, 1\)"),
}


@pytest.mark.parametrize(("changes", "reason"), REFUSED.values(), ids=REFUSED)
def test_int8_that_cannot_be_had_is_refused_in_a_sentence(tiny, tmp_path, changes, reason):
    with pytest.raises(ConversionError, match=reason):
        convert_tflite(tiny.request("int8", **changes), tmp_path / "model.tflite")
    assert list(tmp_path.iterdir()) == []


def test_a_layer_that_cannot_be_kept_out_of_int8_is_refused(tiny, tmp_path):
    with pytest.raises(ConversionError, match="TFLite cannot keep layer u1_transposed of tiny out of int8; keep other"):
        convert_tflite(tiny.request("int8", keep=("u1_transposed",)), tmp_path / "model.tflite")


def test_leaving_every_convolution_out_of_int8_is_refused(networks, tmp_path):
    made = networks["unet_plus_us_b2"]
    request = made.request("int8", keep=tuple(made.convolutions()))
    with pytest.raises(ConversionError, match="tiny has no convolution that would be in int8; keep fewer layers"):
        convert_tflite(request, tmp_path / "model.tflite")


def test_a_precision_that_tflite_has_not_is_refused(tiny, tmp_path):
    with pytest.raises(ConversionError, match="TFLite has no bf16"):
        convert_tflite(tiny.request("bf16"), tmp_path / "model.tflite")


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_a_file_can_be_for_several_patches_of_another_side(tiny, precision):
    from unetplus_edge.networks import build_network

    patches = np.random.default_rng(1).random((8, 48, 48, 1), np.float32)
    calibration = replace(CALIBRATION, patches=patches) if precision == "int8" else None
    path, _ = tiny.convert(precision, batch=3, patch_side=48, calibration=calibration)
    assert [end["shape_signature"].tolist() for end in ends(path)] == [[3, 48, 48, 1]] * 2
    together = Interpreter(model_path=str(path)).get_signature_runner()(image=patches[:3])["probability"]
    same = build_network(ARCHITECTURES[0], (48, 48))
    same.set_weights(tiny.model.get_weights())
    expected = keras.ops.convert_to_numpy(same(patches[:3], training=False))
    np.testing.assert_allclose(together, expected, atol=1e-5 if precision == "fp32" else 0.02)


def test_another_calibration_set_gives_other_ranges(tiny):
    # The last calibrated network is used again, but only for the very same patches.
    narrow = replace(CALIBRATION, patches=PATCHES * np.float32(0.1))
    wide_file, narrow_file = tiny.convert("int8")[0], tiny.convert("int8", calibration=narrow)[0]
    scales = [
        max(
            scale
            for tensor in Interpreter(model_path=str(path)).get_tensor_details()
            for scale in tensor["quantization"]
        )
        for path in (wide_file, narrow_file)
    ]
    assert scales[0] != scales[1]


def test_the_tools_are_named_with_their_versions(tiny):
    _, converted = tiny.convert("fp32")
    versions = {"tensorflow": tensorflow.__version__, "keras": keras.__version__, "numpy": np.__version__}
    assert converted.tools == versions


# An interpreter could have the first through TensorFlow's own kernels, and the second not at all.
@pytest.mark.parametrize("precision", ["fp32", "int8"])
@pytest.mark.parametrize("name", ["erf", "erfinv"])
def test_a_network_that_needs_more_than_tflite_has_is_refused_by_name(tmp_path, make_bundle, name, precision):
    made = Made(None, make_bundle(model_of(getattr(keras.ops, name)), tmp_path / "bundle"), tmp_path)
    with pytest.raises(ConversionError, match=f"tiny needs {name.title()}, which TFLite has not of its own"):
        convert_tflite(made.request(precision), tmp_path / "model.tflite")
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_flex_operators_in_a_file_are_found():
    converter = tensorflow.lite.TFLiteConverter.from_keras_model(model_of(keras.ops.erf))
    converter.target_spec.supported_ops = [
        tensorflow.lite.OpsSet.TFLITE_BUILTINS,
        tensorflow.lite.OpsSet.SELECT_TF_OPS,
    ]
    assert custom_operators(converter.convert()) == ["FlexErf"]


def test_another_backend_than_tensorflow_is_refused(tmp_path, make_network, make_bundle):
    make_bundle(make_network(UNet(base_filters=1, depth=2)), tmp_path / "bundle")
    code = """
import sys
from pathlib import Path
from unetplus_edge.bundle import open_bundle
from unetplus_edge.errors import ConversionError
from unetplus_export.conversion import Request
from unetplus_export.tflite import convert_tflite
try:
    convert_tflite(Request(open_bundle(Path(sys.argv[1])), "fp32", 32), Path("never.tflite"))
except ConversionError as error:
    print(error)
"""
    command = [sys.executable, "-c", code, str(tmp_path / "bundle")]
    environment = {**os.environ, "KERAS_BACKEND": "jax"}
    said = subprocess.run(command, env=environment, cwd=tmp_path, check=True, capture_output=True, text=True).stdout
    assert "Keras runs on jax here; run again with KERAS_BACKEND=tensorflow" in said
