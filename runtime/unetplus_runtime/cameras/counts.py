"""Counting frames so that none is lost unseen: captured = processed + dropped + in flight."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from unetplus_runtime.cameras.base import FileIdentity

SourceReason = Literal["newest_only", "gap_at_source", "corrupt", "unreadable"]
"""Why a frame is lost before a camera hands it out.

newest_only: a newer one came before anyone took it. gap_at_source: the device has numbered it, but it
never arrived. corrupt: it arrived, but not as an image. unreadable: it lies in a file, or on a page of
it, that cannot be read.
"""

DropReason = Literal["newest_only", "gap_at_source", "corrupt", "unreadable", "camera_lost", "shutdown", "failed"]
"""Why a frame was captured and never processed.

Besides those of `SourceReason`, camera_lost: it was in the driver when that died. shutdown: it was not
taken before the camera was closed. failed: whoever took it could not process it.
"""

SOURCE_REASONS: tuple[SourceReason, ...] = get_args(SourceReason)


class Refusal(NamedTuple):
    """Something that was lost and can be told apart from others.

    Attributes
    ----------
    reason
        One sentence for a person.
    file
        The page or the file that need not be tried again.
    """

    reason: str
    file: FileIdentity | None = None


class SourceCounts:
    """What a camera counts while it captures; any thread of its process may call it.

    Parameters
    ----------
    cells
        uint64, shape (`SourceCounts.CELLS`,), all zero: memory to count in, such as one that
        survives the process. None takes its own.
    """

    CELLS = 1 + len(SOURCE_REASONS)

    def __init__(self, cells: NDArray[np.uint64] | None = None) -> None:
        self._cells = np.zeros(self.CELLS, np.uint64) if cells is None else cells
        self._next = 0
        self._refusals: list[Refusal] = []
        self._lock = Lock()

    def capture(self, sequence: int) -> None:
        """Count a frame by its number, which grows; those that were left out are `gap_at_source`."""
        with self._lock:
            gap = sequence - self._next
            self._next = sequence + 1
            # Captured first: whoever reads the cells of a dead process finds no frame dropped that
            # was not captured.
            self._cells[0] += np.uint64(1 + gap)
            if gap:
                self._cells[1 + SOURCE_REASONS.index("gap_at_source")] += np.uint64(gap)

    def drop(self, reason: SourceReason, refusal: Refusal | None = None) -> None:
        """Count a captured frame as lost, and keep the sentence that says why, if there is one."""
        with self._lock:
            self._cells[1 + SOURCE_REASONS.index(reason)] += np.uint64(1)
            if refusal is not None:
                self._refusals.append(refusal)

    def refuse(self, refusal: Refusal) -> None:
        """Keep a sentence about what never became a frame."""
        with self._lock:
            self._refusals.append(refusal)

    def take_refusals(self) -> list[Refusal]:
        """Return what was refused since this was last asked."""
        with self._lock:
            taken, self._refusals = self._refusals, []
        return taken

    def totals(self) -> SourceTotals:
        """Return the counts of one moment."""
        with self._lock:
            return read_cells(self._cells)


class SourceTotals(NamedTuple):
    """Captured, and dropped by reason, since a driver was started."""

    captured: int
    dropped: dict[str, int]


def read_cells(cells: NDArray[np.uint64]) -> SourceTotals:
    """Return the counts in memory that a `SourceCounts` counts in, or did while its process lived."""
    captured, *dropped = (int(cell) for cell in cells)
    return SourceTotals(captured, {reason: n for reason, n in zip(SOURCE_REASONS, dropped, strict=True) if n})


@dataclass(frozen=True)
class FrameTotals:
    """The counts of one moment, since the camera was first opened.

    Attributes
    ----------
    captured
        Frames that the device has made.
    processed
        Frames that are done.
    dropped
        Frames that will not be, by reason; reasons without any are left out.
    waiting
        Frames that can be taken.
    taken
        Frames that were taken and are neither processed nor dropped yet.
    in_driver
        Frames that the driver has and has not handed over.
    """

    captured: int
    processed: int
    dropped: Mapping[str, int]
    waiting: int
    taken: int
    in_driver: int

    @property
    def in_flight(self) -> int:
        """Captured, and neither processed nor dropped yet."""
        return self.waiting + self.taken + self.in_driver

    @property
    def balanced(self) -> bool:
        """Whether captured = processed + dropped + in flight, and nothing is negative."""
        parts = (self.processed, *self.dropped.values(), self.waiting, self.taken, self.in_driver)
        return self.captured == sum(parts) and min(parts) >= 0


class FrameCounters:
    """The counts of a camera through all lives of its driver. Its user holds a lock around it."""

    def __init__(self) -> None:
        self.processed = 0
        self._captured = 0  # in lives that are over
        self._dropped: Counter[str] = Counter()
        self._source = SourceTotals(0, {})  # of this life
        self._delivered = 0

    def hear(self, source: SourceTotals, *, delivers: bool) -> None:
        """Take what a living driver says of itself, with a frame or without."""
        self._source = source
        self._delivered += delivers

    def drop(self, reason: DropReason, frames: int = 1) -> None:
        """Count frames that were handed over and are dropped now."""
        if frames:
            self._dropped[reason] += frames

    def end_life(self, source: SourceTotals, reason: DropReason) -> None:
        """Settle what a driver has left behind when it died; what it had in hand is dropped.

        Memory that a dying driver has written to may hold anything: what it had said of itself
        before is believed instead, where the two do not fit.
        """
        in_hand = source.captured - sum(source.dropped.values()) - self._delivered
        if in_hand < 0 or source.captured < self._source.captured:
            source = self._source
            in_hand = source.captured - sum(source.dropped.values()) - self._delivered
        self.drop(reason, in_hand)
        self._captured += source.captured
        self._dropped.update(source.dropped)
        self._source = SourceTotals(0, {})
        self._delivered = 0

    def totals(self, waiting: int, taken: int) -> FrameTotals:
        """Return the counts, given how many frames were handed over and are not settled."""
        source = self._source
        return FrameTotals(
            captured=self._captured + source.captured,
            processed=self.processed,
            dropped=dict(self._dropped + Counter(source.dropped)),
            waiting=waiting,
            taken=taken,
            in_driver=source.captured - sum(source.dropped.values()) - self._delivered,
        )
