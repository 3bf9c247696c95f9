"""Quantised graphs, by their nodes and constants, by what they answer, and by how TensorRT reads them."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import pytest

from unetplus_edge.architectures import UNetPlus
from unetplus_edge.errors import ConversionError
from unetplus_export.calibration import Calibration
from unetplus_export.conversion import Request
from unetplus_export.onnx import convert_onnx
from unetplus_export.onnx_int8 import layer_errors

keras = pytest.importorskip("keras", reason="needs the export extra")
onnx = pytest.importorskip("onnx", reason="needs the export extra")
onnxruntime = pytest.importorskip("onnxruntime", reason="needs the export extra")

CONVOLUTIONS = ("Conv", "ConvTranspose")


def smooth_patches(count, seed):
    """Patches with light and dark parts, as images have them."""
    rng = np.random.default_rng(seed)
    coarse = rng.random((count, 8, 8, 1), np.float32)
    return np.clip(coarse.repeat(4, 1).repeat(4, 2) + rng.normal(0, 0.02, (count, 32, 32, 1)), 0, 1).astype(np.float32)


@pytest.fixture(scope="module")
def fp32(tmp_path_factory, make_network, make_bundle):
    """A network's request for int8, and its file in fp32."""
    folder = tmp_path_factory.mktemp("fp32")
    keras.utils.set_random_seed(3)
    bundle = make_bundle(make_network(UNetPlus(base_filters=2, depth=2)), folder / "bundle")
    convert_onnx(Request(bundle, "fp32", 32), folder / "fp32.onnx")
    patches = smooth_patches(12, seed=0)
    calibration = Calibration(patches, "random", True, hashlib.sha256(patches.tobytes()).hexdigest())
    return Request(bundle, "int8", 32, calibration=calibration), folder / "fp32.onnx"


@pytest.fixture(scope="module", params=["fp32", "fp16"], ids=lambda remainder: f"{remainder} remainder")
def int8(request, fp32, tmp_path_factory):
    """Its file in int8, with either remainder, and what the conversion says of it."""
    path = tmp_path_factory.mktemp("int8") / "int8.onnx"
    asked = replace(fp32[0], remainder=request.param)
    return asked, path, convert_onnx(asked, path)


def answers(path):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(["probability"], {"image": smooth_patches(4, seed=1)})[0]


class Graph:
    """A file's nodes by what they give, and its constants by name."""

    def __init__(self, path):
        self.model = onnx.load(path)
        self.nodes = list(self.model.graph.node)
        self.giving = {output: node for node in self.nodes for output in node.output}
        self.constants = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in self.model.graph.initializer}

    def convolutions(self):
        return {node.name: node for node in self.nodes if node.op_type in CONVOLUTIONS}

    def is_quantised(self, node):
        return any(name in self.giving and self.giving[name].op_type == "DequantizeLinear" for name in node.input)

    def pair(self, node, place):
        """The nodes that quantise and dequantise an input of a node."""
        back = self.giving[node.input[place]]
        return self.giving[back.input[0]], back


def test_all_convolutions_but_the_last_read_int8_at_both_inputs(int8):
    _, path, said = int8
    graph = Graph(path)
    convolutions = graph.convolutions()
    assert said.higher_precision == ("probability",)
    for name, node in convolutions.items():
        if name == "probability":
            assert node.input[1] in graph.constants
            continue
        for place in (0, 1):
            forth, back = graph.pair(node, place)
            assert (forth.op_type, back.op_type) == ("QuantizeLinear", "DequantizeLinear")
            assert list(forth.input[1:]) == list(back.input[1:])
    assert said.operators["QuantizeLinear"] == 2 * (len(convolutions) - 1)


def test_zero_points_are_int8_zeros_and_weights_have_a_scale_a_channel(int8):
    _, path, _ = int8
    graph = Graph(path)
    for name, node in graph.convolutions().items():
        if name == "probability":
            continue
        for place in (0, 1):
            forth, _ = graph.pair(node, place)
            scale, zero = (graph.constants[constant] for constant in forth.input[1:])
            assert zero.dtype == np.int8
            assert not zero.any()
            assert zero.shape == scale.shape
            assert scale.shape == (() if place == 0 else graph.constants[node.input[2]].shape)


def test_scales_spread_127_steps_over_the_largest_magnitudes(fp32, int8):
    asked, path, _ = int8
    before, after = Graph(fp32[1]), Graph(path)
    tolerance = 1e-6 if asked.remainder == "fp32" else 1e-3
    for name, node in after.convolutions().items():
        if name == "probability":
            continue
        forth, _ = after.pair(node, 1)
        weight = before.constants[before.convolutions()[name].input[1]]
        others = (1, 2, 3) if node.op_type == "Conv" else (0, 2, 3)
        largest = np.abs(weight).max(axis=others)
        np.testing.assert_allclose(after.constants[forth.input[1]], largest / 127, rtol=tolerance)
    first = next(node for name, node in after.convolutions().items())
    forth, _ = after.pair(first, 0)
    expected = asked.calibration.patches.max() / 127
    np.testing.assert_allclose(after.constants[forth.input[1]], expected, rtol=tolerance)


def test_biases_stay_in_floating_point_and_nothing_is_int32(int8):
    asked, path, _ = int8
    graph = Graph(path)
    for node in graph.convolutions().values():
        assert graph.constants[node.input[2]].dtype == {"fp32": np.float32, "fp16": np.float16}[asked.remainder]
    assert np.int32 not in {constant.dtype.type for constant in graph.constants.values()}


def test_no_pair_is_shared_and_none_is_behind_a_convolution(int8):
    _, path, _ = int8
    graph = Graph(path)
    read = [name for node in graph.nodes for name in node.input]
    for node in graph.nodes:
        if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            assert read.count(node.output[0]) == 1
        if node.op_type == "QuantizeLinear" and node.input[0] in graph.giving:
            assert graph.giving[node.input[0]].op_type not in CONVOLUTIONS


