from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from unetplus_bench.endurance.small_disk import LimitedFiles, small_disk

if TYPE_CHECKING:
    from pathlib import Path

_CODE = """
import signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
for path in sys.stdin:
    try:
        with open(path.strip(), "wb", buffering=0) as file:
            print(file.write(bytes(100_000)), flush=True)
    except OSError:
        print(0, flush=True)
"""


def _writes(process: subprocess.Popen[str], path: Path) -> int:
    """Let the process write a file of 100,000 bytes; return how many came there."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"{path}\n")
    process.stdin.flush()
    return int(process.stdout.readline())


def test_a_full_disk_takes_nothing_until_there_is_room(tmp_path: Path) -> None:
    with (
        subprocess.Popen(
            [sys.executable, "-c", _CODE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process,
        small_disk(tmp_path / "disk", 4 << 20) as room,
    ):
        daemon: Any = SimpleNamespace(pid=process.pid, has_ended=False)
        assert _writes(process, room.folder / "before") == 100_000
        room.fill(daemon)
        assert _writes(process, room.folder / "full") < 10_000
        room.make_room(daemon)
        assert _writes(process, room.folder / "after") == 100_000
        process.stdin.close()  # type: ignore[union-attr]


def test_where_nothing_may_be_mounted_files_are_kept_from_growing(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _CODE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        room, daemon = LimitedFiles(tmp_path), SimpleNamespace(pid=process.pid, has_ended=False)
        served: Any = daemon
        room.fill(served)
        assert _writes(process, tmp_path / "full") < 10
        room.make_room(served)
        assert _writes(process, tmp_path / "after") == 100_000
        process.stdin.close()  # type: ignore[union-attr]
