"""The wish that the daemon ends, and how long that may take."""

from __future__ import annotations

import time
from threading import Event

GRACE = 8.0
"""Seconds beyond the deadline for a commit, and a driver, that have begun to end; then the process is ended."""


class Stopping:
    """Says whether the daemon is to end. Any thread may call any method."""

    def __init__(self) -> None:
        self._asked = Event()
        self._end = 0.0
        self.reason = ""

    @property
    def asked(self) -> bool:
        """Whether it is to end."""
        return self._asked.is_set()

    def ask(self, reason: str, deadline: float) -> None:
        """Ask the daemon to end within so many seconds; asking again changes nothing.

        Parameters
        ----------
        reason
            One sentence.
        deadline
            Seconds from now.
        """
        if not self.asked:
            self.reason, self._end = reason, time.monotonic() + deadline
            self._asked.set()

    @property
    def left(self) -> float:
        """Seconds that are left of the deadline; 0 if it is over or nobody has asked."""
        return max(0.0, self._end - time.monotonic()) if self.asked else 0.0

    def wait(self, seconds: float) -> bool:
        """Wait until somebody asks, for so long at most; return whether somebody has."""
        return self._asked.wait(seconds)
