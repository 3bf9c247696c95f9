"""Starting, hearing and ending a driver's process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np

from unetplus_runtime.cameras.counts import SourceCounts, SourceTotals, read_cells
from unetplus_runtime.cameras.isolation.link import Link
from unetplus_runtime.cameras.isolation.ring import SharedMemory

if TYPE_CHECKING:
    from collections.abc import Iterable

    from unetplus_runtime.cameras import CameraSettings, FileIdentity

_WORKER = "unetplus_runtime.cameras.isolation.worker"
_KEPT = 4000  # bytes of what a driver has printed last
_QUICK = 5.0  # seconds in which a killed process is gone, unless the system itself hangs in a driver


class Child:
    """A driver's process in one life.

    It must be made by a thread that lives at least as long: the system kills the process when that
    thread ends.

    Parameters
    ----------
    settings
        Which camera it opens.
    life
        How many lives there were before.
    seen
        Pages of files that it is not to hand out.

    Attributes
    ----------
    link
        To it.
    output
        A file descriptor of what it prints.
    pid
        Its process id.
    """

    def __init__(self, settings: CameraSettings, life: int, seen: Iterable[FileIdentity]) -> None:
        told = {"settings": settings.model_dump(mode="json"), "life": life, "seen": list(seen)}
        self.link, there = Link.pair()
        counts = SharedMemory.allocate(SourceCounts.CELLS * np.dtype(np.uint64).itemsize)
        start = os.memfd_create("unetplus-start")
        self.output, printed = os.pipe()
        os.set_blocking(self.output, False)
        try:
            with open(os.dup(start), "w", encoding="ascii") as file:  # noqa: PTH123
                json.dump(told, file)
            os.lseek(start, 0, os.SEEK_SET)
            numbers = (there.fileno(), counts, start)
            self._process = subprocess.Popen(
                [sys.executable, "-m", _WORKER, str(os.getpid()), *map(str, numbers)],
                pass_fds=numbers,
                stdin=subprocess.DEVNULL,
                stdout=printed,
                stderr=printed,
                # No module beside whoever starts the daemon is taken for one of ours.
                env=os.environ | {"PYTHONSAFEPATH": "1"},
                # A signal of the terminal reaches the daemon alone.
                start_new_session=True,
            )
        except BaseException:
            self.link.close()
            os.close(self.output)
            os.close(counts)
            raise
        finally:
            there.close()
            os.close(start)
            os.close(printed)
        self.pid = self._process.pid
        self._cells = SharedMemory(counts).view(0, (SourceCounts.CELLS,), np.dtype(np.uint64))
        self._printed = b""

    def listen(self) -> bool:
        """Keep what was printed lately; return whether more can come."""
        try:
            content = os.read(self.output, 1 << 16)
        except BlockingIOError:
            return True
        self._printed = (self._printed + content)[-_KEPT:]
        return bool(content)

    @property
    def printed(self) -> str:
        """What it has printed last."""
        return self._printed.decode("utf-8", "replace")

    @property
    def is_running(self) -> bool:
        """Whether the process has not ended."""
        return self._process.poll() is None

    def totals(self) -> SourceTotals:
        """Return what it has counted, to be asked when it is dead."""
        return read_cells(self._cells)

    def end(self, patience: float = 0.0) -> bool:
        """Let the process end by itself for some seconds, then kill it; return whether it is gone.

        One that hangs in the system itself cannot be killed; it is waited for a few seconds only.
        """
        if self._ends_within(patience):
            return True
        self._process.kill()
        return self._ends_within(_QUICK)

    def death(self) -> str:
        """Return how the process ended, as the end of a sentence that begins with the driver."""
        code = self._process.poll()
        if code is None:
            return "could not be killed"
        if code < 0:
            return f"was killed by {signal.Signals(-code).name}"
        return f"ended with exit code {code}"

    def _ends_within(self, seconds: float) -> bool:
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def close(self) -> None:
        """Hang up, and let go of what it has printed."""
        self.link.close()
        if self.output >= 0:
            os.close(self.output)
            self.output = -1
