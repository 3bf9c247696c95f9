"""Cameras in the network whose server is killed, and comes back."""

from __future__ import annotations

import json
import time
from itertools import groupby, pairwise
from typing import TYPE_CHECKING, Any

from unetplus_bench.endurance.camera_server import RATE, mjpeg_camera, rtsp_camera, rtsp_lacks
from unetplus_bench.endurance.processes import udp_sockets
from unetplus_bench.endurance.stage import STEADY

if TYPE_CHECKING:
    from unetplus_bench.endurance.camera_server import CameraServer
    from unetplus_bench.endurance.ledger import Ledger
    from unetplus_bench.endurance.served import Served
    from unetplus_bench.endurance.stage import Stage

LOSSY = "a record says that its picture was compressed with a loss"
BY_TCP = "an RTSP stream comes by TCP"
IN_ORDER = "pictures of an RTSP stream are recorded in the order in which they were sent"
ALL_COUNTED = "every picture of an RTSP stream is counted, by the times that its server gave them"

_BY_RTSP = 1 / 3  # of the kills
_OFF = 0.25  # periods that the time of a picture may be off


def server(stage: Stage) -> None:
    """Kill the server of an MJPEG stream, and for a third of the times, where there can be one, that of an RTSP stream.

    The figures say how often it was which, or why there was no RTSP.
    """
    lacks = rtsp_lacks()
    by_rtsp = 0 if lacks else round(stage.count * _BY_RTSP)
    kill_server(stage, mjpeg_camera(stage), stage.count - by_rtsp)
    if by_rtsp:
        kill_server(stage, rtsp_camera(stage), by_rtsp)
    if lacks:
        stage.proof.figures[_kills("RTSP")] = f"not run: {lacks}"


def kill_server(stage: Stage, camera: CameraServer, times: int) -> None:
    """Kill the server of a camera so often, and start it again after a while each time."""
    name = camera.kind.name
    options = ["--camera", f"opencv:{camera.url}", "--set", "camera.open_timeout=5", *STEADY]
    with camera, stage.serve(*options, data_dir=stage.folder / name) as served:
        served.wait_for_frames(3)
        for number in range(times):
            life = served.announced[-1].life
            camera.kill()
            stage.proof.count(_kills(name))
            served.wait(lambda: _state(served) != "online", "a camera that is not online")
            time.sleep(stage.chance.uniform(0.0, 2.0))
            stage.standing(served)
            camera.start()
            begin = time.monotonic()
            _wait_for_life_after(served, life)
            seconds = time.monotonic() - begin
            stage.proof.observe(f"seconds from the return of the {name} server to the next frame", seconds)
            served.wait_for_frames(3)
            # The status is renewed twice a second: frames may be announced before it says so.
            served.wait(lambda: _state(served) == "online", "a camera that is online again")
            known = stage.standing(served)
            if name == "RTSP":
                sockets = udp_sockets(known["camera"]["pid"])
                stage.proof.claim(BY_TCP, not sockets, f"{sockets} UDP sockets")
            stage.step(f"{name} server {number + 1} of {times}")
        ledger = stage.ended(served)
    _see_pictures(stage, ledger, name)


def _see_pictures(stage: Stage, ledger: Ledger, name: str) -> None:
    """See what the records tell of the pictures; an RTSP server, unlike an MJPEG server, gives them times."""
    for row in ledger.frames.values():
        stage.proof.claim(LOSSY, json.loads(row["metadata"])["lossy"] is True, row["metadata"])
    for run in ledger.runs:
        newer = run["dropped"].get("newest_only", 0)
        stage.proof.count(f"pictures by {name} that were dropped because a newer one came", newer)
    if name != "RTSP":
        return
    for _, rows in groupby(ledger.frames.values(), key=lambda row: row["life"]):
        _see_times(stage, list(rows))


def _see_times(stage: Stage, rows: list[dict[str, Any]]) -> None:
    """Compare the times of pictures of one connection, by the server's clock, with their numbers and our clock."""
    for before, after in pairwise(rows):
        what = [(row["sequence"], row["device_time"]) for row in (before, after)]
        passed, numbers = (after[key] - before[key] for key in ("device_time", "sequence"))
        stage.proof.claim(IN_ORDER, passed > 0 and numbers > 0, what)
        stage.proof.claim(ALL_COUNTED, abs(passed * RATE - numbers) < _OFF, what)
    delays = [row["captured_monotonic"] - row["device_time"] for row in rows]
    for delay in delays:
        stage.proof.observe(
            "seconds that a picture by RTSP is behind the freshest of its connection", delay - min(delays)
        )


def _kills(name: str) -> str:
    return f"kills of the {name} server"


def _wait_for_life_after(served: Served, life: int) -> None:
    served.wait(lambda: served.announced[-1].life > life, "a frame after that")


def _state(served: Served) -> str:
    known = served.status()
    return str(known["camera"]["now"]["state"]) if known else ""
