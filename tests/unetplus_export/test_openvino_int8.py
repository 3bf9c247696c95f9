"""OpenVINO files in int8, read and run with OpenVINO itself."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest

from unetplus_edge.architectures import UNet, UNetPlus, UNetPlusPlus
from unetplus_edge.errors import ConversionError
from unetplus_export.calibration import Calibration
from unetplus_export.conversion import Request
from unetplus_export.openvino import METADATA, convert_openvino
from unetplus_export.openvino_int8 import layer_errors
from unetplus_runtime.engines.openvino import OpenVINOEngine, import_openvino

keras = pytest.importorskip("keras", reason="needs the export extra")
pytest.importorskip("tensorflow", reason="needs the export extra")
if find_spec("nncf") is None:
    pytest.skip("needs the export extra", allow_module_level=True)

PATCHES = np.random.default_rng(3).random((12, 32, 32, 1), np.float32)
CALIBRATION = Calibration(PATCHES, "random numbers", simulated=False, sha256="1" * 64)


class Made:
    """A network, what to convert of it, and its conversions, each made once."""

    def __init__(self, model, bundle, folder):
        self.model, self.folder = model, folder
        self.request = Request(bundle, "int8", patch_side=32, calibration=CALIBRATION)
        self._made = {}

    def convert(self, **changes):
        key = tuple(changes.items())
        if key not in self._made:
            file = self.folder / f"{len(self._made)}.xml"
            self._made[key] = file, convert_openvino(replace(self.request, **changes), file)
        return self._made[key]

    def convolutions(self):
        kinds = (keras.layers.Conv2D, keras.layers.Conv2DTranspose)
        return [layer.name for layer in self.model.layers if isinstance(layer, kinds)]


def _spread(model):
    """Scale the last layer so that probabilities are all over their range."""
    last = model.get_layer("probability")
    kernel, bias = last.get_weights()
    weighted = keras.Model(model.input, last.input).predict_on_batch(PATCHES) @ kernel[0, 0]
    kernel *= 2 / weighted.std()
    last.set_weights([kernel, bias * 0 - 2 * weighted.mean() / weighted.std()])


@pytest.fixture(scope="module")
def make(tmp_path_factory, make_network, make_bundle):
    def of(architecture):
        folder = tmp_path_factory.mktemp("int8")
        model = make_network(architecture)
        _spread(model)
        return Made(model, make_bundle(model, folder / "bundle"), folder)

    return of


@pytest.fixture(scope="module")
def tiny(make):
    return make(UNetPlus(base_filters=8, depth=2))


def weight_types(path):
    """Return the type that each convolution's weights are stored in, by its name."""
    found = {}
    for node in import_openvino().Core().read_model(path).get_ops():
        if node.get_type_name().startswith("Convolution"):
            source = node.input_value(1).get_node()
            while source.get_type_name() != "Constant":
                source = source.input_value(0).get_node()
            found[node.get_friendly_name()] = source.get_element_type().get_type_name()
    return found


def kernels(path):
    """Return the name of the kernel that computes each convolution, transposed ones left out."""
    ov = import_openvino()
    model = ov.Core().read_model(path)
    model.reshape([1, 32, 32, 1])
    compiled = ov.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    information = [node.get_rt_info() for node in compiled.get_runtime_model().get_ops()]
    return [
        found["primitiveType"].astype(str) for found in information if found["layerType"].astype(str) == "Convolution"
    ]


