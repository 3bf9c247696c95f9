from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile

from unetplus_edge.errors import EngineError, OutputError
from unetplus_edge.manifest import PlanRecord, VerificationRecord
from unetplus_runtime import Segmenter
from unetplus_runtime.batch import segment_files
from unetplus_runtime.engines.plan_cache import plan_key, store_plan
from unetplus_runtime.plan import make_plan
from unetplus_runtime.provenance import provenance_of

if TYPE_CHECKING:
    from pathlib import Path

    from unetplus_edge.bundle import Bundle


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNETPLUS_CACHE", str(tmp_path / "cache"))


def stored(plan: bytes, onnx: bytes) -> Path:
    """A plan in the cache, built of an ONNX file."""
    record = PlanRecord(
        key="0" * 64,
        onnx_file="exports/model_int8.onnx",
        onnx_sha256=hashlib.sha256(onnx).hexdigest(),
        precision="int8",
        flavour="tensorrt",
        version="10.3.0.30",
        gpu="Orin",
        compute_capability="8.7",
        batches=(1, 8, 16),
        patch_side=64,
        sha256=hashlib.sha256(plan).hexdigest(),
        precision_evidence="inspector",
        verification=VerificationRecord(
            engine="tensorrt", executed_precision="int8", verified=False, reason="it was never run"
        ),
    )
    return store_plan(plan, record.model_copy(update={"key": plan_key(record)}))


def with_plan(bundle: Bundle, map_engine: Any, file: Path) -> Segmenter:
    engine = map_engine()
    engine.info = replace(engine.info, engine="tensorrt", stored_precision="int8", executed_precision="int8", file=file)
    return Segmenter(bundle, engine)


def test_two_plans_of_one_model_differ_by_their_hash_alone(plain_bundle: Bundle, map_engine: Any) -> None:
    first, second = (
        provenance_of(with_plan(plain_bundle, map_engine, stored(plan, onnx)))
        for plan, onnx in ((b"one calibration", b"its file"), (b"another calibration", b"its other file"))
    )
    assert first["conversion"] == hashlib.sha256(b"one calibration").hexdigest()
    assert second["conversion"] == hashlib.sha256(b"another calibration").hexdigest()
    assert first | {"conversion": ""} == second | {"conversion": ""}


def test_a_run_does_not_go_on_with_another_plan(plain_bundle: Bundle, map_engine: Any, tmp_path: Path) -> None:
    image, out = tmp_path / "a.tif", tmp_path / "out"
    tifffile.imwrite(image, np.random.default_rng(0).integers(0, 255, (64, 64)).astype(np.uint8))

    def stop() -> None:
        raise KeyboardInterrupt

    first = with_plan(plain_bundle, map_engine, stored(b"one calibration", b"its file"))
    with pytest.raises(KeyboardInterrupt):
        segment_files(make_plan([image], out), first, done=stop)
    second = with_plan(plain_bundle, map_engine, stored(b"another calibration", b"its other file"))
    with pytest.raises(OutputError, match="conversion"):
        segment_files(make_plan([image], out), second)
    assert segment_files(make_plan([image], out), first).kept == 1


def test_a_plan_that_was_built_anew_in_its_place_is_another_one(plain_bundle: Bundle, map_engine: Any) -> None:
    file = stored(b"built", b"one file")
    before = provenance_of(with_plan(plain_bundle, map_engine, file))
    assert stored(b"built again", b"one file") == file
    after = provenance_of(with_plan(plain_bundle, map_engine, file))
    assert before["conversion"] != after["conversion"] == hashlib.sha256(b"built again").hexdigest()


def test_a_plan_that_is_gone_has_no_provenance(plain_bundle: Bundle, map_engine: Any) -> None:
    file = stored(b"built", b"one file")
    segmenter = with_plan(plain_bundle, map_engine, file)
    file.unlink()
    with pytest.raises(EngineError, match="is not there"):
        provenance_of(segmenter)


def test_a_conversion_in_the_bundle_bears_the_hash_in_the_manifest(bundle: Bundle) -> None:
    with Segmenter(bundle) as segmenter:
        (conversion,) = bundle.manifest.conversions
        assert provenance_of(segmenter)["conversion"] == conversion.sha256


def test_the_keras_model_is_no_conversion(plain_bundle: Bundle, map_engine: Any) -> None:
    assert provenance_of(Segmenter(plain_bundle, map_engine()))["conversion"] == "none"
