from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result

from unetplus_runtime.command import main

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Write


@pytest.fixture(autouse=True)
def _no_settings_around(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/state")


def run(*words: object) -> Result:
    return CliRunner().invoke(main, ["config", *map(str, words)])


def test_what_show_prints_is_a_file_that_check_finds_right(write: Write) -> None:
    shown = run("show")
    assert shown.exit_code == 0, shown.output
    assert 'data_dir = "/state/unetplus-edge"' in shown.stdout
    file = write(shown.stdout)
    checked = run("check", file)
    assert (checked.exit_code, checked.stdout, checked.stderr) == (0, f"{file} is right\n", "")


def test_show_tells_where_a_value_is_from(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNETPLUS_SERVE__RECORD__LABELS", "true")
    file = write('[camera]\ncamera = "folder"\npath = "/images"\n')
    shown = run("show", "--config", file, "--set", "camera.settle=3", "--json")
    assert shown.exit_code == 0, shown.output
    rows = {row["field"]: (row["value"], row["origin"]) for row in json.loads(shown.stdout)}
    assert rows["camera.path"] == ("/images", f"file {file} line 3")
    assert rows["record.labels"] == (True, "environment UNETPLUS_SERVE__RECORD__LABELS")
    assert rows["camera.settle"] == (3.0, "option --set camera.settle")
    assert rows["log.level"] == ("info", "default")


def test_check_prints_a_line_a_problem(write: Write) -> None:
    file = write('[camera]\ncamera = "simulated"\nrate = 0\n[record]\nlabel = true\n')
    checked = run("check", file)
    assert (checked.exit_code, checked.stdout) == (20, "")
    assert checked.stderr.splitlines() == [
        f"{file}:3: camera.rate: must be greater than 0, and is 0",
        f"{file}:5: record.label: there is no such field of record; the nearest is labels",
    ]


def test_check_looks_at_the_file_alone(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNETPLUS_SERVE__CAMERA", "simulated")
    monkeypatch.setenv("UNETPLUS_SERVE__RECORD__LABELS", "x")
    checked = run("check", write("pixel_size = 1\n"))
    assert checked.exit_code == 20
    assert "camera: is missing" in checked.stderr
    assert "LABELS" not in checked.stderr


def test_wrong_settings_are_one_line_that_names_all_of_them(tmp_path: Path) -> None:
    shown = run("show", "--camera", "simulated", "--set", "camera.rate=0", "--set", "log.level=loud")
    assert (shown.exit_code, shown.stdout) == (20, "")
    assert shown.stderr.count("\n") == 1
    assert shown.stderr.startswith("error: --set camera.rate: camera.rate: must be greater than 0")
    assert "; also --set log.level: log.level: must be" in shown.stderr
    assert run("show", "--config", tmp_path / "missing.toml").exit_code == 20


def test_no_password_is_printed(write: Write) -> None:
    file = write('[camera]\ncamera = "opencv"\nsource = "rtsp://ada:secret@host/live"\nrate = 0\n')
    for result in (run("check", file), run("show", "--config", file), run("show", "--camera", "x://ada:secret@host")):
        assert result.exit_code == 20
        assert "secret" not in result.output
