"""`unetplus-bench compare`, as it is typed."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from unetplus_bench.comparing.command import REGRESSION, compare

FEW = ("keras fp32", "litert int8", "openvino int8")


def typed(*words):
    return CliRunner().invoke(compare, [str(word) for word in words], env={"COLUMNS": "160"})


@pytest.fixture
def written(made_up, tmp_path):
    """Writes results and returns their files."""

    def write(*results):
        files = [tmp_path / f"{number}.json" for number in range(len(results))]
        for file, result in zip(files, results, strict=True):
            result.write(file)
        return files

    return write


@pytest.fixture
def slower(made_up, written):
    """Before and after one of three rows became 40 % slower."""
    return written(
        made_up(1, rounds=20, only=FEW), made_up(2, {"openvino int8": 1.4}, rounds=20, only=FEW)
    )  # fmt: skip


def test_a_row_that_became_slower_has_an_exit_code_of_its_own(slower):
    result = typed(*slower)
    assert (result.exit_code, REGRESSION) == (6, 6)
    assert "Slower by more than 5 %: openvino int8 (x 1." in result.stdout
    assert "multiple of keras fp32 in the same rounds" in result.stdout


def test_a_larger_limit_allows_it(slower):
    result = typed(*slower, "--limit", "0.6")
    assert (result.exit_code, "No row is slower" in result.stdout) == (0, True)


def test_the_other_way_round_it_is_faster(slower):
    result = typed(*reversed(slower))
    assert result.exit_code == 0
    assert "Faster by more than 5 %: openvino int8" in result.stdout


def test_json_holds_the_rows_and_names_the_slower_ones(slower):
    result = typed(*slower, "--json")
    told = json.loads(result.stdout)
    assert (result.exit_code, told["regressions"], told["yardstick"]) == (6, ["openvino int8"], "keras fp32")
    row = next(row for row in told["rows"] if row["name"] == "openvino int8")
    assert row["low"] > 1.05
    assert row["kind"] == "to the yardstick"


def test_unlike_scopes_are_refused(made_up, written):
    frames = {name: {"scope": "frame", "frame_shape": (64, 64)} for name in FEW}
    result = typed(*written(made_up(1, only=FEW), made_up(2, only=FEW, rows=frames)))
    assert result.exit_code == 11
    assert result.stderr.startswith("error: the files have no row in common: the scope is net in the first, frame in")


def test_a_yardstick_and_times_exclude_each_other(slower):
    assert typed(*slower, "--times", "--yardstick", "keras fp32").exit_code == 2


def test_names_do_not_reach_the_terminal_as_commands(made_up, written):
    name = "\x1b[31m[bold]evil"
    rows = {"litert int8": {"name": name}}
    result = typed(*written(made_up(1, only=FEW, rows=rows), made_up(2, only=FEW, rows=rows)))
    assert "\x1b" not in result.stdout
    assert "\\x1b[31m[bold]evil" in result.stdout


def test_a_file_that_is_no_result_is_refused(tmp_path, slower):
    broken = tmp_path / "broken.json"
    broken.write_text("{}")
    result = typed(slower[0], broken)
    assert result.exit_code == 11
    assert "broken.json is no result of this unetplus-bench" in result.stderr
