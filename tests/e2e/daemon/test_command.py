"""`python -m unetplus_bench.endurance`: parts alone, one after another, and interrupted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from unetplus_bench.endurance.result import read_endurance, runtime_hash

if TYPE_CHECKING:
    from collections.abc import Iterator

    from unetplus_edge.bundle import Bundle

_PATIENCE = 180.0
_FAMILY = "UNETPLUS_TEST_FAMILY"


def _family(name: Path) -> list[str]:
    """Return the process ids of those that descend from a run: its environment is theirs."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if f"{_FAMILY}={name}".encode() in (folder / "environ").read_bytes().split(b"\0"):
                found.append(folder.name)
    return found


@pytest.fixture
def command(bundle: Bundle) -> list[str]:
    """The command, with the tiny model and every fault done only a few times."""
    model = ["--bundle", str(bundle.path), "--engine", "litert", "--threads", "1"]
    return [sys.executable, "-m", "unetplus_bench.endurance", "--short", *model]


@pytest.fixture
def interrupted(command: list[str], tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """A run of two parts that was interrupted as soon as the first one was finished, and its result file."""
    out = tmp_path / "here.json"
    process = subprocess.Popen(
        [*command, "--only", "clock,crash", "--out", str(out)],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {_FAMILY: str(out)},
    )
    deadline = time.monotonic() + _PATIENCE
    try:
        while not out.exists():
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        process.wait(_PATIENCE)
        yield process, out
    finally:
        process.kill()
        print(process.communicate()[1])  # shown where the test fails


def test_an_interrupted_run_leaves_finished_parts_and_no_process_and_goes_on(
    interrupted: tuple[subprocess.Popen[str], Path], command: list[str]
) -> None:
    process, out = interrupted
    assert process.returncode == 130
    deadline = time.monotonic() + _PATIENCE
    while _family(out):
        assert time.monotonic() < deadline, "processes of an interrupted run are left"
        time.sleep(0.05)
    (finished,) = read_endurance(out).parts
    other = {"clock": "crash", "crash": "clock"}[finished]
    done = subprocess.run(
        [*command, "--only", other, "--out", str(out)], capture_output=True, text=True, timeout=_PATIENCE, check=False
    )
    assert done.returncode == 0, done.stderr
    parts = read_endurance(out).parts
    assert set(parts) == {"clock", "crash"}
    assert all(part.holds and part.runtime == runtime_hash() for part in parts.values())
    assert f"{other}:" in done.stderr


def test_a_part_that_is_none_is_refused_with_the_names_of_those_that_are(command: list[str], tmp_path: Path) -> None:
    done = subprocess.run(
        [*command, "--only", "fire", "--out", str(tmp_path / "here.json")],
        capture_output=True,
        text=True,
        timeout=_PATIENCE,
        check=False,
    )
    assert done.returncode == 2
    assert "fire" in done.stderr
    assert "soak" in done.stderr
    assert not (tmp_path / "here.json").exists()
