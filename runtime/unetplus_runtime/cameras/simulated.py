"""The simulated camera: the specimen at any size, rate and bit depth, with any fault."""

from __future__ import annotations

import os
import signal
import time
from itertools import islice
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from unetplus_edge.datasets.specimen import Specimen, stream
from unetplus_edge.errors import CameraError
from unetplus_runtime.cameras.base import CameraFacts, Frame, Start
from unetplus_runtime.cameras.counts import Refusal

if TYPE_CHECKING:
    from unetplus_edge.datasets.specimen import SimulatedFrame
    from unetplus_edge.imaging.frames import Frame as Pixels
    from unetplus_runtime.cameras.settings import Fault, FaultKind, SimulatedSettings

_INTERRUPTS = ("crash", "disappear", "hang", "stall", "skip")


class SimulatedCamera:
    """Frames of the simulated specimen. See `unetplus_runtime.cameras.base.Camera`.

    The metadata of a frame has "simulated": True, the seed, "specimen_frame" (which frame of the
    specimen's stream it is) and "true_nuclei".

    Parameters
    ----------
    settings
        What to show.
    start
        Where to count; its life chooses among the faults.
    """

    def __init__(self, settings: SimulatedSettings, start: Start) -> None:
        self._settings = settings
        self._faults = [fault for fault in settings.faults if fault.lives is None or start.life in fault.lives]
        self.counts = start.counts
        self.ended = False
        rate = settings.rate
        self.facts = CameraFacts(
            camera="simulated",
            source=f"SIMULATED specimen, seed {settings.seed}",
            lossless=rate is None,
            simulated=True,
            period=None if rate is None else 1 / rate,
            details={"height": settings.height, "width": settings.width, "bit_depth": settings.bit_depth},
        )
        self._shown: list[SimulatedFrame] = []
        self._true_nuclei: list[int] = []
        self._life = start.life
        self._opened = 0.0
        self._stalled = 0.0  # how long in all, seconds
        self._next = 0

    def open(self) -> None:
        """Draw the frames that will be shown."""
        for fault in self._of("slow_start"):
            time.sleep(max(fault.seconds, 0))
        if self._of("absent"):
            raise CameraError("the simulated camera is absent, as its faults have it; take that fault out")
        settings = self._settings
        specimen = Specimen(
            height=settings.height, width=settings.width, bit_depth=settings.bit_depth, seed=settings.seed
        )
        self._shown = list(islice(stream(specimen), settings.loop))
        self._true_nuclei = [len(np.unique(frame.labels[frame.labels > 0])) for frame in self._shown]
        self._opened = time.monotonic()

    def read(self, timeout: float) -> Frame | None:
        """Return the frame that is due; with a rate, those that were due before it are lost."""
        deadline = time.monotonic() + timeout
        while not self.ended:
            if not self._wait_until_due(deadline):
                return None
            frame = self._expose()
            if frame is not None:
                return frame
        return None

    def close(self) -> None:
        """Forget the frames."""
        self._shown = []
        self.ended = True

    def _of(self, kind: FaultKind, sequence: int | None = None) -> list[Fault]:
        return [fault for fault in self._faults if fault.kind == kind and (sequence is None or fault.frame == sequence)]

    def _wait_until_due(self, deadline: float) -> bool:
        if self._settings.rate is None:
            return True
        due = self._opened + self._stalled + self._next / self._settings.rate
        time.sleep(max(min(due, deadline) - time.monotonic(), 0))
        return time.monotonic() >= due

    def _expose(self) -> Frame | None:
        """Return the newest frame, unless it is lost; count every frame up to it."""
        settings, end = self._settings, self._settings.frames
        if end is not None and self._next >= end:
            self.ended = True
            return None
        newest = self._next
        if settings.rate is not None:
            newest = max(newest, int((time.monotonic() - self._opened - self._stalled) * settings.rate))
        if end is not None:
            newest = min(newest, end - 1)
        # What comes before a fault is seen before it.
        ahead = [fault.frame for fault in self._faults if fault.kind in _INTERRUPTS]
        newest = min([newest, *(frame - 1 for frame in ahead if frame > self._next)])
        if not self._happen(self._next):
            return None
        for sequence in range(self._next, newest + 1):
            self.counts.capture(sequence)
            self._next = sequence + 1
            self.ended = self._next == end
            if self._of("corrupt", sequence):
                self.counts.drop("corrupt", Refusal(f"frame {sequence} of the simulated camera arrived cut off"))
            elif sequence == newest:
                return self._frame(sequence)
            else:
                self.counts.drop("newest_only")
        return None

    def _happen(self, sequence: int) -> bool:
        """Let happen what goes wrong at a frame; return whether it is exposed nevertheless, and now."""
        for fault in [fault for fault in self._faults if fault.frame == sequence]:
            if fault.kind == "crash":
                os.kill(os.getpid(), signal.SIGSEGV)
            elif fault.kind == "disappear":
                raise CameraError("the simulated camera has disappeared, as its faults have it; it will be opened anew")
            elif fault.kind == "hang":
                self._faults.remove(fault)
                time.sleep(max(fault.seconds, 0))
            elif fault.kind == "stall":
                self._faults.remove(fault)
                self._stalled += max(fault.seconds, 0)
                return False
            elif fault.kind == "skip":
                self._faults.remove(fault)
                self._next += fault.frames
                return False
        return True

    def _frame(self, sequence: int) -> Frame:
        settings = self._settings
        index = _to_and_fro(sequence, len(self._shown))
        image = self._shown[index].image
        if any(fault.frame <= sequence for fault in self._of("growth")):
            image = image.repeat(2, axis=0).repeat(2, axis=1)
        jumps = sum(fault.seconds for fault in self._of("clock_jump") if fault.frame <= sequence)
        exposed = self._stalled + (sequence / settings.rate if settings.rate else time.monotonic() - self._opened)
        metadata: dict[str, Any] = {
            "simulated": True,
            "seed": settings.seed,
            "specimen_frame": index,
            "true_nuclei": self._true_nuclei[index],
        }
        return Frame(
            array=cast("Pixels", image.copy()),
            sequence=sequence,
            device_time=exposed + jumps,
            monotonic=time.monotonic(),
            wall=time.time(),
            metadata=metadata,
            life=self._life,
        )


def _to_and_fro(sequence: int, count: int) -> int:
    """Return which of `count` frames is shown, so that neighbours in time are neighbours in the loop.

    >>> [_to_and_fro(sequence, 3) for sequence in range(7)]
    [0, 1, 2, 1, 0, 1, 2]
    >>> _to_and_fro(5, 1)
    0
    """
    if count == 1:
        return 0
    place = sequence % (2 * count - 2)
    return place if place < count else 2 * count - 2 - place
