from __future__ import annotations

import csv
import json
import re
import shutil
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from click.testing import CliRunner

from unetplus_runtime.command import main
from unetplus_runtime.records import RecordReader

if TYPE_CHECKING:
    import pytest

    from unetplus_edge.bundle import Bundle

_LIVE = ("--camera", "simulated", "--set", "camera.height=64", "--set", "camera.width=80", "--set", "camera.rate=50")
_JSON = ("--log-json", "--set", "log.level=debug")


def _announced(said: str) -> list[dict[str, Any]]:
    """Return what was said of frames, in lines of JSON; libraries print other lines in between."""
    lines = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    return [line for line in lines if line["message"] == "frame committed"]


def test_counts_of_a_folder_are_those_of_segment(serve: Any, images: Path, tmp_path: Path, bundle: Bundle) -> None:
    watched = ("--camera", f"folder:{images}", "--set", "camera.settle=0.01", "--set", "camera.poll=0.05")
    process = serve(*watched, "--until-idle", "1")
    _, said = process.communicate(timeout=180)
    assert process.returncode == 0, said
    out, runner = tmp_path / "out", CliRunner()
    named = ["--bundle", str(bundle.path), "--engine", "litert", "--threads", "1", "--quiet"]
    done = runner.invoke(main, ["segment", str(images), "--out", str(out), *named])
    assert done.exit_code == 0, done.output
    with (out / "summary.csv").open() as file:
        expected = {Path(row["file"]).name: int(row["nuclei"]) for row in csv.DictReader(file)}
    with RecordReader(tmp_path / "data") as reader:
        counted = {Path(one.record.file.path).name: one.record.nuclei for one in reader.frames() if one.record.file}
    assert counted == expected
    assert len(counted) == 5
    assert "SIMULATED" not in said


def test_a_folder_is_counted_once_and_new_files_the_next_time(serve: Any, images: Path, tmp_path: Path) -> None:
    watched = ("--camera", f"folder:{images}", "--set", "camera.settle=0.01", "--set", "camera.poll=0.05", *_JSON)
    counts = []
    for number in range(2):
        process = serve(*watched, "--until-idle", "1")
        _, said = process.communicate(timeout=180)
        counts.append(len(_announced(said)))
        shutil.copyfile(images / "1.png", images / f"new{number}.png")
    assert counts == [5, 1]


def test_sigterm_ends_it_with_everything_recorded_that_was_told(
    serve: Any, status_of: Any, wait: Any, tmp_path: Path
) -> None:
    process = serve(*_LIVE, *_JSON)
    wait(lambda: status_of()["last"])
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 0, said
    announced = _announced(said)
    with RecordReader(tmp_path / "data") as reader:
        assert [one.id for one in reader.frames()] == [line["id"] for line in announced]
        totals = reader.totals()
    assert totals.in_flight == 0
    assert totals.processed == len(announced)
    assert json.loads(said.splitlines()[-1])["why"] == "SIGTERM"


def test_every_line_about_simulated_frames_says_so(serve: Any) -> None:
    process = serve(*_LIVE, "--frames", "2", "--set", "log.level=debug")
    _, said = process.communicate(timeout=120)
    assert process.returncode == 0
    ours = [line for line in said.splitlines() if re.match(r"\d{4}-\d\d-\d\dT", line)]  # not those of libraries
    assert len(ours) > 4
    assert all("SIMULATED" in line for line in ours), said


def test_nothing_configured_means_simulated(serve: Any, status_of: Any, wait: Any) -> None:
    process = serve()
    wait(lambda: status_of()["camera"])
    known = status_of()
    assert known["simulated"] is True
    assert known["configuration"]["simulated_by_default"] is True
    process.send_signal(signal.SIGINT)
    assert process.wait(120) == 0


def test_sighup_reads_the_file_again(serve: Any, status_of: Any, wait: Any, tmp_path: Path) -> None:
    file = tmp_path / "serve.toml"
    text = '[camera]\ncamera = "simulated"\nheight = 64\nwidth = 80\nrate = 50\n'
    file.write_text(text)
    process = serve("--config", str(file))
    wait(lambda: status_of()["last"])
    before = status_of()["configuration"]
    file.write_text(text + "[record]\nlabels = true\n")
    process.send_signal(signal.SIGHUP)
    wait(lambda: status_of()["configuration"]["hash"] != before["hash"])
    file.write_text(text.replace("50", "-1"))
    process.send_signal(signal.SIGHUP)
    wait(lambda: status_of()["configuration"]["error"])
    assert f"{file}:5: camera.rate" in status_of()["configuration"]["error"]
    assert status_of()["phase"] == "ready"
    process.send_signal(signal.SIGTERM)
    assert process.wait(120) == 0


def test_a_second_daemon_leaves_with_the_code_of_its_error(serve: Any, status_of: Any, wait: Any) -> None:
    first = serve(*_LIVE)
    wait(lambda: status_of()["phase"] == "ready")
    second = serve(*_LIVE)
    _, said = second.communicate(timeout=120)
    assert second.returncode == 15
    assert f"error: process {first.pid} records into" in said
    assert status_of()["phase"] == "ready"


def test_wrong_settings_leave_with_their_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    done = CliRunner().invoke(main, ["serve", "--camera", "simulated", "--set", "camera.rate=-3"])
    assert done.exit_code == 20
    assert "--set camera.rate" in done.stderr
    assert not (tmp_path / "unetplus-edge").exists()


def test_a_daemon_that_was_killed_is_followed_by_one_that_says_so(
    serve: Any, status_of: Any, wait: Any, tmp_path: Path
) -> None:
    process = serve(*_LIVE, *_JSON)
    wait(lambda: status_of()["last"])
    process.kill()
    _, said = process.communicate(timeout=120)
    announced = {line["id"] for line in _announced(said)}
    again = serve(*_LIVE, "--frames", "2")
    _, said = again.communicate(timeout=120)
    assert again.returncode == 0, said
    assert "an earlier run was broken off" in said
    with RecordReader(tmp_path / "data") as reader:
        assert announced <= {one.id for one in reader.frames()}
        assert reader.totals().in_flight == 0
