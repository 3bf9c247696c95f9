"""Processes as /proc has them: those of a daemon, what they take of the memory, and what they leave behind."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

MARK = "UNETPLUS_ENDURANCE"
"""Environment variable by which the processes of a part are told from all others."""

_PROC = Path("/proc")
_SHARED = "/dev/shm"  # noqa: S108 - where Linux keeps named shared memory and semaphores
_PAUSE = 0.05
_INODE = 9  # column of a table of sockets


def marked(mark: str) -> dict[int, str]:
    """Return the processes that bear a mark, or descend from one that does, by process id: their command lines.

    One that has ended and waits for its parent only is none.
    """
    wanted = f"{MARK}={mark}".encode()
    found = {}
    for folder in _PROC.glob("[0-9]*"):
        with suppress(OSError):  # gone in the meantime, or another user's
            if wanted in (folder / "environ").read_bytes().split(b"\0") and is_alive(int(folder.name)):
                found[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
    return found


def is_alive(pid: int) -> bool:
    """Return whether a process runs, or could go on running."""
    try:
        state = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in ("Z", "X")


def resident(pid: int) -> int:
    """Return how many bytes of a process are in memory; 0 if it is gone."""
    with suppress(OSError):
        for line in (_PROC / str(pid) / "status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
    return 0


def udp_sockets(pid: int) -> int:
    """Return how many UDP sockets a process has."""
    folder = _PROC / str(pid)
    tables = [table.read_text().splitlines()[1:] for table in (folder / "net").glob("udp*")]
    known = {f"socket:[{line.split()[_INODE]}]" for table in tables for line in table}
    found = 0
    for link in (folder / "fd").iterdir():
        with suppress(OSError):  # closed in the meantime
            found += str(link.readlink()) in known
    return found


def left_behind(mark: str, patience: float) -> dict[int, str]:
    """Return the processes that still bear a mark after so many seconds; it returns as soon as there is none."""
    deadline = time.monotonic() + patience
    while (found := marked(mark)) and time.monotonic() < deadline:
        time.sleep(_PAUSE)
    return found


def kill_marked(mark: str, patience: float) -> dict[int, str]:
    """Kill the processes that bear a mark; return those that still live after so many seconds."""
    deadline = time.monotonic() + patience
    while (found := marked(mark)) and time.monotonic() < deadline:
        for pid in found:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(_PAUSE)
    return found


def shared_names() -> set[str]:
    """Return the names of shared memory and semaphores on this machine."""
    with suppress(OSError):
        return {path.name for path in Path(_SHARED).iterdir()}
    return set()


def orphaned_names(before: set[str], patience: float) -> set[str]:
    """Return names of shared memory that were not there before, and that no living process uses.

    Other programs come and go: what is somebody's is not an orphan, nor what vanishes within so
    many seconds.
    """
    deadline = time.monotonic() + patience
    while True:
        new = shared_names() - before
        orphans = new - _used_names() if new else set()
        if not orphans or time.monotonic() >= deadline:
            return orphans
        time.sleep(_PAUSE)


def _used_names() -> set[str]:
    used = set()
    for folder in _PROC.glob("[0-9]*"):
        with suppress(OSError):
            used |= {
                Path(line.split(maxsplit=5)[5]).name
                for line in (folder / "maps").read_text(errors="replace").splitlines()
                if _SHARED in line
            }
        with suppress(OSError):
            for link in (folder / "fd").iterdir():
                with suppress(OSError):
                    target = link.readlink()
                    if target.is_relative_to(_SHARED):
                        used.add(target.name)
    return used
