from __future__ import annotations

import errno
import hashlib
from pathlib import Path

import pytest

from unetplus_edge.errors import EngineError, OutputError
from unetplus_edge.manifest import PlanRecord, VerificationRecord
from unetplus_runtime.engines.gpu import Gpu
from unetplus_runtime.engines.plan_cache import (
    cache_folder,
    find_plan,
    plan_key,
    plan_path,
    read_plan,
    require_usable,
    sidecar_path,
    store_plan,
    timings_path,
    update_record,
)
from unetplus_runtime.engines.tensorrt_flavour import Flavour

PLAN = b"an engine"
ORIN = Gpu("Orin", "8.7")


def made(plan: bytes = PLAN, **changes: object) -> PlanRecord:
    record = PlanRecord(
        key="0" * 64,
        onnx_file="exports/model_fp16.onnx",
        onnx_sha256="1" * 64,
        precision="fp16",
        flavour="tensorrt",
        version="10.3.0.30",
        gpu="Orin",
        compute_capability="8.7",
        batches=(1, 8, 16),
        patch_side=256,
        sha256=hashlib.sha256(plan).hexdigest(),
        precision_evidence="inspector",
        verification=VerificationRecord(
            engine="tensorrt", executed_precision="fp16", verified=False, reason="it was never run"
        ),
    ).model_copy(update=changes)
    return record.model_copy(update={"key": plan_key(record)})


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("UNETPLUS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_stored_plan_is_found_by_its_key(cache):
    record = made()
    path = store_plan(PLAN, record)
    assert path.read_bytes() == PLAN
    assert find_plan(record.key) == (path, record)
    assert files(cache) == [f"plans/{record.key}/model.json", f"plans/{record.key}/model.plan"]


CHANGES = {
    "onnx_sha256": "2" * 64,
    "precision": "fp32",
    "flavour": "tensorrt_rtx",
    "version": "10.3.0.26",
    "gpu": "Orin Nano",
    "compute_capability": "8.9",
    "batches": (1, 8, 8),
    "patch_side": 128,
    "flags": ("version-compatible",),
}


@pytest.mark.parametrize("field", CHANGES)
def test_whatever_decides_the_use_of_a_plan_changes_its_key(field):
    assert made(**{field: CHANGES[field]}).key != made().key


def test_what_was_found_out_later_does_not_change_the_key():
    passed = VerificationRecord(engine="tensorrt", executed_precision="fp16", verified=True)
    later = made(b"built again", verification=passed, precision_evidence="network")
    assert later.key == made().key


def test_storing_again_replaces_plan_and_record_together(cache):
    store_plan(PLAN, made())
    again = made(b"built again")
    path = store_plan(b"built again", again)
    assert find_plan(again.key) == (path, again)
    assert len(files(cache)) == 2


def test_a_record_is_replaced_beside_its_plan():
    record = made()
    path = store_plan(PLAN, record)
    passed = VerificationRecord(engine="tensorrt", executed_precision="fp16", verified=True)
    update_record(path, record.model_copy(update={"verification": passed}))
    assert read_plan(path).verification == passed


def test_a_disk_that_is_full_leaves_the_earlier_plan(cache, monkeypatch):
    record = made()
    path = store_plan(PLAN, record)
    before = files(cache)

    def full(self, content, **others):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OutputError, match=r"\(No space left on device\); free the disk .* UNETPLUS_CACHE"):
        store_plan(b"built again", made(b"built again"))
    with pytest.raises(OutputError, match="No space left on device"):
        update_record(path, record)
    assert files(cache) == before
    assert find_plan(record.key) == (path, record)


def test_a_cache_that_is_no_folder_is_named(cache):
    cache.write_text("in the way")
    with pytest.raises(OutputError, match=r"cache/plans cannot be written"):
        store_plan(PLAN, made())


def test_a_plan_that_is_not_in_the_cache_is_none():
    assert find_plan(made().key) is None


def test_a_damaged_plan_is_none_to_the_cache_and_an_error_to_a_reader():
    record = made()
    path = store_plan(PLAN, record)
    path.write_bytes(b"another engine")
    assert find_plan(record.key) is None
    with pytest.raises(EngineError, match=r"is not the engine that model\.json was written for .* Rebuild: unetplus-"):
        read_plan(path)


