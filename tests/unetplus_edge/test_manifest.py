"""What a manifest holds, survives and refuses."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from unetplus_edge.architectures import UNet
from unetplus_edge.manifest import (
    CalibrationRecord,
    ConversionRecord,
    DataSetRecord,
    Manifest,
    ParityRecord,
    ScoreRecord,
    TensorRecord,
    VerificationRecord,
)
from unetplus_edge.training.recipe import Recipe

_SHA = "0123456789abcdef" * 4
_PARITY = ParityRecord(patches=174, max_difference=0.01, mean_difference=0.001, flipped_per_million=12.5)
_REFUSED = VerificationRecord(engine="onnxruntime", executed_precision="fp32", verified=False, reason="off by 0.2")
_PASSED = VerificationRecord(
    engine="litert", executed_precision="int8", verified=True, parity=_PARITY, score_drop={"average_iou": 0.002}
)
_CONVERSION = ConversionRecord(
    file="exports/model_int8.tflite",
    sha256=_SHA,
    target="tflite",
    stored_precision="int8",
    verifications=(_REFUSED, _PASSED),
    tools={"tensorflow": "2.21.0"},
    calibration=CalibrationRecord(source="training images", patches=100, sha256=_SHA, method="entropy"),
)
_MANIFEST = Manifest(
    name="unet_b8",
    recipe=Recipe(architecture=UNet(base_filters=8)),
    input=TensorRecord(name="image", shape=(None, 256, 256, 1)),
    output=TensorRecord(name="probability", shape=(None, 256, 256, 1)),
    data_set=DataSetRecord(name="dsb2018", labels="fixed", training_images=432, validation_images=109, sha256=_SHA),
    keras_sha256=_SHA,
    epochs_trained=20,
    best_epoch=17,
    scores=(
        ScoreRecord(images="test_images", engine="keras", precision="fp32", scores={"average_iou": 0.6, "split": None}),
    ),
    conversions=(_CONVERSION,),
)


def test_a_manifest_survives_json() -> None:
    assert Manifest.model_validate_json(_MANIFEST.model_dump_json()) == _MANIFEST


@pytest.mark.parametrize(
    "wrong",
    [
        {"schema_version": 2},
        {"name": "../model"},
        {"name": ""},
        {"keras_sha256": "ABC"},
        {"keras_file": "/model.keras"},
        {"keras_file": "../model.keras"},
        {"keras_file": ""},
        {"notes": "unknown field"},
    ],
    ids=str,
)
def test_a_wrong_field_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Manifest.model_validate(_MANIFEST.model_dump() | wrong)


@pytest.mark.parametrize("file", ["/etc/passwd", "..", "exports/../../other", "", "."])
def test_a_conversion_outside_its_bundle_is_refused(file: str) -> None:
    with pytest.raises(ValidationError, match="inside the bundle"):
        ConversionRecord(file=file, sha256=_SHA, target="onnx", stored_precision="fp32")


def test_one_file_has_one_spelling() -> None:
    record = ConversionRecord(file="./exports//model.onnx", sha256=_SHA, target="onnx", stored_precision="fp32")
    assert record.file == "exports/model.onnx"


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_number_that_json_cannot_hold_is_refused_when_it_is_recorded(number: float) -> None:
    with pytest.raises(ValidationError, match="finite"):
        ParityRecord(patches=1, max_difference=number, mean_difference=0, flipped_per_million=0)


def test_only_a_passed_verification_counts() -> None:
    assert _CONVERSION.verified_by("litert") == _PASSED
    assert _CONVERSION.verified_by("onnxruntime") is None
    assert _CONVERSION.verified_by("openvino") is None
