"""When a driver that has failed is started again."""

from __future__ import annotations

import random
import time
from collections import deque
from typing import TYPE_CHECKING, Annotated, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from collections.abc import Callable

Seconds = Annotated[float, Field(gt=0, le=86400)]


class BackOff(BaseModel):
    """How long to wait before a driver is started again. Times are in seconds.

    Attributes
    ----------
    first
        After the first failure; each further one doubles it.
    longest
        It is never doubled beyond this.
    jitter
        Each wait is drawn from so far below to so far above, as a fraction of it, so that many
        machines do not come back to one camera at the same moment.
    calm
        After being online for so long, the next failure counts as the first.
    storm, window
        No more than `storm` restarts are begun within `window`, however well they go.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    first: Seconds = 0.5
    longest: Seconds = 30.0
    jitter: Annotated[float, Field(ge=0, lt=1)] = 0.2
    calm: Annotated[float, Field(ge=0, le=86400)] = 10.0
    storm: Annotated[int, Field(ge=1, le=100000)] = 6
    window: Seconds = 60.0


class Wait(NamedTuple):
    """How long to wait, and why.

    Attributes
    ----------
    seconds
        Until the next start.
    storm
        Whether it is so long only because there were too many restarts lately.
    """

    seconds: float
    storm: bool


class Restarts:
    """Decides how long to wait after each failure; it never gives up.

    Parameters
    ----------
    settings
        The rule.
    clock
        Returns seconds that only grow.
    uniform
        Returns a number drawn evenly from between two.

    Examples
    --------
    >>> restarts = Restarts(BackOff(jitter=0, longest=3), clock=lambda: 0.0)
    >>> [restarts.failed().seconds for _ in range(4)]
    [0.5, 1.0, 2.0, 3.0]
    """

    def __init__(
        self,
        settings: BackOff,
        clock: Callable[[], float] = time.monotonic,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._settings, self._clock, self._uniform = settings, clock, uniform
        self._failures = 0
        self._online_since: float | None = None
        self._begun: deque[float] = deque(maxlen=settings.storm)

    def online(self) -> None:
        """Take note that the camera delivers; calling it again changes nothing."""
        if self._online_since is None:
            self._online_since = self._clock()

    def failed(self) -> Wait:
        """Take note that the driver has failed; return how long to wait before it is started again."""
        settings, now = self._settings, self._clock()
        if self._online_since is not None and now - self._online_since >= settings.calm:
            self._failures = 0
        self._online_since = None
        plain = min(settings.first * 2 ** min(self._failures, 64), settings.longest)
        seconds = plain * self._uniform(1 - settings.jitter, 1 + settings.jitter)
        self._failures += 1
        allowed = now
        if len(self._begun) == settings.storm:
            allowed = self._begun[0] + settings.window
        wait = Wait(max(seconds, allowed - now), allowed - now > seconds)
        self._begun.append(now + wait.seconds)
        return wait
