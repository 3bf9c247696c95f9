"""Frames between the driver's process and whoever takes them, each counted until it is settled."""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from threading import Condition
from typing import TYPE_CHECKING, Any

import numpy as np

from unetplus_edge.errors import InputError
from unetplus_runtime.cameras.base import FileIdentity, Frame
from unetplus_runtime.cameras.counts import FrameCounters, SourceTotals
from unetplus_runtime.cameras.isolation.link import Link, LinkClosedError, Message

if TYPE_CHECKING:
    from collections.abc import Iterable

    from unetplus_runtime.cameras.counts import DropReason, FrameTotals
    from unetplus_runtime.cameras.isolation.ring import Ring

_DTYPES = {name: np.dtype(name) for name in ("uint8", "uint16", "float32")}


@dataclass(frozen=True, eq=False)
class Waiting:
    """A frame in a slot that the driver's process leaves alone until it is told that it is free."""

    message: Message
    life: int
    ring: Ring
    link: Link

    def copy(self) -> Frame:
        """Return the frame with an array of its own, and free the slot.

        Raises
        ------
        ValueError, KeyError, TypeError
            If the message is not about a frame in the ring.
        """
        told = self.message
        frame = Frame(
            array=self.ring.read(told["slot"], told["shape"], _DTYPES[told["dtype"]]),
            sequence=told["sequence"],
            device_time=told["device_time"],
            monotonic=told["monotonic"],
            wall=told["wall"],
            metadata=told["metadata"],
            file=self.file,
            life=self.life,
        )
        self.free()
        return frame

    def free(self) -> None:
        """Let the driver's process use the slot again, if there is one still."""
        with suppress(LinkClosedError):
            self.link.send({"is": "free", "ring": self.message["ring"], "slot": self.message["slot"]})

    @property
    def file(self) -> FileIdentity | None:
        """The page of a file that it is."""
        told = self.message["file"]
        return None if told is None else FileIdentity(*told)

    def check(self) -> None:
        """Refuse a message that is not about a frame in the ring, by a ValueError, KeyError or TypeError."""
        told: dict[str, Any] = self.message
        height, width = told["shape"]
        if min(height, width) < 1 or height * width * _DTYPES[told["dtype"]].itemsize > self.ring.capacity:
            raise ValueError(f"shape {told['shape']} does not fit into a slot of {self.ring.capacity} bytes")
        if not 0 <= told["slot"] < self.ring.slots:
            raise ValueError(f"slot {told['slot']} of {self.ring.slots}")
        for name in ("sequence", "device_time", "monotonic", "wall", "metadata"):
            told[name]


class Handover:
    """What was handed over, is waiting, was taken, and what became of it. Any thread may call it."""

    def __init__(self) -> None:
        self._condition = Condition()
        self._waiting: deque[Waiting] = deque()
        self._taken: dict[tuple[int, int], FileIdentity | None] = {}
        self._counters = FrameCounters()
        self._over = False

    def hear(self, source: SourceTotals) -> None:
        """Take note of what a driver has counted."""
        with self._condition:
            self._counters.hear(source, delivers=False)

    def put(self, waiting: Waiting, source: SourceTotals, *, lossless: bool) -> None:
        """Add a frame; of a live camera, it takes the place of one that waits."""
        with self._condition:
            self._counters.hear(source, delivers=True)
            if not lossless:
                self._drop_waiting("newest_only")
            self._waiting.append(waiting)
            self._condition.notify_all()

    def take(self, timeout: float) -> Frame | None:
        """Return the next frame; None if there is none within `timeout` seconds, or will be none."""
        with self._condition:
            self._condition.wait_for(lambda: self._waiting or self._over, timeout)
            if not self._waiting:
                return None
            waiting = self._waiting.popleft()
            self._taken[waiting.life, waiting.message["sequence"]] = waiting.file
        return waiting.copy()

    def settle(self, frame: Frame, reason: DropReason | None) -> None:
        """Count a taken frame as processed, or as dropped for a reason."""
        key = (frame.life, frame.sequence)
        with self._condition:
            if key not in self._taken:
                raise InputError(
                    f"frame {frame.sequence} of life {frame.life} was not taken here, or is settled already; settle "
                    "each frame once"
                )
            del self._taken[key]
            if reason is None:
                self._counters.processed += 1
            else:
                self._counters.drop(reason)

    def end_life(self, source: SourceTotals, reason: DropReason) -> None:
        """Count what a driver has left behind when it died; what was handed over can still be taken."""
        with self._condition:
            self._counters.end_life(source, reason)

    def end(self, *, drop: bool) -> None:
        """Let no taker wait any more; drop what waits, or let it be taken."""
        with self._condition:
            self._over = True
            if drop:
                self._drop_waiting("shutdown")
            self._condition.notify_all()

    @property
    def is_over(self) -> bool:
        """Whether no frame waits, and none will come."""
        with self._condition:
            return self._over and not self._waiting

    def unsettled(self) -> Iterable[FileIdentity]:
        """Return the pages of files that wait or were taken and are not settled."""
        with self._condition:
            files = [waiting.file for waiting in self._waiting] + list(self._taken.values())
        return [file for file in files if file is not None]

    def totals(self) -> FrameTotals:
        """Return the counts of one moment."""
        with self._condition:
            return self._counters.totals(len(self._waiting), len(self._taken))

    def _drop_waiting(self, reason: DropReason) -> None:
        self._counters.drop(reason, len(self._waiting))
        for waiting in self._waiting:
            waiting.free()
        self._waiting.clear()
