"""When a driver that says nothing is late, and when it is given up."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from collections.abc import Callable

Seconds = Annotated[float, Field(gt=0, le=86400)]


class Patience(BaseModel):
    """How long a driver may be silent. Times are in seconds.

    Attributes
    ----------
    opening
        From being started to having opened the camera.
    late
        Without a frame of a live camera until it counts as degraded; None for 5 of its periods, at
        least 2 s, and 5 s where the period is not known.
    lost
        Without a frame of a live camera until its driver is given up; None for 20 of its periods,
        at least 10 s, and 20 s where the period is not known.
    hung
        Without a sign of life until the driver is given up, of any camera. What is lossless may
        take long over a frame, and may have none for days.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    opening: Seconds = 60.0
    late: Seconds | None = None
    lost: Seconds | None = None
    hung: Seconds = 60.0


class Verdict(NamedTuple):
    """What is thought of a driver.

    Attributes
    ----------
    state
        opening: not open yet, and not too late. fine. late: silent for longer than it should be.
        lost: to be given up.
    reason
        One sentence, where it is late or lost; else empty.
    """

    state: Literal["opening", "fine", "late", "lost"]
    reason: str = ""


class StallWatch:
    """Judges one life of a driver by what it is heard of.

    Parameters
    ----------
    patience
        How long it may be silent.
    clock
        Returns seconds that only grow.
    """

    def __init__(self, patience: Patience, clock: Callable[[], float] = time.monotonic) -> None:
        self._patience, self._clock = patience, clock
        self._begun = self._heard = self._framed = clock()
        self._is_open = False
        self._late: float | None = None
        self._lost: float | None = None

    def opened(self, period: float | None, *, lossless: bool) -> None:
        """Take note that the camera is open, and whether frames are to be expected of it, every `period` seconds."""
        self._is_open = True
        self._heard = self._framed = self._clock()
        if not lossless:
            patience = self._patience
            known = 1.0 if period is None else period
            self._late = patience.late or max(2.0, 5 * known)
            self._lost = patience.lost or max(10.0, 20 * known)

    def heard(self, *, frame: bool) -> None:
        """Take note of a sign of life, with a frame or without."""
        self._heard = self._clock()
        if frame:
            self._framed = self._heard

    def verdict(self) -> Verdict:
        """Return what is thought of the driver now."""
        now, patience = self._clock(), self._patience
        if not self._is_open:
            if now - self._begun < patience.opening:
                return Verdict("opening")
            return Verdict("lost", f"the camera was not open after {patience.opening:g} s")
        silent, without = now - self._heard, now - self._framed
        if silent >= patience.hung:
            return Verdict("lost", f"the driver gave no sign of life for {patience.hung:g} s")
        if self._lost is not None and without >= self._lost:
            return Verdict("lost", f"there was no frame for {self._lost:g} s")
        if self._late is not None and without >= self._late:
            return Verdict("late", f"there was no frame for {self._late:g} s")
        if silent >= patience.hung / 2:
            return Verdict("late", f"the driver gave no sign of life for {patience.hung / 2:g} s")
        return Verdict("fine")
