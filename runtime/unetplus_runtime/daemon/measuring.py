"""How long frames take, and how many come: of the last ones only, so that it takes no more memory with time."""

from __future__ import annotations

import time
from collections import deque
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from unetplus_runtime.daemon.facts import NO_FRAMES, Spread

if TYPE_CHECKING:
    from collections.abc import Callable


class Window:
    """The last times of something, in seconds. Any thread may call it.

    Parameters
    ----------
    size
        How many are kept.

    Examples
    --------
    >>> window = Window(4)
    >>> for seconds in (9, 1, 2, 3, 4):
    ...     window.add(seconds)
    >>> window.spread().count, window.spread().p50, window.spread().longest
    (4, 2.5, 4.0)
    """

    def __init__(self, size: int = 1000) -> None:
        self._times: deque[float] = deque(maxlen=size)
        self._lock = Lock()

    def add(self, seconds: float) -> None:
        """Add one."""
        with self._lock:
            self._times.append(seconds)

    def spread(self) -> Spread:
        """Return how they are distributed."""
        with self._lock:
            times = list(self._times)
        if not times:
            return NO_FRAMES
        p50, p90, p99, longest = (float(time) for time in np.percentile(times, (50, 90, 99, 100)))
        return Spread(len(times), p50, p90, p99, longest)


class Rate:
    """How much a count grows a second. One thread uses it.

    Parameters
    ----------
    window
        Over how many seconds.
    clock
        Returns seconds that only grow.
    """

    def __init__(self, window: float = 10.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._window, self._clock = window, clock
        self._seen: deque[tuple[float, int]] = deque()

    def of(self, count: int) -> float:
        """Take note of the count now, and return its growth a second."""
        now = self._clock()
        self._seen.append((now, count))
        while len(self._seen) > 2 and self._seen[1][0] <= now - self._window:
            self._seen.popleft()
        before, first = self._seen[0]
        return (count - first) / (now - before) if now > before else 0.0
