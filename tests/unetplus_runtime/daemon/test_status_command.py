from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from click.testing import CliRunner

from unetplus_runtime.command import main
from unetplus_runtime.daemon import Limits

if TYPE_CHECKING:
    from pathlib import Path


def _status(folder: Path, *options: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(main, ["status", "--data-dir", str(folder), *options])
    return done.exit_code, done.stdout, done.stderr


def test_where_no_daemon_ever_was_it_says_so(tmp_path: Path) -> None:
    code, said, error = _status(tmp_path / "data")
    assert (code, said) == (21, "")
    assert "no daemon runs on" in error
    assert not (tmp_path / "data").exists()


def test_after_a_daemon_its_last_record_is_shown(start: Any, make_settings: Any) -> None:
    settings = make_settings()
    start(settings, Limits(frames=3)).thread.join(120)
    code, said, error = _status(settings.data_dir)
    assert code == 21
    assert "no daemon runs on" in error
    assert "last record SIMULATED" in said
    assert "record 3" in said
    code, said, _ = _status(settings.data_dir, "--json")
    known = json.loads(said)
    assert (code, known["phase"], known["last_record"]["id"], known["totals"]["processed"]) == (21, "not running", 3, 3)


def test_of_a_daemon_everything_is_told(start: Any, make_settings: Any, wait: Any) -> None:
    settings = make_settings()
    running = start(settings)
    state = running.daemon.state
    wait(lambda: state.snapshot.last and state.snapshot.latency.count)
    code, said, _ = _status(settings.data_dir)
    assert code == 0
    for part in (
        "SIMULATED ready",
        "online since",
        "processed +",
        "litert fp32",
        "grid spread",
        "recording,",
        "last frame  SIMULATED",
    ):
        assert part in said, said
    code, said, _ = _status(settings.data_dir, "--json")
    known = json.loads(said)
    assert (code, known["phase"], known["simulated"], known["balanced"]) == (0, "ready", True, True)
    assert known["camera"]["totals"]["captured"] >= known["last"]["id"]


def test_troubles_are_told(start: Any, make_settings: Any, wait: Any) -> None:
    settings = make_settings(camera={"camera": "simulated", "faults": [{"kind": "absent"}]})
    running = start(settings)
    wait(lambda: running.daemon.state.snapshot.troubles)
    code, said, _ = _status(settings.data_dir)
    assert code == 0
    assert "trouble     " in said
    assert "camera: offline" in said


def test_what_changes_is_printed_again_until_the_daemon_ends(start: Any, make_settings: Any, wait: Any) -> None:
    settings = make_settings(camera={"camera": "simulated", "height": 64, "width": 80, "rate": 20, "frames": 30})
    running = start(settings)
    wait(lambda: running.daemon.state.snapshot.phase == "ready")
    code, said, _ = _status(settings.data_dir, "--watch", "--json")
    assert code == 21  # it has ended meanwhile
    *lines, last = [json.loads(line) for line in said.splitlines()]
    versions = [line["version"] for line in lines]
    assert versions == sorted(versions)
    assert len(lines) > 1
    assert last["phase"] == "not running"
