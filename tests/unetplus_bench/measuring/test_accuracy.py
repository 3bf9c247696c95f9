"""What a manifest says of a file's accuracy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from unetplus_bench.measuring.accuracy import accuracy_of_file, verification_of
from unetplus_edge.manifest import ScoreRecord

if TYPE_CHECKING:
    from unetplus_edge.bundle import Bundle


def scores(manifest: Any, sha256: str, engine: str, stored: str, executed: str) -> list[tuple[str, float, float]]:
    found = accuracy_of_file(manifest, sha256, engine, stored, executed)
    return [(one.images, one.average_iou, one.kaggle_score) for one in found]


def test_the_keras_model_has_its_own_scores(paper_bundle: Bundle) -> None:
    manifest = paper_bundle.manifest
    assert scores(manifest, manifest.keras_sha256, "keras", "fp32", "fp32") == [("validation_images", 0.8, 0.7)]


def test_a_conversion_has_the_keras_models_scores_less_its_drop(
    paper_bundle: Bundle, paper: Any, with_conversion: Any, tried: Any
) -> None:
    bundle = with_conversion(paper_bundle, paper("a.tflite"), "tflite", "int8", tried("litert", "int8"))
    sha256 = bundle.manifest.conversions[0].sha256
    ((images, iou, kaggle),) = scores(bundle.manifest, sha256, "litert", "int8", "int8")
    assert (images, iou, kaggle) == ("validation_images", pytest.approx(0.79), pytest.approx(0.68))


def test_scores_of_the_engine_itself_win_over_a_drop_but_not_for_a_widened_file(
    paper_bundle: Bundle, paper: Any, with_conversion: Any, tried: Any, with_manifest: Any
) -> None:
    bundle = with_conversion(paper_bundle, paper("a.onnx"), "onnx", "fp32", tried("onnxruntime", "fp32"))
    bundle = with_conversion(bundle, paper("b.onnx"), "onnx", "int8", tried("onnxruntime", "fp32"))
    own = ScoreRecord(
        images="validation_images",
        engine="onnxruntime",
        precision="fp32",
        scores={"average_iou_mean": 0.81, "kaggle_score": 0.71},
    )
    manifest = with_manifest(bundle, scores=(*bundle.manifest.scores, own)).manifest
    plain, widened = (record.sha256 for record in manifest.conversions)
    assert scores(manifest, plain, "onnxruntime", "fp32", "fp32") == [("validation_images", 0.81, 0.71)]
    ((_, _, kaggle),) = scores(manifest, widened, "onnxruntime", "int8", "fp32")
    assert kaggle == pytest.approx(0.68)


def test_what_computes_in_another_precision_than_was_verified_has_no_scores(
    paper_bundle: Bundle, paper: Any, with_conversion: Any, tried: Any
) -> None:
    bundle = with_conversion(paper_bundle, paper("a.xml"), "openvino", "fp32", tried("openvino", "fp32"))
    sha256 = bundle.manifest.conversions[0].sha256
    assert scores(bundle.manifest, sha256, "openvino", "fp32", "bf16") == []
    assert verification_of(bundle.manifest, sha256, "openvino", "bf16") is None
    assert verification_of(bundle.manifest, sha256, "openvino", "fp32") is not None


def test_a_drop_on_simulated_frames_is_none_on_the_validation_images(
    paper_bundle: Bundle, paper: Any, with_conversion: Any, tried: Any
) -> None:
    bundle = with_conversion(
        paper_bundle, paper("a.tflite"), "tflite", "int8", tried("litert", "int8", frames="simulated")
    )
    assert scores(bundle.manifest, bundle.manifest.conversions[0].sha256, "litert", "int8", "int8") == []


def test_a_bundle_that_was_never_scored_has_no_scores(paper_bundle: Bundle, with_manifest: Any) -> None:
    manifest = with_manifest(paper_bundle, scores=()).manifest
    assert scores(manifest, manifest.keras_sha256, "keras", "fp32", "fp32") == []
