"""A camera in the network whose server is killed, and comes back."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from unetplus_bench.endurance.processes import MARK
from unetplus_bench.endurance.served import GivenUpError
from unetplus_bench.endurance.stage import STEADY

if TYPE_CHECKING:
    from unetplus_bench.endurance.served import Served
    from unetplus_bench.endurance.stage import Stage

_RATE = 15.0


class CameraServer:
    """The MJPEG server's process. It is a context manager.

    Parameters
    ----------
    side
        Of its pictures, px.
    mark
        By which its process is told from all others.
    """

    def __init__(self, side: int, mark: str) -> None:
        self._side, self._mark, self._port = side, mark, 0
        self.start()

    @property
    def url(self) -> str:
        """Where its pictures are."""
        return f"http://127.0.0.1:{self._port}/stream.mjpg"

    def start(self) -> None:
        """Start it, at the same address every time.

        Raises
        ------
        GivenUpError
            If it does not start.
        """
        self._process = subprocess.Popen(
            [sys.executable, "-m", "unetplus_bench.endurance.mjpeg", *map(str, (self._port, _RATE, self._side))],
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {MARK: self._mark},
        )
        assert self._process.stdout is not None  # noqa: S101 - it is a pipe
        said = self._process.stdout.readline()
        if not said:
            raise GivenUpError("the MJPEG server does not start")
        self._port = int(said)

    def kill(self) -> None:
        """Kill it."""
        self._process.kill()
        self._process.communicate()

    def __enter__(self) -> CameraServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


def server(stage: Stage) -> None:
    """Kill the MJPEG server, and start it again after a while."""
    with CameraServer(stage.side, f"{stage.mark}-server") as camera:
        options = ["--camera", f"opencv:{camera.url}", "--set", "camera.open_timeout=5", *STEADY]
        with stage.serve(*options) as served:
            served.wait_for_frames(3)
            for number in range(stage.count):
                life = served.announced[-1].life
                camera.kill()
                served.wait(lambda: _state(served) != "online", "a camera that is not online")
                time.sleep(stage.chance.uniform(0.0, 2.0))
                stage.standing(served)
                camera.start()
                begin = time.monotonic()
                _wait_for_life_after(served, life)
                stage.proof.observe("seconds from the server's return to the next frame", time.monotonic() - begin)
                served.wait_for_frames(3)
                # The status is renewed twice a second: frames may be announced before it says so.
                served.wait(lambda: _state(served) == "online", "a camera that is online again")
                stage.standing(served)
                stage.step(f"server {number + 1} of {stage.count}")
            stage.ended(served)


def _wait_for_life_after(served: Served, life: int) -> None:
    served.wait(lambda: served.announced[-1].life > life, "a frame after that")


def _state(served: Served) -> str:
    known = served.status()
    return str(known["camera"]["now"]["state"]) if known else ""