def answers(path, patches=PATCHES, **properties):
    compiled = import_openvino().compile_model(str(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"} | properties)
    return compiled(patches)["probability"]


def decibels(expected, found):
    signal, noise = ((values.astype(np.float64) ** 2).sum() for values in (expected, found - expected))
    return 10 * np.log10(signal / max(noise, 1e-12))


def test_convolutions_between_the_ends_are_stored_and_computed_in_8_bits(tiny):
    path, said = tiny.convert()
    ends = ("c1_0_conv", "probability")
    assert weight_types(path) == {name: "f32" if name in ends else "i8" for name in tiny.convolutions()}
    found = [name.rpartition("_")[2].lower() for name in kernels(path)]
    assert len(found) == sum(isinstance(layer, keras.layers.Conv2D) for layer in tiny.model.layers)
    assert sorted(found) == ["f32"] * len(ends) + ["i8"] * (len(found) - len(ends))
    assert said.higher_precision == ends
    assert set(said.tools) == {"openvino", "tensorflow", "keras", "nncf"}


@pytest.mark.parametrize(
    "architecture",
    [
        UNetPlus(base_filters=4, depth=2, upsampling="nearest"),
        UNet(base_filters=4, depth=2),
        UNetPlusPlus(base_filters=4, depth=2),
        UNetPlusPlus(base_filters=4, depth=2, variant="controlled"),
    ],
    ids=lambda architecture: architecture.name,
)
def test_every_network_can_be_quantised(make, architecture):
    made = make(architecture)
    path, _ = made.convert()
    assert sorted(weight_types(path).values()) == ["f32"] * 2 + ["i8"] * (len(made.convolutions()) - 2)
    expected = made.model.predict_on_batch(PATCHES)
    assert expected.std() > 0.2
    # An answer that had nothing to do with the expected one would be at 0 dB.
    assert decibels(expected - expected.mean(), answers(path) - expected.mean()) > 10
    with OpenVINOEngine(path) as engine:
        assert (engine.info.stored_precision, engine.info.executed_precision) == ("int8", "int8")
        # As near as it is to the float model: the library rounds otherwise for one patch than for twelve.
        assert decibels(answers(path), engine.infer(PATCHES)) > 15


def test_layers_that_are_kept_are_stored_and_computed_in_float(tiny):
    path, said = tiny.convert(keep=("d1_1_conv", "u1_a_conv"))
    in_float = {"c1_0_conv", "d1_1_conv", "u1_a_conv", "probability"}
    types = weight_types(path)
    assert {name for name, kind in types.items() if kind == "f32"} == in_float
    assert {kind for name, kind in types.items() if name not in in_float} == {"i8"}
    assert [name.rpartition("_")[2].lower() for name in kernels(path)].count("f32") == len(in_float)
    assert set(said.higher_precision) == in_float


def test_keeping_every_layer_gives_the_float_answers(tiny):
    path, said = tiny.convert(keep=tuple(tiny.convolutions()))
    assert set(said.higher_precision) == set(tiny.convolutions())
    np.testing.assert_allclose(answers(path), tiny.model.predict_on_batch(PATCHES), atol=1e-4)


def test_a_layer_that_is_not_there_cannot_be_kept(tiny, tmp_path):
    with pytest.raises(
        ConversionError, match="tiny has no convolution c9_9_conv to keep out of int8; it has c1_0_conv"
    ):
        convert_openvino(replace(tiny.request, keep=("probability", "c9_9_conv")), tmp_path / "model.xml")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"method": "entropy"}, "takes no ranges by entropy; ask for min-max or percentile"),
        ({"remainder": "fp16"}, "in fp32, not in fp16; leave the remainder out"),
        ({"calibration": None}, "int8 needs patches to calibrate on"),
        ({"calibration": replace(CALIBRATION, patches=PATCHES * 255)}, "preprocess them first"),
    ],
    ids=["entropy", "remainder", "none", "out of range"],
)
def test_what_cannot_be_had_is_refused(tiny, tmp_path, changes, sentence):
    with pytest.raises(ConversionError, match=sentence):
        convert_openvino(replace(tiny.request, **changes), tmp_path / "model.xml")
    assert list(tmp_path.iterdir()) == []


def input_ranges(path):
    """Return the upper ends of what the inputs of convolutions are rounded to, in the order of computing."""
    nodes = import_openvino().Core().read_model(path).get_ordered_ops()
    return [
        float(node.input_value(2).get_node().get_data().ravel()[0])
        for node in nodes
        if node.get_type_name() == "FakeQuantize"
    ]


