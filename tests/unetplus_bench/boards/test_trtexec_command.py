"""`unetplus-bench import-trtexec` as it is typed."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner

from unetplus_bench.boards.trtexec_command import main
from unetplus_bench.results import read_result

DATA = Path(__file__).parent / "data"
NANO = str(DATA / "trtexec_8.2_nano.log")


def test_the_result_file_can_be_read_again_and_knows_the_command(tmp_path: Path) -> None:
    out = tmp_path / "nano.json"
    ran = CliRunner().invoke(main, [NANO, "--device", "Jetson Nano", "--out", str(out)])
    assert (ran.exit_code, ran.stderr) == (0, "")
    result = read_result(out)
    assert result.protocol == "trtexec"
    assert "--device 'Jetson Nano'" in result.command


def test_the_table_has_both_scopes_in_milliseconds() -> None:
    ran = CliRunner().invoke(main, [NANO])
    assert "80.250" in ran.stdout
    assert "80.500" in ran.stdout
    assert "net+copies" in ran.stdout


def test_json_is_what_the_file_holds(tmp_path: Path) -> None:
    out = tmp_path / "nano.json"
    ran = CliRunner().invoke(main, [NANO, "--out", str(out), "--json"])
    assert json.loads(ran.stdout) == json.loads(out.read_text())


def test_a_failed_run_leaves_with_the_code_of_an_input_and_no_file(tmp_path: Path) -> None:
    out = tmp_path / "failed.json"
    ran = CliRunner().invoke(main, [str(DATA / "trtexec_11.1_failed.log"), "--out", str(out)])
    assert ran.exit_code == 11
    assert ran.stderr.startswith("error: trtexec failed")
    assert not out.exists()
