"""What was handed over and is not committed yet: bounded, and taken in groups."""

from __future__ import annotations

import time
from threading import Condition
from typing import TYPE_CHECKING

from unetplus_edge.errors import OutputError
from unetplus_runtime.records.pending import Group

if TYPE_CHECKING:
    from collections.abc import Callable

    from unetplus_runtime.cameras import FileIdentity
    from unetplus_runtime.records.pending import Event, Fact, Pending, Settled

MOST_FRAMES = 128
"""That may wait to be committed."""

_BYTES = 256 << 20  # likewise
_EVENTS = 10_000


class GroupQueue:
    """Frames and all else that waits. Any thread may put; one takes, and says what it has done.

    Attributes
    ----------
    limit
        How many frames may wait, at most `MOST_FRAMES`: as many as are committed in time.
    """

    def __init__(self) -> None:
        self.limit = MOST_FRAMES
        self._changed = Condition()
        self._group = Group()
        self._taken = Group()
        self._first: float | None = None  # when the first of the group was put
        self._bytes = 0
        self._number = self._done = 0  # of things put, and finished with
        self._hurried = 0  # number up to which nobody is to wait for more
        self._closing = self._aborted = False
        self._error: BaseException | None = None
        self.lost_events = 0

    def put(self, pending: Pending, timeout: float | None) -> bool:
        """Add a frame; wait for room first. False if there was none in time.

        Raises
        ------
        OutputError
            If what is put is not committed any more.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._has_room(pending) or self._is_over, timeout):
                return False
            self._require()
            self._bytes += pending.size
            self._group.frames.append(pending)
            self._added()
            return True

    def put_settled(self, settled: list[Settled]) -> None:
        """Add pages of files that were dropped."""
        with self._changed:
            self._require()
            self._group.settled += settled
            self._added(len(settled))

    def put_fact(self, fact: Fact) -> None:
        """Add what a hash stands for."""
        with self._changed:
            self._require()
            self._group.facts.append(fact)
            self._added()

    def put_event(self, event: Event) -> bool:
        """Add an event; False if it will not be recorded."""
        with self._changed:
            if self._is_over or len(self._group.events) >= _EVENTS:
                self.lost_events += 1
                return False
            self._group.events.append(event)
            self._added()
            return True

    def take(self, gather: Callable[[], float], idle: float) -> Group | None:
        """Return what has come together.

        Parameters
        ----------
        gather
            Returns for how long to wait for more after the first, seconds.
        idle
            How long to wait for the first, seconds.

        Returns
        -------
        Group or None
            Empty if nothing came; None if nothing will come any more.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._first is not None or self._closing, idle)
            if self._first is None:
                return None if self._closing else Group()
            remaining = self._first + gather() - time.monotonic()
            self._changed.wait_for(self._is_urgent, max(remaining, 0))
            self._taken, self._group, self._first = self._group, Group(), None
            return self._taken

    def finished(self) -> None:
        """Say that the group that was taken is committed, and announced."""
        with self._changed:
            taken, self._taken = self._taken, Group()
            self._bytes -= sum(pending.size for pending in taken.frames)
            self._done += _length(taken)
            self._changed.notify_all()

    def wait_for_abort(self, seconds: float) -> bool:
        """Wait, and return whether what waits is to be given up."""
        with self._changed:
            return self._changed.wait_for(lambda: self._aborted, seconds)

    def flush(self, timeout: float) -> bool:
        """Wait until all that was put is finished; False if that took too long, or will not be."""
        with self._changed:
            target = self._hurried = self._number
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._done >= target or self._error is not None, timeout)
            return self._done >= target

    def close(self) -> None:
        """Take nothing more; what waits is still to be committed."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()

    def abort(self) -> None:
        """Give up what waits."""
        with self._changed:
            self._closing = self._aborted = True
            self._changed.notify_all()

    def fail(self, error: BaseException) -> None:
        """Say that nothing will be committed any more."""
        with self._changed:
            self._error = error
            self._changed.notify_all()

    @property
    def waiting(self) -> int:
        """How many frames are not finished."""
        with self._changed:
            return len(self._group.frames) + len(self._taken.frames)

    def files(self) -> set[FileIdentity]:
        """Return the pages of files that are not finished."""
        with self._changed:
            return self._group.files() | self._taken.files()

    @property
    def _is_over(self) -> bool:
        return self._closing or self._error is not None

    def _has_room(self, pending: Pending) -> bool:
        frames = len(self._group.frames) + len(self._taken.frames)
        return not frames or (frames < self.limit and self._bytes + pending.size <= _BYTES)

    def _is_urgent(self) -> bool:
        half = len(self._group.frames) >= max(1, self.limit // 2) or self._bytes >= _BYTES // 2
        return half or self._closing or self._hurried > self._done

    def _added(self, number: int = 1) -> None:
        self._number += number
        if self._first is None and number:
            self._first = time.monotonic()
        self._changed.notify_all()

    def _require(self) -> None:
        if self._error is not None:
            raise OutputError(f"nothing is recorded any more: {self._error}") from self._error
        if self._closing:
            raise OutputError("nothing is recorded any more, because the records were closed")


def _length(group: Group) -> int:
    return len(group.frames) + len(group.settled) + len(group.events) + len(group.facts)
