"""Engines really built by TensorRT-RTX, which needs no GPU for it; nothing here runs one."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from unetplus_edge.architectures import UNetPlus
from unetplus_edge.errors import ConversionError, EngineError, OutputError
from unetplus_edge.files import sha256_of
from unetplus_edge.manifest import ConversionRecord
from unetplus_export.conversion import Request
from unetplus_export.onnx import convert_onnx
from unetplus_export.trt import BuildOptions, build_plan
from unetplus_runtime.engines.gpu import Gpu, find_gpu
from unetplus_runtime.engines.plan_cache import read_plan
from unetplus_runtime.engines.tensorrt_flavour import find_flavour, installed_module

if installed_module("tensorrt_rtx") is None:
    pytest.skip("needs the trt-rtx extra", allow_module_level=True)

try:
    find_gpu()
    HAS_GPU = True
except EngineError:
    HAS_GPU = False

RTX = BuildOptions(flavour="tensorrt_rtx")


@pytest.fixture(autouse=True)
def _no_gpu(monkeypatch):
    """These are the promises for a machine without a GPU, wherever they are tried."""

    def none():
        raise EngineError("there is no NVIDIA driver here; use another machine")

    monkeypatch.setattr("unetplus_export.trt.build.find_gpu", none)


@pytest.mark.parametrize(
    ("precision", "remainder", "source", "proven"),
    [
        ("fp32", None, "fp32", 4),
        ("tf32", None, "fp32", 4),
        ("fp16", None, "fp16", 4),
        ("int8", "fp32", "int8", 3),
        ("int8", "fp16", "int8", 3),
    ],
)
def test_an_engine_is_built_and_its_precision_proven_without_a_gpu(make_onnx, precision, remainder, source, proven):
    file, onnx = make_onnx(source, remainder=remainder)
    plan = build_plan(file, onnx, precision, RTX)
    record = plan.record
    assert plan.path.stat().st_size > 100_000
    assert len(plan.evidence.proven) == proven
    assert record.precision_evidence == "network"
    assert record == read_plan(plan.path)
    assert (record.precision, record.onnx_file, record.onnx_sha256) == (precision, onnx.file, onnx.sha256)
    assert (record.flavour, record.version) == ("tensorrt_rtx", find_flavour("tensorrt_rtx").version)
    assert (record.gpu, record.compute_capability) == ("portable", None)
    assert (record.batches, record.patch_side, record.sha256) == ((1, 8, 16), 32, sha256_of(plan.path))


@pytest.mark.parametrize("layer", ["c1_0_conv", "u1_a_conv", "probability"])
def test_convolutions_that_an_fp16_file_keeps_in_float32_are_stated_not_proven(
    make_network, make_bundle, tmp_path, layer
):
    bundle = make_bundle(make_network(UNetPlus(base_filters=2, depth=2)), tmp_path / "bundle")
    file = tmp_path / "model_fp16.onnx"
    said = convert_onnx(Request(bundle, "fp16", 32, keep=(layer,)), file)
    record = ConversionRecord(
        file=f"exports/{file.name}",
        sha256=sha256_of(file),
        target="onnx",
        stored_precision="fp16",
        higher_precision=said.higher_precision,
    )
    evidence = build_plan(file, record, "fp16", RTX).evidence
    assert [name for name in evidence.kept if layer in name] == list(evidence.kept)
    assert len(evidence.kept) == 1
    assert len(evidence.proven) == said.operators["Conv"] + said.operators["ConvTranspose"] - 1
    with pytest.raises(ConversionError, match=f"is not fp16: 1 of its .* convolutions are not .*{layer}"):
        build_plan(file, record.model_copy(update={"higher_precision": ()}), "fp16", RTX)


def test_nothing_is_said_to_have_run_that_did_not(make_onnx):
    verification = build_plan(*make_onnx("fp16"), "fp16", RTX).record.verification
    assert not verification.verified
    assert verification.reason == "it was never run, since no GPU here can"
    assert (verification.parity, verification.score_drop) == (None, None)


def test_the_same_engine_is_built_once(make_onnx):
    file, onnx = make_onnx()
    first, again = build_plan(file, onnx, "fp32", RTX), build_plan(file, onnx, "fp32", RTX)
    assert (first.reused, again.reused) == (False, True)
    assert (again.path, again.record) == (first.path, first.record)


def test_a_damaged_engine_is_built_again(make_onnx):
    file, onnx = make_onnx()
    path = build_plan(file, onnx, "fp32", RTX).path
    path.write_bytes(b"damaged")
    assert not build_plan(file, onnx, "fp32", RTX).reused
    read_plan(path)


def test_other_options_make_another_engine(make_onnx):
    file, onnx = make_onnx()
    plans = [
        build_plan(file, onnx, "fp32", options)
        for options in (
            RTX,
            BuildOptions(flavour="tensorrt_rtx", batches=(1, 1, 4)),
            BuildOptions(flavour="tensorrt_rtx", workspace_mib=64),
        )
    ]
    assert len({plan.record.key for plan in plans}) == 3
    assert plans[1].record.batches == (1, 1, 4)
    assert plans[2].record.flags == ("workspace:64MiB",)


def test_a_file_for_one_number_of_patches_makes_an_engine_for_it(make_onnx):
    file, onnx = make_onnx(batch=2)
    assert build_plan(file, onnx, "fp32", RTX).record.batches == (2, 2, 2)
    with pytest.raises(ConversionError, match="takes 2 patches a call; leave the batch out"):
        build_plan(file, onnx, "fp32", BuildOptions(flavour="tensorrt_rtx", batches=(1, 8, 16)))


@pytest.mark.parametrize("batches", [(0, 1, 2), (2, 1, 4), (1, 8, 4)])
def test_batches_out_of_order_are_refused(make_onnx, batches):
    with pytest.raises(ConversionError, match="are no batches; give the smallest, the usual, the largest"):
        build_plan(*make_onnx(), "fp32", BuildOptions(flavour="tensorrt_rtx", batches=batches))


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_a_float32_graph_labelled_otherwise_is_refused(make_onnx, cache, precision):
    file, onnx = make_onnx("fp32", label=precision)
    with pytest.raises(ConversionError, match=rf"is not {precision}: 4 of its 4 convolutions are not \(first, down"):
        build_plan(file, onnx, precision, RTX)
    assert not cache.exists()


def test_a_bias_in_int32_and_an_unknown_operator_are_refused(make_onnx, cache):
    with pytest.raises(ConversionError, match=r"DequantizeLinear first\.bias\.dq: .*Int32"):
        build_plan(*make_onnx("int8", int32_bias=True), "int8", RTX)
    with pytest.raises(ConversionError, match="Frobnicate odd: "):
        build_plan(*make_onnx(unknown=True), "fp32", RTX)
    assert not cache.exists()


@pytest.mark.parametrize(("stored", "asked"), [("fp32", "fp16"), ("fp16", "fp32"), ("fp16", "int8"), ("fp16", "bf16")])
def test_a_file_in_another_precision_than_asked_for_is_refused(make_onnx, stored, asked):
    with pytest.raises(ConversionError, match=f"is in {stored}; for {asked} give"):
        build_plan(*make_onnx(stored), asked, RTX)


def test_a_file_that_is_not_that_of_its_record_is_refused(make_onnx):
    file, onnx = make_onnx()
    file.write_bytes(file.read_bytes()[:-7])
    with pytest.raises(ConversionError, match="is not the file of its record"):
        build_plan(file, onnx, "fp32", RTX)


def test_what_tensorrt_rtx_does_not_offer_is_refused(make_onnx):
    with pytest.raises(ConversionError, match="runs plans of its own version alone; leave version-compatible out"):
        build_plan(*make_onnx(), "fp32", BuildOptions(flavour="tensorrt_rtx", version_compatible=True))
    with pytest.raises(ConversionError, match=r"has no hardware compatibility ampere\+; ask for none"):
        build_plan(*make_onnx(), "fp32", BuildOptions(flavour="tensorrt_rtx", hardware="ampere+"))


def test_a_tensorrt_that_is_not_installed_is_named(make_onnx, monkeypatch):
    monkeypatch.setattr("unetplus_runtime.engines.tensorrt_flavour.find_spec", lambda name: None)
    with pytest.raises(ConversionError, match=r"TensorRT-RTX is not installed; run: pip install"):
        build_plan(*make_onnx(), "fp32", RTX)


def test_a_full_disk_leaves_nothing_in_the_cache(make_onnx, cache, monkeypatch):
    write = Path.write_bytes

    def full(self, content):
        if cache in self.parents:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(self, content)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OutputError, match=r"\(No space left on device\); free the disk"):
        build_plan(*make_onnx(), "fp32", RTX)
    assert [path for path in cache.rglob("*") if path.is_file()] == []


@pytest.mark.skipif(HAS_GPU, reason="there is a GPU")
def test_a_builder_that_gives_up_says_why(make_onnx, monkeypatch):
    # A GPU is promised that is not there, so that the builder cannot ask it what it is.
    monkeypatch.setattr("unetplus_export.trt.build.find_gpu", lambda: Gpu("NVIDIA GeForce RTX 3090", "8.6"))
    with pytest.raises(ConversionError, match=r"cannot build model_fp32\.onnx in fp32 \(.*CUDA driver"):
        build_plan(*make_onnx(), "fp32", RTX)


@pytest.mark.parametrize(
    ("precision", "remainder", "built", "widened"),
    [
        ("fp32", None, 4, ()),
        ("fp16", None, 4, ()),
        # TensorRT-RTX has no transposed convolutions in int8.
        ("int8", "fp32", 2, ("up: fp32",)),
        ("int8", "fp16", 2, ("up: fp16",)),
    ],
)
def test_what_was_built_is_in_the_precision_too_by_the_builders_own_report(
    make_onnx, precision, remainder, built, widened
):
    plan = build_plan(*make_onnx(precision, remainder=remainder), precision, RTX)
    assert len(plan.built.proven) == built
    assert plan.built.widened == widened
    assert plan.record.verification.executed_precision == precision
    assert ("computes some of its convolutions otherwise (up" in plan.record.verification.reason) == bool(widened)


def test_an_int8_file_that_becomes_an_engine_in_float32_is_refused(make_onnx, cache):
    # By its network it is int8; but where the scale of an image is a list of one, the builder widens all of it.
    file, onnx = make_onnx("int8", vector_scale=True)
    with pytest.raises(
        ConversionError, match=r"the int8 engine of exports/.* is not int8: .*\(first: fp32, down: fp32"
    ):
        build_plan(file, onnx, "int8", RTX)
    assert not cache.exists()


def test_a_report_of_an_earlier_build_proves_nothing(make_onnx):
    build_plan(*make_onnx("fp16"), "fp16", RTX)
    plan = build_plan(*make_onnx("fp32"), "fp32", RTX)
    assert len(plan.built.proven) == 4
