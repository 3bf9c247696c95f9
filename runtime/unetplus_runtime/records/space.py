"""Whether there is room to record."""

from __future__ import annotations

import math
import os
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_MARGIN = 1.05  # of `min_free`, before it counts as enough again
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 60.0  # seconds


@dataclass(frozen=True)
class RecordingState:
    """Whether what is to be kept beside the records of frames is kept.

    Attributes
    ----------
    active
        Whether it is.
    reason
        One sentence that says why not, and what to do; empty where it is.
    free_bytes
        Of the disk, when it was looked at last.
    since
        When this began, seconds since 1970 (UTC).
    held
        Whether the database cannot be written either: frames wait, and nothing is announced.
    """

    active: bool
    reason: str
    free_bytes: int
    since: float
    held: bool = False


class Space:
    """Decides whether to record. One thread uses it; any may read `state`.

    Recording stops where less than `min_free` is free, and where writing has failed. After a
    failure it is tried again, each time after twice the pause.

    Parameters
    ----------
    folder
        On the disk in question.
    min_free
        Bytes.
    on_change
        Called with the new state when recording stops or goes on, or frames are held back or not
        any more.
    wall
        Returns seconds since 1970.
    """

    def __init__(
        self,
        folder: Path,
        min_free: int,
        on_change: Callable[[RecordingState], None],
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._folder, self._on_change, self._wall = folder, on_change, wall
        self.min_free = min_free
        self._next_try: float | None = None  # after a failure
        self._pause = _FIRST_PAUSE
        self._reason = self._held = ""
        self.state = RecordingState(True, "", self.free(), wall())
        self.look()

    def free(self) -> int:
        """Return how many bytes of the disk this user may take."""
        disk = os.statvfs(self._folder)
        return disk.f_bavail * disk.f_frsize

    def lacking(self) -> int:
        """Return how many bytes would have to be freed for recording to go on; 0 where there are enough."""
        enough = self.min_free if self.state.active else self.min_free * _MARGIN
        return max(0, math.ceil(enough - self.free()))

    def look(self) -> None:
        """See how much is free."""
        if self.lacking():
            self._next_try = None
            self._reason = (
                f"only {_mib(self.free())} are free where {self._folder} is, and {_mib(self.min_free)} are to stay "
                "free (retention.min_free): frames are counted, but nothing else of them is kept; free the disk"
            )
        elif self._next_try is None:
            self._reason = ""
        self._publish()

    def may_try(self) -> bool:
        """Return whether the next group is to be recorded, be it to see whether that works again."""
        return not self._reason or (self._next_try is not None and time.monotonic() >= self._next_try)

    def failed(self, what: str) -> None:
        """Stop recording, because something could not be written."""
        self._next_try = time.monotonic() + self._pause
        self._pause = min(2 * self._pause, _LONGEST_PAUSE)
        self._reason = f"{what}: frames are counted, but nothing else of them is kept; free the disk, or repair it"
        self._publish()

    def worked(self, *, recorded: bool) -> None:
        """Go on, because a group is on the disk, and all that was to be recorded with it if that was tried."""
        self._held = ""
        if recorded:
            self._next_try, self._pause, self._reason = None, _FIRST_PAUSE, ""
        self._publish()

    def hold(self, what: str) -> None:
        """Say that not even the records of frames can be written."""
        self._held = f"{what}: frames wait, and nothing is counted or announced; free the disk, or repair it"
        self._publish()

    def _publish(self) -> None:
        old, free = self.state, self.free()
        held, reason = bool(self._held), self._held or self._reason
        if (not reason, held) == (old.active, old.held):
            self.state = replace(old, reason=reason, free_bytes=free)
            return
        self.state = RecordingState(not reason, reason, free, self._wall(), held)
        self._on_change(self.state)


def _mib(count: int) -> str:
    return f"{count / 2**20:,.1f} MiB"
