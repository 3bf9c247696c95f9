"""TensorRT engines in a bundle's manifest; that they are built and tried is shown where a library is."""

from __future__ import annotations

import pytest

from unetplus_edge.bundle import create_bundle, open_bundle
from unetplus_edge.errors import EngineError
from unetplus_edge.files import sha256_of
from unetplus_edge.manifest import PlanRecord, VerificationRecord
from unetplus_export.plans import recorded
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