def test_the_opset_is_the_smallest_that_has_the_types(int8):
    asked, path, _ = int8
    model = onnx.load(path)
    expected = {"fp32": (17, 8), "fp16": (19, 9)}[asked.remainder]
    assert (model.opset_import[0].version, model.ir_version) == expected
    assert len(model.opset_import) == 1


def test_a_float16_remainder_has_no_float32_inside(fp32, tmp_path):
    convert_onnx(replace(fp32[0], remainder="fp16"), tmp_path / "int8.onnx")
    graph = onnx.shape_inference.infer_shapes(onnx.load(tmp_path / "int8.onnx"), strict_mode=True).graph
    inside = {value.type.tensor_type.elem_type for value in graph.value_info}
    assert inside == {onnx.TensorProto.FLOAT16, onnx.TensorProto.INT8}


def test_answers_stay_close_and_are_not_the_same(fp32, int8):
    expected, found = answers(fp32[1]), answers(int8[1])
    assert expected.std() > 0.05
    difference = np.abs(found - expected)
    assert 0 < difference.mean() < 0.02


def test_layers_that_are_kept_are_not_quantised(fp32, tmp_path):
    kept = next(name for name in Graph(fp32[1]).convolutions() if name.endswith("_transposed"))
    said = convert_onnx(replace(fp32[0], keep=(kept,)), tmp_path / "int8.onnx")
    assert said.higher_precision == (kept, "probability")
    graph = Graph(tmp_path / "int8.onnx")
    assert [name for name, node in graph.convolutions().items() if not graph.is_quantised(node)] == [
        kept,
        "probability",
    ]


def test_a_layer_that_is_no_convolution_cannot_be_kept(fp32, tmp_path):
    with pytest.raises(ConversionError, match="nowhere cannot be kept out of int8, being no convolution"):
        convert_onnx(replace(fp32[0], keep=("nowhere",)), tmp_path / "int8.onnx")


def test_int8_without_patches_to_calibrate_on_is_refused(fp32, tmp_path):
    with pytest.raises(ConversionError, match="--calibration"):
        convert_onnx(replace(fp32[0], calibration=None), tmp_path / "int8.onnx")


def test_the_method_decides_the_ranges(fp32, tmp_path):
    scales = []
    for method in ("min-max", "entropy"):
        convert_onnx(replace(fp32[0], method=method), tmp_path / f"{method}.onnx")
        graph = Graph(tmp_path / f"{method}.onnx")
        pairs = [graph.pair(node, 0)[0] for name, node in graph.convolutions().items() if name != "probability"]
        scales.append(sum(float(graph.constants[forth.input[1]]) for forth in pairs))
    assert scales[1] < scales[0]


def test_a_fixed_number_of_patches_is_written_where_it_is_asked_for(fp32, tmp_path):
    convert_onnx(replace(fp32[0], batch=4), tmp_path / "int8.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "int8.onnx", providers=["CPUExecutionProvider"])
    assert session.get_inputs()[0].shape == [4, 32, 32, 1]
    assert answers(tmp_path / "int8.onnx").shape == (4, 32, 32, 1)
    assert len(layer_errors(fp32[0], tmp_path / "int8.onnx")) == len(Graph(fp32[1]).convolutions()) - 1


def test_every_quantised_layer_has_an_error_and_the_worst_comes_first(int8):
    asked, path, _ = int8
    errors = layer_errors(asked, path)
    assert {name for name, _ in errors} == {name for name in Graph(path).convolutions() if name != "probability"}
    assert [ratio for _, ratio in errors] == sorted(ratio for _, ratio in errors)
    assert all(ratio > 10 for _, ratio in errors)


def test_a_layer_with_too_coarse_steps_is_the_worst(int8, tmp_path):
    asked, path, _ = int8
    best, ratio = layer_errors(asked, path)[-1]
    graph = Graph(path)
    forth, _ = graph.pair(graph.convolutions()[best], 1)
    for tensor in graph.model.graph.initializer:
        if tensor.name == forth.input[1]:
            coarse = onnx.numpy_helper.to_array(tensor) * 60
            tensor.CopyFrom(onnx.numpy_helper.from_array(coarse.astype(coarse.dtype), tensor.name))
    onnx.save(graph.model, tmp_path / "coarse.onnx")
    assert layer_errors(asked, tmp_path / "coarse.onnx")[0][0] == best
    assert layer_errors(asked, tmp_path / "coarse.onnx")[0][1] < ratio - 10


def test_tensorrt_parses_it_with_int8_in_front_of_every_convolution(int8):
    trt = pytest.importorskip("tensorrt_rtx_bindings", reason="needs TensorRT-RTX")
    asked, path, _ = int8
    logger = trt.Logger(trt.Logger.ERROR)
    builder = trt.Builder(logger)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    assert trt.OnnxParser(network, logger).parse_from_file(str(path))
    layers = [network.get_layer(number) for number in range(network.num_layers)]
    giving = {layer.get_output(number).name: layer for layer in layers for number in range(layer.num_outputs)}
    float_type = {"fp32": trt.DataType.FLOAT, "fp16": trt.DataType.HALF}[asked.remainder]
    read = []
    for layer in layers:
        if layer.type.name in ("CONVOLUTION", "DECONVOLUTION"):
            assert layer.get_output(0).dtype == float_type
            read.append([giving[layer.get_input(place).name].type.name for place in range(layer.num_inputs)])
    assert read[:-1] == [["DEQUANTIZE", "DEQUANTIZE"]] * (len(read) - 1)
    assert "DEQUANTIZE" not in read[-1]
