"""TensorRT engines in a bundle's manifest; that they are built and tried is shown where a library is."""

from __future__ import annotations

import numpy as np
import pytest

from unetplus_edge.bundle import add_conversion, create_bundle, open_bundle
from unetplus_edge.errors import ConversionError, EngineError
from unetplus_edge.files import sha256_of
from unetplus_edge.manifest import CalibrationRecord, ConversionRecord, PlanRecord, VerificationRecord
from unetplus_export.calibration import Calibration
from unetplus_export.exporter import Exporter, Options
from unetplus_export.outcome import Outcome
from unetplus_export.plans import make_plan, recorded
from unetplus_export.stages import Stages
from unetplus_export.trt import BuildOptions
from unetplus_runtime.engines import open_engine


@pytest.fixture
def bundle(manifest, tmp_path):
    model = tmp_path / "model.keras"
    model.write_bytes(b"weights")
    return create_bundle(tmp_path / "bundle", model, manifest.model_copy(update={"keras_sha256": sha256_of(model)}))


def plan(number, **changes):
    record = PlanRecord(
        key=f"{number:064}",
        onnx_file="exports/model_fp16.onnx",
        onnx_sha256="0" * 64,
        precision="fp16",
        flavour="tensorrt",
        version="10.3.0",
        gpu="Orin",
        compute_capability="8.7",
        batches=(1, 8, 16),
        patch_side=32,
        sha256="0" * 64,
        precision_evidence="network",
        verification=VerificationRecord(
            engine="tensorrt", executed_precision="fp16", verified=False, reason="never run"
        ),
    )
    return record.model_copy(update=changes)


def test_a_newer_engine_takes_the_place_of_an_earlier_one_for_the_same_place(bundle):
    for number, changes in enumerate(({}, {"batches": (1, 1, 1)})):
        bundle = recorded(bundle, plan(number, **changes))
    assert open_bundle(bundle.path).manifest.plans == (plan(1, batches=(1, 1, 1)),)


@pytest.mark.parametrize(
    "changes",
    [
        {"precision": "int8"},
        {"flavour": "tensorrt_rtx"},
        {"version": "10.16.2"},
        {"gpu": "Thor", "compute_capability": "11.0"},
        {"patch_side": 128},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_engines_for_several_places_stand_side_by_side(bundle, changes):
    both = (plan(1), plan(2, **changes))
    for record in both:
        bundle = recorded(bundle, record)
    assert open_bundle(bundle.path).manifest.plans == both


def test_an_engine_of_another_machine_is_not_in_this_ones_cache(bundle, tmp_path, monkeypatch):
    monkeypatch.setenv("UNETPLUS_CACHE", str(tmp_path / "cache"))
    with pytest.raises(EngineError, match="engine for Orin is not in this machine's cache"):
        open_engine(recorded(bundle, plan(1)), "tensorrt")


def test_an_engine_for_patches_of_another_side_is_never_taken(bundle):
    with pytest.raises(EngineError, match=r"has no TensorRT engine; run: unetplus-export .* --target trt"):
        open_engine(recorded(bundle, plan(1, patch_side=128)), "tensorrt")


OURS, OTHERS = "1" * 64, "2" * 64


class _Converts(Exporter):
    """An exporter that says that it was to convert, and does not."""

    def make(self, target, precision, remainder="fp32"):
        return Outcome(target, precision, "impossible", "converted anew")


@pytest.fixture
def built_of(bundle, tmp_path, monkeypatch):
    """Asks for an engine of a bundle that has its ONNX file already, and returns what it would be built of."""

    class Flavour:
        is_strongly_typed = True

    def build(file, record, precision, options):
        raise ConversionError(f"built of {record.file}")

    monkeypatch.setattr("unetplus_export.plans.find_flavour", lambda name: Flavour())
    monkeypatch.setattr("unetplus_export.plans.build_plan", build)

    def ask(precision, calibration, **options):
        onnx = tmp_path / "model.onnx"
        onnx.write_bytes(b"nodes")
        record = ConversionRecord(
            file="exports/model.onnx",
            sha256=sha256_of(onnx),
            target="onnx",
            stored_precision=precision,
            remainder="fp16" if precision == "int8" else None,
            verifications=(VerificationRecord(engine="onnxruntime", executed_precision=precision, verified=True),),
            calibration=calibration,
        )
        patches = Calibration(np.zeros((1, 32, 32, 1), np.float32), "images of ours", simulated=False, sha256=OURS)
        exporter = _Converts(
            add_conversion(bundle, onnx, record), Options(32, **options), lambda: None, lambda: patches, Stages()
        )
        return make_plan(exporter, precision, BuildOptions(), Stages()).reason

    return ask


def ranges(sha256, method="percentile"):
    return CalibrationRecord(source="images", patches=300, sha256=sha256, method=method)


@pytest.mark.parametrize(
    ("there", "options"),
    [
        (ranges(OTHERS), {"calibration_chosen": True}),
        (ranges(OTHERS), {"method": "percentile", "calibration_chosen": True}),
        (ranges(OURS), {"method": "entropy"}),
        (ranges(OURS), {"method": "entropy", "calibration_chosen": True}),
        (None, {"method": "entropy"}),
    ],
)
def test_ranges_that_were_chosen_are_those_of_the_engine(built_of, there, options):
    assert built_of("int8", there, **options) == "of its ONNX file: converted anew"


@pytest.mark.parametrize(
    ("precision", "there", "options"),
    [
        ("int8", ranges(OTHERS), {}),
        ("int8", ranges(OTHERS), {"method": "percentile"}),
        ("int8", ranges(OURS), {"calibration_chosen": True}),
        ("int8", ranges(OURS), {"method": "percentile", "calibration_chosen": True}),
        ("fp16", None, {"method": "percentile", "calibration_chosen": True}),
    ],
)
def test_an_engine_is_built_of_the_file_that_there_is_where_that_is_what_was_asked_for(
    built_of, precision, there, options
):
    assert built_of(precision, there, **options) == "built of exports/model.onnx"
