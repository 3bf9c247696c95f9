"""The parts, and how often each does what it does."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from unetplus_bench.endurance.clock import clock
from unetplus_bench.endurance.counts import counts
from unetplus_bench.endurance.disk import disk
from unetplus_bench.endurance.driver import crash, stop
from unetplus_bench.endurance.ending import sigterm
from unetplus_bench.endurance.files import files
from unetplus_bench.endurance.killing import kill
from unetplus_bench.endurance.models import models
from unetplus_bench.endurance.server import server
from unetplus_bench.endurance.settings import reload
from unetplus_bench.endurance.soak import soak

if TYPE_CHECKING:
    from collections.abc import Callable

    from unetplus_bench.endurance.stage import Stage


class Part(NamedTuple):
    """A fault, or a group of faults.

    Attributes
    ----------
    play
        Does it.
    what
        What is done, for a table.
    full, short
        How many times; of the soak, seconds.
    side
        Of the frames, px.
    """

    play: Callable[[Stage], None]
    what: str
    full: int
    short: int
    side: int = 256


SOAK = "soak"
"""The name of the part whose figures a reader wants first."""

PARTS: dict[str, Part] = {
    "kill": Part(kill, "`kill -9` of the daemon at a random moment", 60, 4),
    "crash": Part(crash, "SIGSEGV of the camera's driver", 60, 3),
    "terminate": Part(sigterm, "SIGTERM under load", 20, 3),
    "equal": Part(counts, "file counted by `serve` and by `segment`", 60, 5),
    "files": Part(files, "broken or half-written file in a watched folder", 120, 6),
    "disk": Part(disk, "disk full, and room again", 8, 1),
    "stop": Part(stop, "SIGSTOP of the camera's driver", 20, 2),
    "server": Part(server, "MJPEG or RTSP server killed, and back", 30, 3),
    "model": Part(models, "damaged model to be loaded", 24, 8),
    "reload": Part(reload, "SIGHUP under load, with good and wrong settings", 24, 3),
    "clock": Part(clock, "clock set back or on", 24, 4),
    SOAK: Part(soak, "second at the highest rate that is held", 1200, 20, 512),
}
"""By the names that `--only` takes, in the order in which they are played."""
