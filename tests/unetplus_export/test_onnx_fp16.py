"""Graphs in float16, by the types of their tensors and by what they answer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from unetplus_edge.architectures import UNetPlus, UNetPlusPlus
from unetplus_edge.errors import ConversionError
from unetplus_export.calibration import Calibration
from unetplus_export.conversion import Request
from unetplus_export.onnx import convert_onnx
from unetplus_export.onnx_fp16 import cast_to_half, layer_errors

keras = pytest.importorskip("keras", reason="needs the export extra")
onnx = pytest.importorskip("onnx", reason="needs the export extra")
onnxruntime = pytest.importorskip("onnxruntime", reason="needs the export extra")

FLOAT, HALF, INT64 = onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.INT64


@pytest.fixture(
    scope="module",
    params=[UNetPlus(base_filters=2, depth=2, upsampling="nearest"), UNetPlusPlus(base_filters=2, depth=2)],
    ids=lambda architecture: architecture.name,
)
def converted(request, tmp_path_factory, make_network, make_bundle):
    """The files of a network in fp32 and in fp16; two networks, which have all operators between them."""
    folder = tmp_path_factory.mktemp("converted")
    keras.utils.set_random_seed(3)
    bundle = make_bundle(make_network(request.param), folder / "bundle")
    for precision in ("fp32", "fp16"):
        convert_onnx(Request(bundle, precision, 32), folder / f"{precision}.onnx")
    return folder / "fp32.onnx", folder / "fp16.onnx"


def answers(path):
    patches = np.random.default_rng(0).random((3, 32, 32, 1), np.float32)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(["probability"], {"image": patches})[0]


def graph_answers(network, patches, names):
    """Return what a graph computes under these names."""
    copy = onnx.ModelProto()
    copy.CopyFrom(network)
    for name in names:
        if name not in {end.name for end in copy.graph.output}:
            copy.graph.output.append(onnx.helper.make_empty_tensor_value_info(name))
    session = onnxruntime.InferenceSession(copy.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(names, {"image": patches})


def graph_of(*nodes, **constants):
    """A graph from `x` to `y`, float32, of nodes and named constants."""
    ends = [onnx.helper.make_tensor_value_info(name, FLOAT, [1, 2]) for name in "xy"]
    tensors = [onnx.numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = onnx.helper.make_graph(list(nodes), "test", ends[:1], ends[1:], tensors)
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 19)])


def test_everything_between_the_ends_is_float16(converted):
    graph = onnx.shape_inference.infer_shapes(onnx.load(converted[1]), strict_mode=True).graph
    assert [end.type.tensor_type.elem_type for end in (*graph.input, *graph.output)] == [FLOAT, FLOAT]
    inside = {value.name: value.type.tensor_type.elem_type for value in graph.value_info}
    assert set(inside.values()) == {HALF}
    assert {node.output[0] for node in graph.node} == {*inside, "probability"}


def test_weights_and_biases_are_float16_and_only_factors_of_sizes_are_not(converted):
    graph = onnx.load(converted[1]).graph
    types = {tensor.name: tensor.data_type for tensor in graph.initializer}
    for node in graph.node:
        if "Conv" in node.op_type:
            assert [types[name] for name in node.input[1:]] == [HALF, HALF]
    others = {name.rpartition(".")[2] for name, kind in types.items() if kind == FLOAT}
    assert others <= {"region", "scales"}


def test_two_casts_are_all_that_is_added(converted):
    before, after = ([node.op_type for node in onnx.load(path).graph.node] for path in converted)
    assert after[0] == after[-1] == "Cast"
    assert after[1:-1] == before


def test_answers_stay_close_and_are_not_the_same(converted):
    expected, found = map(answers, converted)
    assert found.dtype == np.float32
    assert expected.std() > 0.01
    difference = np.abs(found - expected).max()
    assert 0 < difference < 5e-3


def test_a_file_is_in_opset_17_and_half_as_large(converted):
    model = onnx.load(converted[1])
    assert (model.opset_import[0].version, model.ir_version) == (17, 8)
    sizes = [sum(len(tensor.raw_data) for tensor in onnx.load(path).graph.initializer) for path in converted]
    assert 0.45 < sizes[1] / sizes[0] < 0.6


@pytest.fixture(scope="module")
def plus(tmp_path_factory, make_network, make_bundle):
    folder = tmp_path_factory.mktemp("plus")
    bundle = make_bundle(make_network(UNetPlus(base_filters=2, depth=2)), folder / "bundle")
    patches = np.random.default_rng(0).random((4, 32, 32, 1), np.float32)
    calibration = Calibration(patches, "random numbers", False, "1" * 64)
    return Request(bundle, "fp16", 32, calibration=calibration)


# What is between a kept convolution and an end of the graph stays float32 with it, and takes no casts of its own.
@pytest.mark.parametrize(
    ("keep", "casts"), [((), 2), (("c1_0_conv",), 2), (("probability",), 2), (("u1_a_conv",), 4)], ids=str
)
def test_a_convolution_that_is_kept_is_computed_in_float32_of_float32_weights(plus, tmp_path, keep, casts):
    said = convert_onnx(replace(plus, keep=keep), tmp_path / "model.onnx")
    graph = onnx.shape_inference.infer_shapes(onnx.load(tmp_path / "model.onnx"), strict_mode=True).graph
    types = {value.name: value.type.tensor_type.elem_type for value in (*graph.value_info, *graph.input, *graph.output)}
    types |= {tensor.name: tensor.data_type for tensor in graph.initializer}
    convolutions = [node for node in graph.node if "Conv" in node.op_type]
    in_float = {node.name for node in convolutions if {types[name] for name in (*node.input, *node.output)} == {FLOAT}}
    in_half = {node.name for node in convolutions if {types[name] for name in (*node.input, *node.output)} == {HALF}}
    assert in_float == {*keep}
    assert in_half == {node.name for node in convolutions} - {*keep}
    assert said.higher_precision == keep
    assert said.operators["Cast"] == casts


def test_keeping_every_convolution_gives_the_float_answers(plus, tmp_path):
    convert_onnx(replace(plus, precision="fp32"), tmp_path / "fp32.onnx")
    names = [node.name for node in onnx.load(tmp_path / "fp32.onnx").graph.node if "Conv" in node.op_type]
    errors = []
    for keep in ((), tuple(names)):
        convert_onnx(replace(plus, keep=keep), tmp_path / "fp16.onnx")
        errors.append(np.abs(answers(tmp_path / "fp16.onnx") - answers(tmp_path / "fp32.onnx")).max())
    # What is left are the roundings of what goes from one to the next.
    assert errors[1] < errors[0]


def test_what_is_no_convolution_cannot_be_kept(plus, tmp_path):
    with pytest.raises(ConversionError, match="c9_9_conv cannot be kept out of fp16, being no convolution"):
        convert_onnx(replace(plus, keep=("c9_9_conv",)), tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []


def test_layers_are_told_worst_first_and_kept_ones_are_not_told(plus, tmp_path):
    convert_onnx(plus, tmp_path / "fp16.onnx")
    found = layer_errors(plus, tmp_path / "fp16.onnx")
    names = [node.name for node in onnx.load(tmp_path / "fp16.onnx").graph.node if "Conv" in node.op_type]
    assert sorted(name for name, _ in found) == sorted(names)
    assert [loss for _, loss in found] == sorted(loss for _, loss in found)
    convert_onnx(replace(plus, keep=(found[0][0],)), tmp_path / "kept.onnx")
    assert layer_errors(plus, tmp_path / "kept.onnx") == found[1:]


def test_a_layers_loss_is_what_rounding_it_by_hand_does(plus, tmp_path):
    convert_onnx(plus, tmp_path / "fp16.onnx")
    convert_onnx(replace(plus, precision="fp32"), tmp_path / "fp32.onnx")
    network = onnx.load(tmp_path / "fp32.onnx")
    exact = graph_answers(network, plus.calibration.patches, ["probability"])[0]
    # By the Keras model: the last convolution reads what the file says that it reads.
    last = next(node for node in network.graph.node if node.name == "probability")
    kernel, bias = (
        onnx.numpy_helper.to_array(next(tensor for tensor in network.graph.initializer if tensor.name == name))
        for name in last.input[1:]
    )
    read = graph_answers(network, plus.calibration.patches, [last.input[0]])[0]
    halves = [values.astype(np.float16).astype(np.float32) for values in (read, kernel, bias)]
    logits = np.einsum("nchw,oc->nohw", halves[0], halves[1][:, :, 0, 0]) + halves[2][:, None, None]
    by_hand = 1 / (1 + np.exp(-logits.astype(np.float16).astype(np.float64)))
    noise = np.square(by_hand.reshape(exact.shape) - exact).sum()
    expected = 10 * np.log10(np.square(exact.astype(np.float64)).sum() / noise)
    assert dict(layer_errors(plus, tmp_path / "fp16.onnx"))["probability"] == pytest.approx(expected, abs=1)


def test_a_weight_past_the_largest_float16_is_refused():
    model = graph_of(onnx.helper.make_node("Add", ["x", "c.weight"], ["y"]), **{"c.weight": np.float32([1, -7e4])})
    with pytest.raises(ConversionError, match=r"c\.weight reaches 7e\+04, which float16 does not hold"):
        cast_to_half(model)


def test_no_scale_becomes_zero():
    nodes = [
        onnx.helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["q"]),
        onnx.helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["y"]),
    ]
    model = graph_of(*nodes, scale=np.float32(1e-9), zero=np.int8(0))
    cast_to_half(model)
    onnx.checker.check_model(model, full_check=True)
    scale = onnx.numpy_helper.to_array(model.graph.initializer[0])
    assert scale.dtype == np.float16
    assert scale == 2.0**-14


def test_tensorrt_parses_it_as_float16_throughout(converted):
    trt = pytest.importorskip("tensorrt_rtx_bindings", reason="needs TensorRT-RTX")
    logger = trt.Logger(trt.Logger.ERROR)
    builder = trt.Builder(logger)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    assert trt.OnnxParser(network, logger).parse_from_file(str(converted[1]))
    layers = [network.get_layer(number) for number in range(network.num_layers)]
    types = [layer.get_output(0).dtype for layer in layers if layer.type.name in ("CONVOLUTION", "DECONVOLUTION")]
    graph = onnx.load(converted[1]).graph
    assert types == [trt.DataType.HALF] * sum("Conv" in node.op_type for node in graph.node)
