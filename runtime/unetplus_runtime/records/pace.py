"""How long commits take, and what follows from it."""

from __future__ import annotations

from dataclasses import dataclass

from unetplus_runtime.records.queue import MOST_FRAMES

_MARGIN = 0.9  # of the interval, to be in time
_WEIGHT = 0.3  # of the newest
_FADING = 0.8  # of the longest, from group to group
_FEWEST, _OF_SLOW_DISKS = 2, 16  # frames


@dataclass(frozen=True)
class CommitTimes:
    """How long frames waited until they were on the disk, from being handed over on, seconds.

    Attributes
    ----------
    groups
        How many groups were committed.
    last, longest
        Of the first frame of the group that was committed last, and of that which waited longest.
    late
        How many groups took longer than `durability.interval`: a power cut would have lost more
        than that promises.
    """

    groups: int = 0
    last: float = 0.0
    longest: float = 0.0
    late: int = 0


class Pace:
    """Learns what a group costs: something for each frame, and the transaction's way to the disk.

    Parameters
    ----------
    interval
        Within which frames are to be committed, seconds.
    """

    def __init__(self, interval: float) -> None:
        self._frame = interval / 32
        self._sync = interval / 8
        self._longest = interval / 4

    def learn(self, writing: float, syncing: float, frames: int) -> None:
        """Take what a group has cost, seconds, before its transaction ended and for ending it."""
        self._sync += _WEIGHT * (syncing - self._sync)
        if frames:
            self._frame += _WEIGHT * (writing / frames - self._frame)
        self._longest = max(writing + syncing, _FADING * self._longest)

    def gather(self, interval: float) -> float:
        """Return for how long more frames may be waited for after the first, seconds; negative for not at all."""
        return _MARGIN * interval - self._longest

    def limit(self, interval: float) -> int:
        """Return how many frames may wait and be committed in time.

        One that comes while a group is being written waits for that group and for its own.
        """
        remaining = _MARGIN * interval - 2 * self._sync
        if remaining <= 0:  # it is late however few there are: then be quick at least
            return _OF_SLOW_DISKS
        return max(_FEWEST, min(MOST_FRAMES, int(remaining / max(self._frame, 1e-9))))
