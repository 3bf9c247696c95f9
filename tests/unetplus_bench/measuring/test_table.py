"""What is printed of a result."""

from __future__ import annotations

from typing import Any

import pytest
from rich.console import Console

from unetplus_bench.measuring.table import article_note, result_tables
from unetplus_bench.results import AccuracyRecord, BenchmarkResult, CameraRecord, NetworkRecord, Row

NETWORK = NetworkRecord(name="unet_plus_tc_b16", base_filters=16, weights=1_927_025, macs=4_920_000_000)
SCORES = (AccuracyRecord(images="validation_images", average_iou=0.721, kaggle_score=0.568),)


def row(name: str, rounds: Any = ((0.004, 0.004), (0.004, 0.004)), **facts: Any) -> Row:
    return Row(
        **{
            "name": name,
            "scope": "net",
            "engine": "openvino",
            "network": NETWORK,
            "executed_precision": "int8",
            "rounds": rounds,
            **facts,
        }
    )


def printed(*rows: Row, **facts: Any) -> str:
    device = {"cpu": {"model": "Intel N100", "cores": {"usable": 4}}}
    result = BenchmarkResult(command="unetplus-bench", began="", ended="", device=device, rows=rows, **facts)
    console = Console(width=250, record=True, file=open("/dev/null", "w"))  # noqa: PTH123, SIM115
    console.print(result_tables(result))
    console.file.close()
    return console.export_text()


def line(text: str, start: str) -> str:
    return next(one for one in text.splitlines() if one.startswith(start))


def test_a_row_has_its_time_beside_its_accuracy_and_the_articles_figure() -> None:
    text = printed(row("ours", accuracy=SCORES))
    found = line(text, "1  ours")
    assert all(cell in found for cell in ("4.00", "about 15", "0.568", "0.721"))


def test_a_row_without_scores_says_so() -> None:
    assert "not scored" in line(printed(row("ours")), "1  ours")


def test_a_row_that_failed_says_why() -> None:
    text = printed(row("ours"), row("theirs", None, error="its process was ended by SIGSEGV"))
    assert "failed" in line(text, "2  theirs")
    assert "not measured: 2 theirs: its process was ended by SIGSEGV" in text


def test_unsteady_times_are_marked() -> None:
    assert "⚠" not in printed(row("ours"))
    text = printed(row("ours", ((0.004, 0.005), (0.004, 0.004))))
    assert "⚠" in line(text, "1  ours")
    assert "vary by more than 2.5%" in text


def test_without_keras_one_line_says_that_there_are_no_ratios() -> None:
    assert printed(row("ours"), row("other")).count("there are no ratios to Keras") == 1
    text = printed(row("ours"), row("keras", ((0.008,), (0.008,)), engine="keras"))
    assert "there are no ratios" not in text
    assert "0.500" in line(text, "1  ours")


def test_what_all_names_begin_with_is_said_once() -> None:
    text = printed(row("unet_b8 openvino onnx int8"), row("unet_b8 openvino int8"), row("unet_b8 keras"))
    assert text.splitlines()[0] == "Intel N100, 4 cores · unet_b8 "
    assert [line(text, f"{number}  ").split()[1] for number in (1, 2, 3)] == ["openvino", "openvino", "keras"]
    # The last word of a name is its own, also where all names are the same but for it.
    text = printed(row("unet_b8 openvino int8"), row("unet_b8 openvino fp32"))
    assert line(text, "1  ").split()[1] == "int8"


def test_scopes_are_not_in_one_table() -> None:
    text = printed(row("ours"), row("whole", scope="frame", frame_shape=(64, 96)))
    assert text.index("ms a patch") < text.index("1  ours") < text.index("ms a frame") < text.index("2  whole")


def test_a_camera_has_its_rate_what_was_achieved_and_why_frames_were_dropped() -> None:
    record = CameraRecord(rate=10, seconds=4, processed=26, dropped={"newest_only": 12, "failed": 1})
    text = printed(row("served", ((0.08, 0.09),), scope="camera", frame_shape=(64, 96), camera=record))
    found = line(text, "1  served")
    assert all(cell in found for cell in ("10.0", "6.5", "13 of 39 (1 failed, 12 newest_only)"))
    assert "⚠" not in text


def test_warnings_are_told() -> None:
    assert "⚠ the CPU governor is powersave" in printed(row("ours"), warnings=("the CPU governor is powersave",))


@pytest.mark.parametrize("name", ["unet_plus_tc_b16", "another"])
def test_below_the_articles_figures_it_is_said_what_is_compared(name: str) -> None:
    rows = (row("ours", network=NETWORK.model_copy(update={"name": name})),)
    text = printed(*rows)
    assert ("GTX 1080 Ti" in text) == (name == "unet_plus_tc_b16")


def test_no_processor_is_called_faster_than_the_articles_gpu() -> None:
    result = BenchmarkResult(command="", began="", ended="", device={"cpu": {"model": "Intel N100"}}, rows=())
    note = article_note(result, [row("ours")])
    assert "GTX 1080 Ti, FP32, Keras 2.2.4" in note
    assert "Intel N100" in note
    assert "int8" in note
    assert "not that its processor is the faster one" in note
