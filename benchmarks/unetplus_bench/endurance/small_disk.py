"""A disk that is full when a part wants it to be."""

from __future__ import annotations

import os
import resource
import subprocess
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from unetplus_bench.endurance.served import GivenUpError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from unetplus_bench.endurance.served import Served

_BLOCK = 4096


class SmallDisk:
    """A small file system in memory, filled up by a file of ours.

    Attributes
    ----------
    how
        How it is made, for the result.
    """

    how = "a tmpfs that is filled up"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._filling = folder / "filling"

    def fill(self, _: Served, leave: int = 0) -> None:
        """Fill it up, but for so many bytes."""
        with self._filling.open("ab", buffering=0) as file, suppress(OSError):
            while self._free() - leave > 0 and file.write(bytes(min(1 << 20, max(_BLOCK, self._free() - leave)))):
                pass

    def make_room(self, _: Served) -> None:
        """Let there be room again."""
        self._filling.unlink(missing_ok=True)

    def _free(self) -> int:
        disk = os.statvfs(self.folder)
        return disk.f_bavail * disk.f_frsize


class LimitedFiles(SmallDisk):
    """No small disk, where none may be mounted: the daemon's files must not grow beyond a few bytes for a while."""

    how = "a limit on the size of the daemon's files (RLIMIT_FSIZE): mounting is not permitted here"

    def fill(self, served: Served, leave: int = 0) -> None:
        """Let no file grow; little room cannot be told from none."""
        _, hard = resource.prlimit(served.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(served.pid, resource.RLIMIT_FSIZE, (max(1, leave), hard))

    def make_room(self, served: Served) -> None:
        """Let files grow."""
        if not served.has_ended:  # the limit of one that has is gone with it
            _, hard = resource.prlimit(served.pid, resource.RLIMIT_FSIZE)
            resource.prlimit(served.pid, resource.RLIMIT_FSIZE, (hard, hard))


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[SmallDisk]:
    """Make a disk of so many bytes in a new folder; where that is not permitted, what comes nearest to it."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        yield LimitedFiles(folder)
        return
    try:
        yield SmallDisk(folder)
    finally:
        done = subprocess.run(["umount", str(folder)], capture_output=True, text=True, check=False)
        if done.returncode:
            raise GivenUpError(f"{folder} cannot be unmounted: {done.stderr.strip()}")