def test_a_record_that_says_something_else_than_its_key_is_refused():
    record = made()
    path = store_plan(PLAN, record)
    update_record(path, record.model_copy(update={"gpu": "Thor"}))
    with pytest.raises(EngineError, match=r"is not the engine that model\.json was written for"):
        read_plan(path)


def test_a_plan_without_its_record_is_refused():
    path = store_plan(PLAN, made())
    sidecar_path(path).unlink()
    with pytest.raises(EngineError, match=r"has no model\.json beside it, .* Rebuild: unetplus-export"):
        read_plan(path)


@pytest.mark.parametrize("content", ["", "{}", '{"key": 3}', "\xff"])
def test_a_damaged_record_is_refused(content):
    path = store_plan(PLAN, made())
    sidecar_path(path).write_bytes(content.encode("latin-1"))
    with pytest.raises(EngineError, match=r"model\.json cannot be read .* Rebuild: unetplus-export"):
        read_plan(path)


def test_a_plan_that_is_not_there_is_refused_with_what_builds_it():
    with pytest.raises(EngineError, match=r"is not there\. Build it: unetplus-export BUNDLE --target trt"):
        read_plan(plan_path("0" * 64))


SAME = Flavour("tensorrt", "10.3.0.30", None)


@pytest.mark.parametrize(
    ("changes", "flavour", "gpu"),
    [
        ({}, SAME, ORIN),
        ({"gpu": "portable", "compute_capability": None}, SAME, ORIN),
        ({"flags": ("hardware:ampere+",)}, SAME, Gpu("NVIDIA H100", "9.0")),
        ({"flags": ("hardware:same-capability",)}, SAME, Gpu("Orin Nano", "8.7")),
        ({"flags": ("version-compatible",)}, Flavour("tensorrt", "11.4.0.106", None), ORIN),
    ],
    ids=["same", "portable", "ampere+", "same capability", "version-compatible"],
)
def test_a_plan_may_be_used_where_it_was_built_for(changes, flavour, gpu):
    require_usable(Path("model.plan"), made(**changes), flavour, gpu)


@pytest.mark.parametrize(
    ("changes", "flavour", "gpu"),
    [
        ({}, Flavour("tensorrt", "10.3.0.26", None), ORIN),
        ({}, Flavour("tensorrt_rtx", "10.3.0.30", None), ORIN),
        ({}, SAME, Gpu("Orin Nano", "8.7")),
        ({"flags": ("hardware:same-capability",)}, SAME, Gpu("NVIDIA H100", "9.0")),
        ({"flags": ("hardware:ampere+",)}, SAME, Gpu("Tesla T4", "7.5")),
        ({"flags": ("version-compatible",)}, Flavour("tensorrt", "8.6.1", None), ORIN),
    ],
    ids=["other build", "other library", "other model", "other capability", "older GPU", "older version"],
)
def test_a_plan_may_not_be_used_elsewhere(changes, flavour, gpu):
    with pytest.raises(EngineError, match="Rebuild: unetplus-export BUNDLE --target trt"):
        require_usable(Path("model.plan"), made(**changes), flavour, gpu)


def test_a_mismatch_names_both_versions_and_both_gpus():
    here = Flavour("tensorrt", "11.4.0.106", None)
    with pytest.raises(EngineError) as refused:
        require_usable(Path("cache/model.plan"), made(), here, Gpu("NVIDIA H100", "9.0"))
    assert str(refused.value) == (
        "model.plan was built by TensorRT 10.3.0.30 for sm_87; this machine has TensorRT 11.4.0.106 and sm_90. "
        "Rebuild: unetplus-export BUNDLE --target trt"
    )


def test_two_models_of_one_architecture_are_named_by_their_names():
    with pytest.raises(EngineError, match=r"for Orin \(sm_87\); this machine has .* and Orin Nano \(sm_87\)"):
        require_usable(Path("model.plan"), made(), SAME, Gpu("Orin Nano", "8.7"))


def test_timings_are_kept_apart_by_version_and_gpu(cache):
    first, second = timings_path(SAME, ORIN), timings_path(SAME, Gpu("Orin Nano", "8.7"))
    assert first == cache / "timings" / "tensorrt-10.3.0.30-orin-sm-87.cache"
    assert first != second


def test_the_cache_is_where_the_desktop_standard_has_it(monkeypatch):
    monkeypatch.delenv("UNETPLUS_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert cache_folder() == Path("/somewhere/unetplus-edge")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path.home() / ".cache" / "unetplus-edge"
