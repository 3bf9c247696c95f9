"""The clock of the machine is set back, and on, while the daemon runs."""

from __future__ import annotations

import os
import shutil
import struct
import time
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from unetplus_bench.endurance import shifted_clock

if TYPE_CHECKING:
    from unetplus_bench.endurance.stage import Stage

ORDER = "records are in the order in which frames were captured"
LATENCY = "a latency is that of a clock which nobody sets"
NOTHING_GONE = "no record is removed for its age because the clock was set"
NO_RESTART = "the camera goes on in the same life"
FOLLOWED = "the daemon's wall clock was set indeed"

_MINUTE, _HOUR, _DAY = 60.0, 3600.0, 86400.0
_JUMPS = (-_HOUR, -_DAY, _MINUTE, -_MINUTE, 40 * _DAY, -40 * _DAY, _HOUR, -5.0)
_AGE = 10  # days that records are kept
_FAR = 60.0  # seconds; no frame waits that long


class Clock:
    """The wall clock of daemons that are started in `environment`.

    Parameters
    ----------
    folder
        For two files of ours.

    Attributes
    ----------
    environment
        What has to be in it.
    offset
        Seconds that it is off.
    """

    def __init__(self, folder: Path) -> None:
        self.offset = 0.0
        self._file = folder / "offset"
        self._file.write_bytes(struct.pack("=d", 0.0))
        modules = folder / "modules"
        modules.mkdir()
        shutil.copyfile(Path(shifted_clock.__file__), modules / "sitecustomize.py")
        paths = [str(modules), *filter(None, [os.environ.get("PYTHONPATH")])]
        self.environment = {"PYTHONPATH": os.pathsep.join(paths), shifted_clock.OFFSET: str(self._file)}

    def set_on(self, seconds: float) -> None:
        """Set it on, or back."""
        self.offset += seconds
        with self._file.open("r+b", buffering=0) as file:
            file.write(struct.pack("=d", self.offset))


def clock(stage: Stage) -> None:
    """Set the clock by minutes, hours and days, mostly back, with records that are kept for ten days."""
    wall = Clock(stage.folder)
    with stage.serve(
        *stage.simulated(rate=20.0),
        *("--set", f"retention.max_age={_AGE}"),
        environment=wall.environment,
    ) as served:
        served.wait_for_frames(5)
        for number in range(stage.count):
            jump = _JUMPS[number % len(_JUMPS)]
            wall.set_on(jump)
            served.wait_for_frames(5)
            known = stage.standing(served)
            off = known["last"]["captured"] - time.time() - wall.offset
            stage.proof.claim(FOLLOWED, abs(off) < _FAR, off)
            stage.proof.claim(NO_RESTART, known["camera"]["restarts"] == 0, known["camera"]["now"])
            time.sleep(stage.chance.uniform(0.0, 0.5))
            stage.step(f"clock {number + 1} of {stage.count}: {jump:+.0f} s")
        announced = list(served.announced)
        ledger = stage.ended(served)
    rows = list(ledger.frames.values())
    pairs = list(pairwise(rows))
    in_order = all(
        before["captured_monotonic"] < after["captured_monotonic"] and before["sequence"] < after["sequence"]
        for before, after in pairs
    )
    stage.proof.claim(ORDER, in_order)
    set_back = sum(after["captured"] < before["captured"] for before, after in pairs)
    stage.proof.figures["times that a record is older than the one before it, by the wall clock"] = set_back
    for one in announced:
        stage.proof.claim(LATENCY, 0 <= one.latency < _FAR, one)
    # Ids are counted from 1, so that one that is missing was removed.
    stage.proof.claim(NOTHING_GONE, list(ledger.frames) == list(range(1, len(rows) + 1)), len(rows))
