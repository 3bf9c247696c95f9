from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

from click.testing import CliRunner

from unetplus_runtime.command import main

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from unetplus_edge.bundle import Bundle


def test_a_model_in_a_folder_beside_the_caller_is_found(
    start: Any, make_settings: Any, wait: Any, bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = make_settings()
    running = start(settings)
    wait(lambda: running.daemon.state.snapshot.phase == "ready")
    (tmp_path / "here").mkdir()
    shutil.copytree(bundle.path, tmp_path / "here" / "new")
    with monkeypatch.context() as context:
        context.chdir(tmp_path / "here")
        done = CliRunner().invoke(main, ["reload-model", "new", "--data-dir", str(settings.data_dir), "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["new"]["bundle"] == str(tmp_path / "here" / "new")
    done = CliRunner().invoke(main, ["reload-model", str(bundle.path), "--data-dir", str(settings.data_dir)])
    assert done.exit_code == 0
    assert "tiny (litert fp32) counts from the next frame on" in done.stdout
    assert done.stdout.startswith("SIMULATED")


def test_a_refusal_leaves_with_its_code_and_its_sentence(start: Any, make_settings: Any, wait: Any) -> None:
    settings = make_settings()
    running = start(settings)
    wait(lambda: running.daemon.state.snapshot.phase == "ready")
    done = CliRunner().invoke(main, ["reload-model", "no_such_model", "--data-dir", str(settings.data_dir)])
    assert done.exit_code == 13
    assert "no_such_model is neither a folder nor one of the zoo's bundles" in done.stderr


def test_where_no_daemon_runs_it_says_so(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["reload-model", "unet_plus_tc_b8", "--data-dir", str(tmp_path)])
    assert done.exit_code == 21
    assert "no daemon runs on" in done.stderr
