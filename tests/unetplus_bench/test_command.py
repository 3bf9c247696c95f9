"""`unetplus-bench` on a tiny network."""

from __future__ import annotations

import json
import statistics
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result

from unetplus_bench.command import main
from unetplus_bench.results import BenchmarkResult, read_result
from unetplus_bench.statistics import ratio_to_reference, reference_of
from unetplus_edge.architecture_cost import architecture_cost
from unetplus_edge.errors import DataSetError, EngineError, InputError
from unetplus_edge.zoo import find_bundle

if TYPE_CHECKING:
    from pathlib import Path

    from unetplus_edge.bundle import Bundle

QUICK = ("--rounds", "2", "--seconds", "0.01")


def bench(*arguments: object) -> Result:
    return CliRunner().invoke(main, [*map(str, arguments)])


def test_a_row_is_measured_with_all_that_it_is_of(bundle: Bundle, tmp_path: Path) -> None:
    out = tmp_path / "here.json"
    arguments = ("--engine", "litert", "--batch", "2", "--threads", "1", "--out", out, "--json")
    result = bench("run", "--bundle", bundle.path, *arguments, *QUICK)
    assert result.exit_code == 0, result.output
    measured = BenchmarkResult.model_validate_json(result.stdout)
    assert measured == read_result(out)
    assert f"--bundle {bundle.path}" in measured.command
    (row,) = measured.rows
    assert (row.name, row.scope, row.batch, row.threads) == ("tiny litert fp32, batch 2, 1 thread", "net", 2, 1)
    assert (row.stored_precision, row.executed_precision, row.device, row.verified) == ("fp32", "fp32", "cpu", True)
    assert row.network is not None
    cost = architecture_cost(bundle.manifest.recipe.architecture, 64)
    assert (row.network.weights, row.network.macs) == (cost.weights, cost.macs)
    assert row.library is not None
    assert row.library.startswith("ai-edge-litert ")
    assert row.rounds is not None
    assert len(row.rounds) == 2
    assert None not in (row.load_seconds, row.first_seconds, row.peak_memory)
    (accuracy,) = row.accuracy
    assert (accuracy.average_iou, accuracy.kaggle_score) == (pytest.approx(0.79), pytest.approx(0.68))
    assert measured.device["cpu"]
    assert measured.device["after"]["load"]


def test_a_frame_is_measured_by_stage(bundle: Bundle) -> None:
    result = bench(
        "--bundle", bundle.path, "--engine", "litert", "--scope", "frame", "--frame", "70x90", "--json", *QUICK
    )
    assert result.exit_code == 0, result.output
    (row,) = BenchmarkResult.model_validate_json(result.stdout).rows
    assert (row.scope, row.frame_shape) == ("frame", (70, 90))
    assert [*row.stages] == ["preprocess", "patches", "engine", "stitch", "postprocess", "measure"]
    assert row.rounds is not None
    whole = statistics.median(seconds for times in row.rounds for seconds in times)
    assert 0 < sum(row.stages.values()) < 2 * whole


def test_times_stand_beside_keras_in_the_same_run_and_what_fails_says_why(bundle: Bundle, tmp_path: Path) -> None:
    out = tmp_path / "here.json"
    result = bench("--bundle", bundle.path, "--engine", "keras,litert,tensorrt", "--out", out, *QUICK)
    assert result.exit_code == 0, result.output
    measured = read_result(out)
    assert measured.reference == "tiny keras fp32"
    keras, litert, tensorrt = measured.rows
    assert reference_of(litert, measured.rows) == keras
    ratio = ratio_to_reference(litert, keras)
    assert ratio is not None
    lines = result.stdout.splitlines()
    assert "1.000" in next(line for line in lines if line.startswith("1  keras fp32"))
    assert f"{ratio:,.3f}" in next(line for line in lines if line.startswith("2  litert fp32"))
    assert "failed" in next(line for line in lines if line.startswith("3  tensorrt"))
    assert f"not measured: 3 tiny tensorrt: {tensorrt.error}" in result.stdout.replace("\n", " ")


