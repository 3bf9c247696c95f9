"""One daemon a data folder."""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from unetplus_edge.errors import OutputError

if TYPE_CHECKING:
    from pathlib import Path

LOCK = "lock"

_PATIENCE = 1.0  # seconds: whoever asks for the holder has the lock for a moment
_PAUSE = 0.05


class FolderLock:
    """Holds a data folder until it is released, or this process is gone; the file says whose it is.

    Parameters
    ----------
    folder
        Exists.

    Raises
    ------
    OutputError
        If another process holds it, or the system does not let it be held.
    """

    def __init__(self, folder: Path) -> None:
        path = folder / LOCK
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise OutputError(f"{path} cannot be written ({error.strerror}); name another --data-dir") from error
        try:
            _lock(self._file)
        except OSError as error:
            os.close(self._file)
            if isinstance(error, BlockingIOError):
                pid = holder(folder)
                who = "another process" if pid is None else f"process {pid}"
                raise OutputError(
                    f"{who} records into {folder} already; stop it, or name another --data-dir"
                ) from error
            raise OutputError(f"{path} cannot be locked ({error.strerror}); name another --data-dir") from error
        # Of a disk that is full nobody learns the pid, but the lock holds.
        with suppress(OSError):
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Let go of the folder."""
        if self._file >= 0:
            with suppress(OSError):
                os.ftruncate(self._file, 0)
            os.close(self._file)  # which unlocks it
            self._file = -1


def _lock(file: int) -> None:
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        with suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        time.sleep(_PAUSE)
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def holder(folder: Path) -> int | None:
    """Return the process that records into a folder; None if there is none, or it is not known.

    A process that was killed leaves its number behind, but not its lock.
    """
    try:
        with (folder / LOCK).open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                text = file.read(20).strip()
                return int(text) if text.isdigit() else None
    except OSError:
        pass
    return None
