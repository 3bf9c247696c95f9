from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from unetplus_edge.errors import OutputError
from unetplus_runtime.records.lock import FolderLock, holder

if TYPE_CHECKING:
    from pathlib import Path

HOLD = """
import sys, time
from pathlib import Path
from unetplus_runtime.records.lock import FolderLock
lock = FolderLock(Path(sys.argv[1]))
print("held", flush=True)
time.sleep(600)
"""


@pytest.fixture
def other(tmp_path: Path) -> Any:
    """Another process that holds the folder."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, tmp_path], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_a_second_daemon_is_refused_and_told_of_the_first(tmp_path: Path, other: Any, open_store: Any) -> None:
    with pytest.raises(OutputError, match=f"process {other.pid} records into {tmp_path} already; stop it"):
        open_store(tmp_path)
    assert holder(tmp_path) == other.pid
    assert not (tmp_path / "records.sqlite").exists()


def test_a_killed_daemon_holds_nothing(tmp_path: Path, other: Any) -> None:
    other.send_signal(signal.SIGKILL)
    other.wait()
    assert holder(tmp_path) is None
    FolderLock(tmp_path).release()


def test_a_daemon_holds_its_folder_until_it_is_closed(tmp_path: Path, open_store: Any) -> None:
    with open_store(tmp_path):
        assert holder(tmp_path) == os.getpid()
    assert holder(tmp_path) is None
    with open_store(tmp_path):
        assert holder(tmp_path) == os.getpid()


def test_a_child_that_outlives_the_daemon_does_not_hold_the_folder(tmp_path: Path) -> None:
    lock = FolderLock(tmp_path)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, close_fds=False) as child:
        lock.release()
        FolderLock(tmp_path).release()
        child.communicate(b"\n")


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path, open_store: Any) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"cannot be written \(File exists\); name another --data-dir"):
        open_store(tmp_path / "file" / "data")
