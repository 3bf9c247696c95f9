"""Results made of logs of trtexec; the logs are in data/, with a note on their format."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from unetplus_bench.boards.trtexec import import_trtexec
from unetplus_bench.boards.trtexec_log import read_trtexec_log
from unetplus_edge.errors import InputError
from unetplus_edge.zoo import find_bundle

if TYPE_CHECKING:
    from collections.abc import Callable

    from unetplus_bench.results import BenchmarkResult

    Changed = Callable[..., Path]

DATA = Path(__file__).parent / "data"
NANO = DATA / "trtexec_8.2_nano.log"
XAVIER = DATA / "trtexec_8.5_xavier_engine.log"
PASCAL = DATA / "trtexec_8.6_1080ti_int8.log"
ORIN_10 = DATA / "trtexec_10.3_orin_fp16.log"
ORIN_11 = DATA / "trtexec_11.4_orin_fp16.log"
LOGS = [NANO, XAVIER, PASCAL, ORIN_10, ORIN_11]


def imported(path: Path, **options: object) -> BenchmarkResult:
    return import_trtexec(read_trtexec_log(path), "unetplus-bench import-trtexec LOG", **options)


@pytest.fixture
def changed(tmp_path: Path) -> Changed:
    """A log in which some words stand in place of others."""

    def change(path: Path, *pairs: tuple[str, str]) -> Path:
        text = path.read_text()
        for old, new in pairs:
            assert old in text
            text = text.replace(old, new)
        other = tmp_path / path.name
        other.write_text(text)
        return other

    return change


@pytest.mark.parametrize(
    ("path", "version", "gpu", "capability"),
    [
        (NANO, "8.2.1", "NVIDIA Tegra X1", "5.3"),
        (XAVIER, "8.5.2", "Xavier", "7.2"),
        (PASCAL, "8.6.1", "NVIDIA GeForce GTX 1080 Ti", "6.1"),
        (ORIN_10, "10.3.0", "Orin", "8.7"),
        (ORIN_11, "11.4.1", "Orin", "8.7"),
    ],
    ids=lambda value: value.name if isinstance(value, Path) else "",
)
def test_version_and_device_are_as_the_log_says(path: Path, version: str, gpu: str, capability: str) -> None:
    result = imported(path)
    assert {row.library for row in result.rows} == {f"tensorrt {version}"}
    assert {row.device for row in result.rows} == {gpu}
    assert result.device["gpus"] == [{"name": gpu, "compute_capability": capability}]
    assert result.device["libraries"] == {"tensorrt": version}


@pytest.mark.parametrize(
    ("path", "batch", "net", "copies"),
    [
        (NANO, 1, [80.0, 82.0, 80.5, 80.25, 81.75], [80.25, 82.25, 80.75, 80.5, 82.0]),
        (XAVIER, 4, [7.6, 9.6, 8.4, 8.0, 8.8, 9.2, 9.52], [8.0, 10.0, 8.8, 8.4, 9.2, 9.6, 9.92]),
        (PASCAL, 8, [3.75, 5.5, 4.1, 4.0, 4.5, 4.75, 5.25], [4.25, 6.0, 4.6, 4.5, 5.0, 5.25, 5.75]),
        (ORIN_10, 1, [1.375, 2.875, 1.575, 1.5, 1.675, 1.875, 2.375], [1.5, 3.0, 1.7, 1.625, 1.8, 2.0, 2.5]),
        (ORIN_11, 1, [1.125, 2.0, 1.26, 1.25, 1.5, 1.625, 1.75], None),
    ],
    ids=lambda value: value.name if isinstance(value, Path) else "",
)
def test_times_are_those_of_the_log_divided_by_the_batch(
    path: Path, batch: int, net: list[float], copies: list[float] | None
) -> None:
    result = imported(path)
    percents = ["p99"] if len(net) == 5 else ["p90", "p95", "p99"]
    expected = {
        scope: dict(zip(["min", "max", "mean", "p50", *percents], (time / batch for time in times), strict=True))
        for scope, times in (("net", net), ("net+copies", copies))
        if times
    }
    assert {row.scope: row.summary for row in result.rows} == expected
    assert {row.batch for row in result.rows} == {batch}


def test_a_log_without_copies_has_no_time_with_copies() -> None:
    assert "Data transfers: Disabled" in ORIN_11.read_text()
    assert [row.scope for row in imported(ORIN_11).rows] == ["net"]


@pytest.mark.parametrize(
    ("path", "executed"),
    [(NANO, "fp32"), (XAVIER, None), (PASCAL, "int8"), (ORIN_10, None), (ORIN_11, "fp16")],
    ids=lambda value: value.name if isinstance(value, Path) else str(value),
)
def test_the_precision_is_what_the_log_shows_and_none_where_it_does_not(path: Path, executed: str | None) -> None:
    assert {row.executed_precision for row in imported(path).rows} == {executed}


def test_what_a_loaded_engine_computes_in_is_not_what_trtexec_would_build_with() -> None:
    assert "Precision: FP32\n" in XAVIER.read_text()
    (reason,) = [warning for warning in imported(XAVIER).warnings if "does not show" in warning]
    assert "--dumpLayerInfo" in reason


@pytest.mark.parametrize(
    ("kernel", "flag", "executed"),
    [
        ("sm80_xmma_fprop_implicit_gemm_tf32f32_tf32f32", "--fp16", "tf32"),
        ("sm80_xmma_fprop_implicit_gemm_f32f32", "--fp16", None),
        ("sm80_xmma_fprop_implicit_gemm_f32f32", "--noTF32", "fp32"),
    ],
)
def test_float32_is_told_from_tf32_only_where_the_log_can(
    changed: Changed, kernel: str, flag: str, executed: str | None
) -> None:
    layer = (
        "Layers:\nName: c1_0_conv, LayerType: CaskConvolution, Inputs: [ { Name: x, Dimensions: [1,1,256,256], "
        "Format/Datatype: Row major linear FP32 }], Outputs: [ { Name: y, Dimensions: [1,8,256,256], Format/Datatype: "
        'Row major linear FP32 }], ParameterType: Convolution, Weights: {"Type": "Float", "Count": 72}, '
        f"TacticName: {kernel}, TacticValue: 0x1\n"
    )
    begin = "[07/17/2026-10:00:00] [I] Using random values"
    path = changed(ORIN_10, (begin, f"[07/17/2026-10:00:00] [I] {layer}{begin}"), ("--fp16", flag))
    assert imported(path).rows[0].executed_precision == executed


def test_fp32_alone_may_still_be_rounded_on_a_gpu_with_tf32(changed: Changed) -> None:
    rounded = changed(ORIN_10, ("FP32+FP16", "FP32"), ("--fp16 ", ""))
    assert imported(rounded).rows[0].executed_precision is None
    exact = changed(ORIN_10, ("FP32+FP16", "FP32"), ("--fp16", "--noTF32"))
    assert imported(exact).rows[0].executed_precision == "fp32"


def test_a_bundle_tells_the_network_and_the_precision_of_its_file() -> None:
    bundle = find_bundle("unet_plus_tc_b8")
    (row, _) = imported(PASCAL, bundle=bundle).rows
    assert row.network is not None
    assert (row.network.name, row.network.base_filters) == ("unet_plus_tc_b8", 8)
    assert row.stored_precision == "int8"
    file = bundle.path / "exports" / "model_int8.onnx"
    assert (row.file_bytes, row.file_sha256) == (file.stat().st_size, hashlib.sha256(file.read_bytes()).hexdigest())


def test_without_a_bundle_the_network_stays_unknown() -> None:
    assert {(row.network, row.stored_precision) for row in imported(NANO).rows} == {(None, None)}


def test_a_bundle_without_the_file_is_refused(changed: Changed) -> None:
    path = changed(NANO, ("model_fp32.onnx", "other.onnx"))
    with pytest.raises(InputError, match=r"no ONNX file other\.onnx, only model_fp32\.onnx"):
        imported(path, bundle=find_bundle("unet_plus_tc_b8"))


def test_the_board_is_called_as_the_user_calls_it() -> None:
    assert imported(ORIN_10, device="Jetson Orin Nano").device["name"] == "Jetson Orin Nano"


def test_no_folder_of_the_board_is_in_the_result() -> None:
    assert "/home" not in imported(NANO).model_dump_json()


def test_the_times_of_a_run_are_those_of_its_first_and_last_line(changed: Changed) -> None:
    path = changed(NANO, ("[07/14/2026-10:00:00] [I] Explanations", "[07/14/2026-10:03:21] [I] Explanations"))
    text = path.read_text()
    path.write_text(re.sub(r"\[07/14/2026-10:00:00\] \[I\] \n&&&& PASSED", "&&&& PASSED", text))
    result = imported(path)
    assert (result.began, result.ended) == ("2026-07-14T10:00:00", "2026-07-14T10:03:21")


def test_what_trtexec_warns_of_is_kept() -> None:
    assert imported(XAVIER).warnings[0] == "GPU compute time is unstable, with coefficient of variance = 5.55763%."


def test_several_streams_are_warned_of() -> None:
    assert any("2 calls shared the GPU" in warning for warning in imported(ORIN_10).warnings)


def test_a_log_from_windows_reads_the_same(tmp_path: Path) -> None:
    path = tmp_path / PASCAL.name
    path.write_bytes(PASCAL.read_bytes().replace(b"\n", b"\r\n"))
    assert imported(path) == imported(PASCAL)


@pytest.mark.parametrize("path", LOGS, ids=lambda path: path.name)
def test_a_log_that_ends_anywhere_before_its_end_is_refused(path: Path, tmp_path: Path) -> None:
    lines = path.read_text().splitlines(keepends=True)
    cut = tmp_path / path.name
    for kept in range(0, len(lines), 7):
        cut.write_text("".join(lines[:kept]))
        with pytest.raises(InputError, match="keep"):
            read_trtexec_log(cut)


def test_a_failed_run_is_refused_with_its_reason() -> None:
    with pytest.raises(InputError, match="Unknown option: --fp16"):
        read_trtexec_log(DATA / "trtexec_11.1_failed.log")


def test_several_runs_in_a_file_are_refused(tmp_path: Path) -> None:
    both = tmp_path / "both.log"
    both.write_text(NANO.read_text() + XAVIER.read_text())
    with pytest.raises(InputError, match="several runs"):
        read_trtexec_log(both)


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("=== Performance summary ===", "The e2e network timing is not reported since it is inaccurate", "dumpProfile"),
        ("=== Performance summary ===", "Skipped inference phase since --skipInference is added.", "nothing was timed"),
    ],
)
def test_a_run_that_timed_nothing_is_refused(tmp_path: Path, old: str, new: str, complaint: str) -> None:
    path = tmp_path / "nothing.log"
    lines = NANO.read_text().replace(old, new).splitlines(keepends=True)
    path.write_text("".join(line for line in lines if "min = " not in line))
    with pytest.raises(InputError, match=complaint):
        read_trtexec_log(path)


def test_a_network_of_two_inputs_is_refused(changed: Changed) -> None:
    line = "[07/14/2026-10:00:00] [I] Created input binding for image with dimensions 1x256x256x1\n"
    path = changed(NANO, (line, line + line.replace("image", "mask")))
    with pytest.raises(InputError, match="2 inputs"):
        read_trtexec_log(path)


def test_a_network_that_takes_no_patches_is_refused(changed: Changed) -> None:
    path = changed(NANO, ("binding for image with dimensions 1x256x256x1", "binding for x with dimensions 1x3x224x224"))
    with pytest.raises(InputError, match="1x3x224x224"):
        imported(path)


@pytest.mark.parametrize("content", [b"", b"hello\n", b"\x00\xff" * 100])
def test_what_is_no_log_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "no.log"
    path.write_bytes(content)
    with pytest.raises(InputError, match="no log of trtexec"):
        read_trtexec_log(path)


def test_a_log_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_trtexec_log(tmp_path / "none.log")