def test_ranges_are_means_of_each_patchs_greatest_values_or_of_its_percentiles(tiny):
    first = keras.Model(tiny.model.input, tiny.model.get_layer("c1_0_relu").output)
    values = first.predict_on_batch(PATCHES).reshape(len(PATCHES), -1)
    extremes, percentiles = (input_ranges(tiny.convert(method=method)[0])[0] for method in ("min-max", "percentile"))
    assert extremes == pytest.approx(values.max(axis=1).mean(), rel=0.01)
    assert percentiles == pytest.approx(np.quantile(values, 1 - 1e-4, axis=1).mean(), rel=0.01)
    assert percentiles < 0.999 * extremes


def test_a_file_says_what_it_was_calibrated_on(tiny):
    model = import_openvino().Core().read_model(tiny.convert()[0])
    found = [model.get_rt_info([METADATA, f"calibration{part}"]).value for part in ("", "_sha256", "_method")]
    assert found == ["random numbers", "1" * 64, "min-max"]


def test_a_file_for_a_fixed_number_of_patches_has_the_same_answers(tiny):
    path, _ = tiny.convert(batch=3)
    assert list(import_openvino().Core().read_model(path).input().shape) == [3, 32, 32, 1]
    # The library rounds otherwise for another number of patches.
    assert decibels(answers(tiny.convert()[0], PATCHES[:3]), answers(path, PATCHES[:3])) > 30


def test_the_same_request_makes_the_same_bytes(tiny):
    path, _ = tiny.convert()
    again = path.with_name("again.xml")
    convert_openvino(tiny.request, again)
    for suffix in (".xml", ".bin"):
        assert again.with_suffix(suffix).read_bytes() == path.with_suffix(suffix).read_bytes()


def test_a_layers_error_is_what_the_answers_lose_with_it_alone_in_8_bits(make):
    made = make(UNet(base_filters=4, depth=2))
    found = dict(layer_errors(made.request, made.convert()[0]))
    between = made.convolutions()[1:-1]
    assert set(found) == set(between)
    assert list(found.values()) == sorted(found.values())
    compared = PATCHES[::2]
    expected = made.model.predict_on_batch(compared)
    # One behind another layer, one behind a concatenation. The input of `bottom_a_conv` shares its range
    # with the concatenation as long as both are in 8 bits: alone, it would have a finer one.
    for layer in ("up1_b_conv", "up1_a_conv"):
        keep = tuple(name for name in between if name != layer)
        # Rounded, but summed in float: without VNNI a processor's sums of products saturate, which is no rounding.
        rounded = answers(made.convert(keep=keep)[0], compared, LP_TRANSFORMS_MODE=False)
        alone = decibels(expected, rounded)
        assert found[layer] == pytest.approx(alone, abs=1), layer


def test_layers_that_are_kept_have_no_error(tiny):
    request = replace(tiny.request, keep=("d1_1_conv", "u1_a_conv"))
    file, said = tiny.convert(keep=request.keep)
    assert set(dict(layer_errors(request, file))) == set(tiny.convolutions()) - set(said.higher_precision)


def test_quantising_prints_nothing_and_tells_nobody(tiny, tmp_path):
    code = """
import sys
from pathlib import Path
import numpy as np
from unetplus_edge.bundle import open_bundle
from unetplus_export.calibration import Calibration
from unetplus_export.conversion import Request
from unetplus_export.openvino import convert_openvino
patches = np.random.default_rng(0).random((2, 32, 32, 1), np.float32)
calibration = Calibration(patches, "random numbers", False, "0" * 64)
request = Request(open_bundle(Path(sys.argv[1])), "int8", patch_side=32, calibration=calibration)
convert_openvino(request, Path(sys.argv[2]))
assert "nncf" in sys.modules
assert "openvino_telemetry" not in sys.modules
"""
    command = [sys.executable, "-c", code, str(tiny.request.bundle.path), str(tmp_path / "model.xml")]
    # A home of its own shows what is written there; some libraries tell nobody in continuous integration anyway.
    home = tmp_path / "home"
    home.mkdir()
    environment = {name: value for name, value in os.environ.items() if name != "CI"} | {"HOME": str(home)}
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    assert done.stdout == ""
    assert not (home / "intel").exists()
