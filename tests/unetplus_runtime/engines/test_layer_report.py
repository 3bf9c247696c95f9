"""Reports as the inspectors of TensorRT 8, 10 and 11 write them, by NVIDIA's documentation and published engines."""

from __future__ import annotations

import json

import pytest

from unetplus_runtime.engines.layer_report import Convolution, built_convolutions, convolutions, executed_precision


def report(*layers, **others):
    return json.dumps({"Layers": list(layers), **others})


def tensor_8(kind):
    return [{"Name": "x", "Location": "Device", "Dimensions": [8, 16, 64, 64], "Format/Datatype": kind}]


def tensor_11(kind):
    return [{"Name": "x", "Dimensions": [-1, 16, 64, 64], "Datatype": kind, "Format": "(NHWC) Channel major format"}]


def cask(name, kind, weights, **others):
    """A convolution of TensorRT 8 or 10."""
    return {
        "Name": name,
        "LayerType": "CaskConvolution",
        "Inputs": tensor_8(kind),
        "Outputs": tensor_8(kind),
        "ParameterType": "Convolution",
        "Kernel": [3, 3],
        "Weights": {"Type": weights, "Count": 2304},
        **others,
    }


@pytest.mark.parametrize(
    ("layer", "precision"),
    [
        (cask("c", "Channel major FP16 format where channel % 8 == 0", "Half"), "fp16"),
        (cask("c", "Row major linear FP32", "Float"), "fp32"),
        (cask("c", "Thirty-two wide channel vectorized row major Int8 format.", "Int8"), "int8"),
        (cask("c", "Half", "Half"), "fp16"),
        (cask("c", "BFloat16", "BFloat16"), "bf16"),
        (cask("c", "Float", "Float", LayerType="CaskDeconvolutionV2", ParameterType="Deconvolution"), "fp32"),
        # A kernel that narrows the image itself, and weights that are widened before they are used.
        (cask("c", "Row major linear FP32", "Half"), "fp16"),
        (cask("c", "Half", "Int8"), "fp16"),
        # What TensorRT 8 says where the shape was left open.
        (cask("c", "N/A due to dynamic shapes", "Half"), "fp16"),
        (cask("c", "N/A due to dynamic shapes", ""), None),
        ({"Name": "c", "LayerType": "correlation", "Inputs": tensor_11("Int8"), "Outputs": tensor_11("Half")}, "int8"),
        ({"Name": "c", "LayerType": "deconv", "Inputs": tensor_11("Half"), "Outputs": tensor_11("Half")}, "fp16"),
        ({"Name": "c", "LayerType": "correlation", "Inputs": [], "Outputs": []}, None),
    ],
)
def test_the_precision_of_a_convolution_is_read(layer, precision):
    (found,) = convolutions(report(layer))
    assert (found.name, found.precision) == ("c", precision)


def test_other_layers_are_no_convolutions():
    others = [
        {"Name": "Reformatting CopyNode for Input Tensor 0 to c", "LayerType": "Reformat", "Inputs": tensor_8("Half")},
        {"Name": "__myl_CastMul_myl0_1", "LayerType": "kgen", "Inputs": tensor_11("Float")},
        {"Name": "MaxPool_2", "LayerType": "CudaPooling", "ParameterType": "Pooling", "Inputs": tensor_8("Half")},
        "a layer of an engine without detailed profiling",
    ]
    assert convolutions(report(*others, Bindings=["image", "probability"])) == ()


def test_a_convolution_has_the_names_of_all_nodes_that_went_into_it():
    layer = cask("c1_0_conv + c1_0_relu", "Half", "Half", Metadata="[ONNX Layer: c1_0_conv]\x1e[ONNX Layer: c1_0_relu]")
    (found,) = convolutions(report(layer))
    assert found.name == "c1_0_conv + c1_0_relu"
    assert found.nodes == "c1_0_conv + c1_0_relu [ONNX Layer: c1_0_conv]\x1e[ONNX Layer: c1_0_relu]"


def test_the_number_that_the_compiler_adds_is_no_part_of_a_name():
    (found,) = convolutions(report({"Name": "c1_0_conv_myl0_3", "LayerType": "correlation"}))
    assert found.name == "c1_0_conv"


def test_deconvolutions_are_told_apart():
    layers = [
        cask("plain", "Half", "Half"),
        cask("up", "Half", "Half", LayerType="CaskDeconvolutionV2", ParameterType="Deconvolution"),
        {"Name": "compiled", "LayerType": "deconv", "Inputs": tensor_11("Half")},
    ]
    assert [found.is_transposed for found in convolutions(report(*layers))] == [False, True, True]


def line(name, kind, *types):
    tensor = "{{ Name: x, Dimensions: [-1,8,32,32], Strides: [1,2,3,4], Datatype: {}, Format: (NHWC) Channel major }}"
    inputs = ", ".join(map(tensor.format, types))
    rest = f"Constants: [ {tensor.format('Int8')}], Outputs: [ {tensor.format('Float')}], TacticName: t, StreamId: 0"
    return f"Name: {name}_myl0_3, LayerType: {kind}, Inputs: [ {inputs}], {rest}, Metadata: [ONNX Layer: {name}]"


def test_what_the_builder_of_tensorrt_rtx_lists_is_read_likewise():
    lines = [
        "Layers:",
        "Name: __mye3858_0_myl0_0, LayerType: shape_call, Inputs: [], Constants: [], Outputs: [], Metadata: ",
        line("__myl_MulMinMax", "kgen", "Float"),
        line("first", "correlation", "Int8"),
        line("second", "correlation", "Float", "Float"),
        line("up", "deconv", "Half"),
        "",
        "I/O Tensors:",
        " Name: image, IOMode: Input, DataType: Float, Dimensions: [-1,32,32,1], Location: Device",
    ]
    assert built_convolutions("\n".join(lines)) == (
        Convolution("first", "int8", nodes="first [ONNX Layer: first]"),
        Convolution("second", "fp32", nodes="second [ONNX Layer: second]"),
        Convolution("up", "fp16", is_transposed=True, nodes="up [ONNX Layer: up]"),
    )


def test_an_engine_computes_in_what_most_of_its_convolutions_do():
    kinds = ["int8", "int8", "int8", "fp16", None]
    assert executed_precision(tuple(Convolution("c", kind) for kind in kinds)) == "int8"
    assert executed_precision((Convolution("c", None),)) is None
    assert executed_precision(()) is None
