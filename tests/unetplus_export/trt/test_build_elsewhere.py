"""What each TensorRT that is not here is told, by stand-ins with the flags that its version has and no others."""

from __future__ import annotations

import pytest

from unetplus_edge.errors import ConversionError, EngineError, OutputError
from unetplus_export.trt import BuildOptions, build_plan
from unetplus_runtime.engines.gpu import Gpu
from unetplus_runtime.engines.tensorrt_flavour import Flavour

ORIN, PASCAL, HOPPER = Gpu("Orin", "8.7"), Gpu("NVIDIA GeForce GTX 1080 Ti", "6.1"), Gpu("NVIDIA H100", "9.0")


@pytest.fixture
def here(fake_tensorrt, monkeypatch):
    """Puts a TensorRT of a version and a GPU into this machine."""

    def put(version, gpu):
        trt = fake_tensorrt(version)

        def find_gpu():
            if gpu is None:
                raise EngineError("there is no NVIDIA driver here")
            return gpu

        monkeypatch.setattr("unetplus_export.trt.build.find_flavour", lambda name: Flavour("tensorrt", version, trt))
        monkeypatch.setattr("unetplus_export.trt.build.find_gpu", find_gpu)
        return trt

    return put


WEAK = {"OBEY_PRECISION_CONSTRAINTS"}


@pytest.mark.parametrize(
    ("version", "gpu", "precision", "network_flags", "flags"),
    [
        ("8.6.1", PASCAL, "fp32", 1, WEAK),
        ("8.6.1", PASCAL, "int8", 1, {"INT8", *WEAK}),
        ("10.3.0.30", ORIN, "fp16", 0, {"FP16", *WEAK}),
        ("10.3.0.30", ORIN, "int8", 0, {"INT8", *WEAK}),
        ("10.13.3.9", HOPPER, "fp16", 2, set()),
        ("10.13.3.9", HOPPER, "int8", 2, set()),
        ("11.4.0.106", HOPPER, "fp16", 0, set()),
        ("11.4.0.106", HOPPER, "int8", 0, set()),
        ("11.4.0.106", HOPPER, "fp32", 0, set()),
    ],
)
def test_every_version_is_told_the_precision_in_its_own_way(
    here, make_onnx, version, gpu, precision, network_flags, flags
):
    trt = here(version, gpu)
    plan = build_plan(*make_onnx(precision), precision)
    assert (trt.told["network_flags"], trt.told["flags"]) == (network_flags, flags)
    assert trt.config.profiling_verbosity.name == "DETAILED"
    assert trt.told["shapes"] == ("image", (1, 32, 32, 1), (8, 32, 32, 1), (16, 32, 32, 1))
    record = plan.record
    assert (record.gpu, record.compute_capability, record.version) == (gpu.name, gpu.compute_capability, version)
    assert record.precision_evidence == "inspector"
    assert ("weakly-typed" in record.flags) == bool(flags)
    assert not record.verification.verified


@pytest.mark.parametrize("version", ["10.3.0.30", "11.4.0.106"])
@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_an_engine_that_turned_out_otherwise_is_refused_and_not_kept(here, make_onnx, cache, version, precision):
    trt = here(version, ORIN)
    trt.lies = True
    with pytest.raises(ConversionError, match=f"the {precision} engine of exports/.* is not {precision}: .*: fp32"):
        build_plan(*make_onnx(precision), precision)
    assert not (cache / "plans").exists()


def test_float16_is_refused_where_it_is_slower_than_float32(here, make_onnx):
    here("8.6.1", PASCAL)
    with pytest.raises(ConversionError, match="float16 arithmetic is slower than float32 on sm_61; ask for fp32 or"):
        build_plan(*make_onnx("fp16"), "fp16")


def test_a_gpu_that_the_version_does_not_run_on_is_refused(here, make_onnx):
    here("10.3.0.30", PASCAL)
    with pytest.raises(ConversionError, match=r"this GPU is sm_61; the last that did is TensorRT 8\.6\.1; see"):
        build_plan(*make_onnx(), "fp32")


def test_without_a_gpu_tensorrt_builds_nothing_and_says_who_does(here, make_onnx):
    here("11.4.0.106", None)
    with pytest.raises(ConversionError, match=r"builds engines on the GPU .* --trt-flavour tensorrt_rtx"):
        build_plan(*make_onnx(), "fp32")


def test_options_reach_the_builder_and_the_record(here, make_onnx):
    trt = here("11.4.0.106", HOPPER)
    options = BuildOptions(workspace_mib=512, version_compatible=True, hardware="ampere+")
    record = build_plan(*make_onnx(), "fp32", options).record
    assert trt.told["WORKSPACE"] == 512 * 1024 * 1024
    assert trt.told["flags"] == {"VERSION_COMPATIBLE"}
    assert trt.config.hardware_compatibility_level.name == "AMPERE_PLUS"
    assert record.flags == ("hardware:ampere+", "version-compatible", "workspace:512MiB")


def test_timings_are_kept_for_the_next_build(here, make_onnx, cache):
    trt = here("10.13.3.9", HOPPER)
    build_plan(*make_onnx(), "fp32")
    assert trt.told["timings"] == b""
    build_plan(*make_onnx("fp16"), "fp16")
    assert (trt.told["timings"], trt.told["ignore_mismatch"]) == (b"what was measured", False)
    assert len(list((cache / "timings").iterdir())) == 1
    build_plan(*make_onnx("int8"), "int8", BuildOptions(timings=False))
    assert trt.told["builds"] == 3


def test_timings_that_cannot_be_kept_are_an_error(here, make_onnx, cache):
    here("10.13.3.9", HOPPER)
    cache.mkdir()
    (cache / "timings").write_text("in the way")
    with pytest.raises(OutputError, match="name another cache in UNETPLUS_CACHE"):
        build_plan(*make_onnx(), "fp32")


def test_a_file_for_one_number_of_patches_needs_no_profile(here, make_onnx):
    trt = here("11.4.0.106", HOPPER)
    build_plan(*make_onnx(batch=2), "fp32")
    assert "profiles" not in trt.told
