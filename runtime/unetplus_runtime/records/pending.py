"""What waits to be committed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from unetplus_edge.imaging import Nuclei
    from unetplus_edge.imaging.frames import Frame as Pixels
    from unetplus_runtime.cameras import FileIdentity
    from unetplus_runtime.configuration import Recording
    from unetplus_runtime.records.record import Committed, FrameRecord

_NOTHING = np.empty((0, 0), np.int32)
_NO_PIXELS = np.empty((0, 0), np.uint8)


@dataclass(eq=False)
class Pending:
    """A frame that was handed over.

    Attributes
    ----------
    record
        As it will be committed, but for its files.
    nuclei
        Their measurements.
    keep
        What is to be recorded.
    on_commit
        Called when it is on the disk.
    put_at
        When it was handed over, seconds of the monotonic clock.
    array, labels
        The frame and its label image where they are to be recorded; else empty.
    """

    record: FrameRecord
    nuclei: Nuclei
    keep: Recording
    on_commit: Callable[[Committed], None]
    put_at: float
    array: Pixels = field(default_factory=lambda: _NO_PIXELS)
    labels: NDArray[np.int32] = field(default_factory=lambda: _NOTHING)

    @property
    def size(self) -> int:
        """Bytes of memory that it holds, without what is small."""
        return self.array.nbytes + self.labels.nbytes


class Settled(NamedTuple):
    """A page of a file that was dropped."""

    file: FileIdentity
    reason: str


class Event(NamedTuple):
    """Something that happened, with its JSON."""

    wall: float
    monotonic: float
    kind: str
    detail: str


class Fact(NamedTuple):
    """What a hash stands for: `table` is "models" or "configurations"."""

    table: str
    hash: str
    json: str


@dataclass(eq=False)
class Group:
    """What is committed in one transaction."""

    frames: list[Pending] = field(default_factory=list)
    settled: list[Settled] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    facts: list[Fact] = field(default_factory=list)

    def __bool__(self) -> bool:
        """Return whether there is anything in it."""
        return bool(self.frames or self.settled or self.events or self.facts)

    def files(self) -> set[FileIdentity]:
        """Return the pages of files that it settles."""
        return {
            *(pending.record.file for pending in self.frames if pending.record.file is not None),
            *(settled.file for settled in self.settled),
        }