def test_where_nothing_can_be_measured_the_command_fails_with_the_reasons(bundle: Bundle) -> None:
    result = bench("--bundle", bundle.path, "--engine", "tensorrt", *QUICK)
    assert result.exit_code == EngineError.exit_code
    assert "not measured: 1 tiny tensorrt" in result.stdout
    assert "error: nothing could be measured: tiny tensorrt: " in result.stderr


def test_quiet_prints_nothing(bundle: Bundle) -> None:
    result = bench("--bundle", bundle.path, "--engine", "litert", "--quiet", *QUICK)
    assert (result.exit_code, result.output) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--engine", "litert,onnx"), "onnx is none of litert, onnxruntime"),
        (("--precision", "fp8"), "fp8 is none of fp32"),
        (("--batch", "1,0"), "0 is no number from 1"),
        (("--frame", "1024"), "1024 is no height x width"),
        (("--scope", ""), "nothing is none of net"),
    ],
)
def test_a_list_with_something_else_in_it_is_refused(arguments: tuple[str, str], words: str) -> None:
    result = bench("run", *arguments)
    assert result.exit_code == 2
    assert words in result.stderr


def test_the_articles_protocol_needs_the_test_images(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UNETPLUS_DATA", raising=False)
    result = bench("--protocol", "article")
    assert result.exit_code == DataSetError.exit_code
    assert "set UNETPLUS_DATA" in result.stderr


@pytest.mark.parametrize("option", [("--batch", "4"), ("--scope", "frame"), ("--rounds", "2"), ("--seconds", "1")])
def test_the_articles_protocol_is_not_changed(option: tuple[str, str]) -> None:
    result = bench("--protocol", "article", *option)
    assert result.exit_code == InputError.exit_code
    assert "or the protocol" in result.stderr


def test_the_articles_protocol_is_for_the_articles_patches(bundle: Bundle) -> None:
    result = bench("--protocol", "article", "--bundle", bundle.path)
    assert result.exit_code == InputError.exit_code
    assert "patches of 64 x 64 pixels, the article 256" in result.stderr


@pytest.mark.slow
def test_the_articles_protocol_times_every_patch_five_times_and_scores_the_same_images(
    data_root: Path, tmp_path: Path
) -> None:
    out = tmp_path / "article.json"
    arguments = ("--protocol", "article", "--engine", "litert", "--precision", "fp32", "--out", out)
    result = bench(*arguments)
    assert result.exit_code == 0, result.output
    (row,) = read_result(out).rows
    assert row.rounds is not None
    assert [len(times) for times in row.rounds] == [174] * 5
    (known,) = (
        record.scores
        for record in find_bundle().manifest.scores
        if (record.images, record.engine) == ("test_images", "litert")
    )
    (accuracy,) = row.accuracy
    assert accuracy.images == "test_images"
    assert accuracy.kaggle_score == pytest.approx(known["kaggle_score"], abs=1e-6)
    assert "GTX 1080 Ti" in result.stdout


def test_all_commands_are_there() -> None:
    assert {"run", "compare", "report", "import-trtexec", "bound", "roofline"} <= {*main.commands}
    for name in main.commands:
        assert bench(name, "--help").exit_code == 0


def test_json_is_all_that_is_printed(bundle: Bundle) -> None:
    result = bench("--bundle", bundle.path, "--engine", "litert", "--json", *QUICK)
    assert json.loads(result.stdout)["rows"]


def test_the_order_of_lists_does_not_repeat_what_is_named_twice(bundle: Bundle) -> None:
    result = bench("--bundle", bundle.path, "--engine", "litert,litert", "--batch", "1,1", "--json", *QUICK)
    rows: list[Any] = json.loads(result.stdout)["rows"]
    assert len(rows) == 1
