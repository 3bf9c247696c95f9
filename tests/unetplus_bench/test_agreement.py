"""Our times beside the libraries' own tools."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from unetplus_bench.agreement import LiteRTBenchmarkSubject, compared, main, run_tool
from unetplus_bench.measuring.files import TimedFile, timed_files
from unetplus_bench.measuring.rounds import Measured
from unetplus_edge.errors import EngineError

if TYPE_CHECKING:
    from pathlib import Path

    from unetplus_edge.bundle import Bundle


def litert_file(bundle: Bundle) -> TimedFile:
    (file,) = timed_files(bundle, ("litert",), None)
    return file


@pytest.mark.parametrize(
    ("tool_seconds", "ratio", "agrees"), [(0.010, 1.0, True), (0.0089, 1.12, True), (0.0085, 1.18, False)]
)
def test_a_row_agrees_with_its_tool_if_they_differ_by_no_more_than_15_percent(
    bundle: Bundle, tool_seconds: float, ratio: float, agrees: bool
) -> None:
    ours = Measured(facts={"library": "ai-edge-litert 2"}, rounds=[[0.009, 0.010, 0.3], [0.010]])
    tool = Measured(facts={"library": "litert-benchmark"}, rounds=[[3.0]] * 2, stages={"tool": [tool_seconds] * 2})
    found = compared(bundle, "tiny", litert_file(bundle), 2, ours, tool)
    assert (found.ratio, found.agrees) == (pytest.approx(ratio, abs=0.01), agrees)
    assert found.ms == pytest.approx((10, 10))
    assert found.file == "exports/tiny.tflite"


def test_a_machine_that_slows_down_slows_both(bundle: Bundle) -> None:
    ours = Measured(facts={"library": "ours"}, rounds=[[0.010], [0.030], [0.090]])
    # Two runs of the tool fill its turn.
    tool = Measured(
        facts={"library": "its own"},
        rounds=[[1.0, 1.0]] * 3,
        stages={"tool": [0.009, 0.011, 0.029, 0.031, 0.088, 0.092]},
    )
    found = compared(bundle, "tiny", litert_file(bundle), 2, ours, tool)
    assert found.tool_ms == pytest.approx((10, 30, 90))
    assert found.ratio == pytest.approx(1)


def test_what_fails_says_why(bundle: Bundle) -> None:
    found = compared(bundle, "tiny", litert_file(bundle), 2, Measured(rounds=[[1.0]]), Measured(error="no such tool"))
    assert (found.ratio, found.error) == (None, "the tool: no such tool")


def test_a_tool_that_fails_is_an_error_with_its_last_words() -> None:
    with pytest.raises(EngineError, match=r"^a tool failed \(no model\)$"):
        run_tool("a tool", "-c", "raise SystemExit('no model')")


def test_litert_benchmark_times_the_file(bundle: Bundle) -> None:
    file = litert_file(bundle)
    assert file.path is not None
    with LiteRTBenchmarkSubject(file.path, 1, 20).open() as timed:
        stages = timed.call()
    assert stages is not None
    assert stages["tool"] > 0


def test_the_command_writes_both_figures_of_every_file(bundle: Bundle, tmp_path: Path) -> None:
    out = tmp_path / "agreement.json"
    result = CliRunner().invoke(main, [str(bundle.path), "--out", str(out), "--rounds", "2", "--seconds", "0.1"])
    assert result.exit_code == 0, result.output
    (row,) = json.loads(out.read_text())["rows"]
    assert (len(row["ms"]), len(row["tool_ms"])) == (2, 2)
    assert row["tool"].startswith("litert-benchmark of ai-edge-litert ")
    assert row["sha256"] == bundle.manifest.conversions[0].sha256
    assert "tiny litert fp32: " in result.stdout


def test_a_bundle_without_such_files_says_what_to_run(paper_bundle: Bundle, tmp_path: Path) -> None:
    result = CliRunner().invoke(main, [str(paper_bundle.path), "--out", str(tmp_path / "a.json")])
    assert result.exit_code == EngineError.exit_code
    assert "unetplus-export" in result.stderr
