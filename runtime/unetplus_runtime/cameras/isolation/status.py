"""What is known of a camera at one moment, and what has happened to it."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from unetplus_runtime.cameras import CameraFacts
    from unetplus_runtime.cameras.counts import FrameTotals, Refusal

CameraState = Literal["starting", "online", "degraded", "offline"]
"""starting: the driver opens the camera. online: frames come, or may come. degraded: they are late.
offline: there is no driver; it failed and will be started again, or the camera has ended or was closed."""

_REMEMBERED = 1000  # changes, and refusals


@dataclass(frozen=True)
class Change:
    """A state that a camera came into.

    Attributes
    ----------
    number
        Counted from 0.
    state
        Which.
    reason
        One sentence; empty where there is nothing to say.
    life
        How many times the driver was started before.
    monotonic, wall
        When, as in `unetplus_runtime.cameras.Frame`.
    """

    number: int
    state: CameraState
    reason: str
    life: int
    monotonic: float
    wall: float


@dataclass(frozen=True)
class CameraStatus:
    """What is known of a camera at one moment.

    Attributes
    ----------
    now
        Its state, since when, and why.
    facts
        Of the camera that was opened last; None before the first.
    totals
        Frames that were captured, and what became of them.
    restarts
        How many times the driver was started again.
    storm
        Whether it waits only because it was started too often lately.
    next_start
        When it is started again, seconds as `time.monotonic` counts them; None where it runs, or never will.
    last_frame
        When the driver has handed over its last frame, likewise; None before the first.
    pid
        Process id of the driver; None where there is none.
    """

    now: Change
    facts: CameraFacts | None
    totals: FrameTotals
    restarts: int
    storm: bool
    next_start: float | None
    last_frame: float | None
    pid: int | None


class History:
    """Remembers the last thousand changes and refusals. Any thread may call it."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._changes: deque[Change] = deque(maxlen=_REMEMBERED)
        self._refusals: deque[tuple[int, Refusal]] = deque(maxlen=_REMEMBERED)
        self._refused = 0
        self.enter("offline", "the camera was not opened yet", 0)

    @property
    def now(self) -> Change:
        """The state that it is in."""
        with self._lock:
            return self._changes[-1]

    def enter(self, state: CameraState, reason: str, life: int) -> None:
        """Remember a state, unless it is the one it is in, for the same reason, in the same life."""
        with self._lock:
            last = self._changes[-1] if self._changes else None
            if last is not None and (last.state, last.reason, last.life) == (state, reason, life):
                return
            number = 0 if last is None else last.number + 1
            self._changes.append(Change(number, state, reason, life, time.monotonic(), time.time()))

    def refuse(self, refusal: Refusal) -> None:
        """Remember what was refused."""
        with self._lock:
            self._refusals.append((self._refused, refusal))
            self._refused += 1

    def changes(self, first: int) -> list[Change]:
        """Return what is remembered from change number `first` on."""
        with self._lock:
            return [change for change in self._changes if change.number >= first]

    def refusals(self, first: int) -> list[tuple[int, Refusal]]:
        """Return what is remembered from refusal number `first` on, with numbers."""
        with self._lock:
            return [refusal for refusal in self._refusals if refusal[0] >= first]
