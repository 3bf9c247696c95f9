from __future__ import annotations

import json

import pytest

from unetplus_edge.errors import ConversionError
from unetplus_export.trt.inspector import engine_evidence
from unetplus_runtime.engines.layer_report import convolutions


def cask(kind):
    """As TensorRT 8 and 10 report a convolution."""
    return lambda name: {
        "Name": f"{name} + {name}_relu",
        "LayerType": "CaskConvolution",
        "Inputs": [{"Name": "x", "Location": "Device", "Format/Datatype": kind}],
        "ParameterType": "Convolution",
    }


def compiled(kind):
    """As TensorRT 11 reports one."""
    return lambda name: {
        "Name": f"{name}_myl0_3",
        "LayerType": "correlation",
        "Inputs": [{"Name": "x", "Datatype": kind, "Format": "(NHWC) Channel major format"}],
        "Metadata": f"[ONNX Layer: {name}]",
    }


def report(**layers):
    return convolutions(json.dumps({"Layers": [layer(name) for name, layer in layers.items()]}))


@pytest.mark.parametrize(
    ("precision", "kind"),
    [
        ("fp16", cask("Channel major FP16 format where channel % 8 == 0")),
        ("fp16", cask("Half")),
        ("fp16", compiled("Half")),
        ("int8", cask("Thirty-two wide channel vectorized row major Int8 format.")),
        ("int8", compiled("Int8")),
        ("fp32", compiled("Float")),
        ("tf32", compiled("Float")),
    ],
)
def test_convolutions_in_the_precision_are_proof(precision, kind):
    evidence = engine_evidence(report(first=kind, down=kind), "model.plan", precision, ())
    assert len(evidence.proven) == 2
    assert evidence.kept == ()


def test_an_engine_in_float32_under_another_name_is_refused():
    found = report(first=cask("Row major linear FP32"), down=cask("Half"), up=cask("Row major linear FP32"))
    with pytest.raises(ConversionError) as refused:
        engine_evidence(found, "model.plan", "fp16", ())
    assert str(refused.value) == (
        "model.plan is not fp16: 2 of its 3 convolutions are not (first + first_relu: fp32, up + up_relu: fp32); "
        "convert it again"
    )


@pytest.mark.parametrize("kind", [cask, compiled])
def test_layers_that_are_stated_may_be_in_another(kind):
    found = report(first=kind("Int8"), last=kind("Half"))
    evidence = engine_evidence(found, "model.plan", "int8", ("last",))
    assert (len(evidence.proven), len(evidence.kept)) == (1, 1)
    with pytest.raises(ConversionError, match="1 of its 2 convolutions are not"):
        engine_evidence(found, "model.plan", "int8", ())


def transposed(kind):
    return lambda name: {"Name": name, "LayerType": "deconv", "Inputs": [{"Name": "x", "Datatype": kind}]}


def test_deconvolutions_that_a_library_has_not_in_int8_are_named_and_convolutions_refused():
    evidence = engine_evidence(report(first=compiled("Int8"), up=transposed("Half")), "model.plan", "int8", ())
    assert evidence.widened == ("up: fp16",)
    with pytest.raises(ConversionError, match="1 of its 1 convolutions are not"):
        engine_evidence(report(up=transposed("Float")), "model.plan", "fp16", ())
    with pytest.raises(ConversionError, match="it has no convolution that could be"):
        engine_evidence(report(up=transposed("Float")), "model.plan", "int8", ())


@pytest.mark.parametrize(
    "found",
    [
        convolutions(json.dumps({"Layers": ["first + first_relu"]})),
        convolutions(json.dumps({"Layers": []})),
        report(first=cask("N/A due to dynamic shapes")),
    ],
    ids=["names alone", "no layers", "no types"],
)
def test_a_report_that_does_not_say_is_no_proof(found):
    with pytest.raises(ConversionError, match=r"it is not said what the convolutions of model\.plan compute in"):
        engine_evidence(found, "model.plan", "fp16", ())
