"""Networks as TensorRT-RTX, which needs no GPU for it, parses them."""

from __future__ import annotations

import pytest

from unetplus_edge.errors import ConversionError
from unetplus_export.trt.network import convolution_layers, is_of_layer, parse, precision_evidence
from unetplus_runtime.engines.tensorrt_flavour import find_flavour, installed_module

if installed_module("tensorrt_rtx") is None:
    pytest.skip("needs the trt-rtx extra", allow_module_level=True)

ALL = ("first", "down", "up", "last")


@pytest.fixture(scope="module")
def flavour():
    return find_flavour("tensorrt_rtx")


@pytest.mark.parametrize(
    ("precision", "remainder", "proven", "kept"),
    [
        ("fp32", None, ALL, ()),
        ("fp16", None, ALL, ()),
        ("int8", "fp32", ALL[:3], ("last",)),
        ("int8", "fp16", ALL[:3], ("last",)),
    ],
)
def test_every_convolution_is_proven_or_stated(flavour, make_onnx, precision, remainder, proven, kept):
    file, record = make_onnx(precision, remainder=remainder)
    evidence = precision_evidence(flavour, parse(flavour, file), precision, record.higher_precision)
    assert (evidence.proven, evidence.kept) == (proven, kept)


@pytest.mark.parametrize(
    ("made", "asked"),
    [("fp32", "fp16"), ("fp32", "int8"), ("fp16", "fp32"), ("fp16", "int8"), ("int8", "fp32"), ("int8", "fp16")],
)
def test_a_network_in_another_precision_is_refused_by_its_convolutions(flavour, make_onnx, made, asked):
    file, _ = make_onnx(made)
    message = rf"model_{made}\.onnx is not {asked}: .* of its 4 convolutions are not \(first"
    with pytest.raises(ConversionError, match=message):
        precision_evidence(flavour, parse(flavour, file), asked, ())


def test_a_single_convolution_in_float32_is_found_and_named(flavour, make_onnx):
    file, _ = make_onnx("fp16", float_layer=True)
    with pytest.raises(ConversionError, match=r"is not fp16: 1 of its 4 convolutions are not \(down\);"):
        precision_evidence(flavour, parse(flavour, file), "fp16", ())


def test_an_exception_must_be_stated(flavour, make_onnx):
    file, _ = make_onnx("int8")
    with pytest.raises(ConversionError, match=r"is not int8: 1 of its 4 convolutions are not \(last\);"):
        precision_evidence(flavour, parse(flavour, file), "int8", ())


@pytest.mark.parametrize("plain", ["image", "weight"])
def test_image_and_weights_must_both_be_quantised(flavour, make_onnx, plain):
    file, record = make_onnx("int8", plain=plain)
    with pytest.raises(ConversionError, match=r"3 of its 3 convolutions are not \(first, down, up\);"):
        precision_evidence(flavour, parse(flavour, file), "int8", record.higher_precision)


def test_exceptions_alone_prove_nothing(flavour, make_onnx):
    file, _ = make_onnx("fp32")
    with pytest.raises(ConversionError, match="is not int8: it has no convolution that could be"):
        precision_evidence(flavour, parse(flavour, file), "int8", ALL)


def test_the_parsed_network_says_what_it_takes(flavour, make_onnx):
    network = parse(flavour, make_onnx()[0])
    assert (network.image, network.batch, network.patch_side) == ("image", None, 32)
    assert [layer.name for layer in convolution_layers(flavour, network)] == list(ALL)
    assert parse(flavour, make_onnx(batch=3)[0]).batch == 3


def test_a_bias_in_int32_is_refused_with_the_parsers_reason(flavour, make_onnx):
    file, _ = make_onnx("int8", int32_bias=True)
    with pytest.raises(ConversionError) as refused:
        parse(flavour, file)
    said = str(refused.value)
    assert said.startswith(f"model_int8.onnx is no network for {flavour.title}: DequantizeLinear first.bias.dq: ")
    assert "input has type Int32 but must have type" in said
    assert "\n" not in said


def test_an_unknown_operator_is_refused_by_its_name(flavour, make_onnx):
    file, _ = make_onnx(unknown=True)
    with pytest.raises(ConversionError, match=r"is no network for TensorRT-RTX .*: Frobnicate odd: .*; convert it"):
        parse(flavour, file)


@pytest.mark.parametrize("content", [b"", b"not a network" * 20], ids=["empty", "text"])
def test_a_file_that_is_no_network_is_refused(flavour, tmp_path, content):
    file = tmp_path / "net.onnx"
    file.write_bytes(content)
    with pytest.raises(ConversionError, match=r"net\.onnx (is no network for|has inputs and outputs)"):
        parse(flavour, file)


def test_a_network_that_takes_something_else_is_refused(flavour, make_onnx):
    file, _ = make_onnx(channels=3)
    with pytest.raises(ConversionError, match=r"inputs and outputs image \(-1, 32, 32, 3\) float; probability"):
        parse(flavour, file)


@pytest.mark.parametrize(
    ("node", "layer", "is_of"),
    [
        ("c1_0_conv", "c1_0_conv", True),
        ("c1_0_conv + c1_0_relu", "c1_0_conv", True),
        ("fused [ONNX Layer: c1_0_conv]", "c1_0_conv", True),
        ("c1_0_conv_2", "c1_0_conv", False),
        ("sec1_0_conv", "c1_0_conv", False),
    ],
)
def test_a_node_belongs_to_the_layer_whose_whole_name_it_bears(node, layer, is_of):
    assert is_of_layer(node, layer) == is_of
