"""The camera's driver dies by SIGSEGV, and hangs by SIGSTOP, while the daemon goes on."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING, Any

from unetplus_bench.endurance.processes import is_alive
from unetplus_bench.endurance.stage import STEADY
from unetplus_bench.endurance.watched import NO_OTHER, WatchedFolder

if TYPE_CHECKING:
    from unetplus_bench.endurance.ledger import Ledger
    from unetplus_bench.endurance.served import Served
    from unetplus_bench.endurance.stage import Stage

DEAD = "a driver that was given up is dead"
ANSWERS = "the daemon answers while its driver hangs"
SAME_LIFE = "a driver that wakes up in time goes on"

_EARLY = 0.25  # of the crashes come before the first frame


def crash(stage: Stage) -> None:
    """Send SIGSEGV to the driver of a live camera, and to that of a folder, early or late in its life."""
    live = (stage.count + 1) // 2
    with stage.serve(*stage.simulated(rate=30.0), *STEADY, data_dir=stage.folder / "live") as served:
        _crash_times(stage, served, live)
        _see_crashes(stage, stage.ended(served), live)
    if stage.count == live:
        return
    watched = WatchedFolder(stage)
    options = [*stage.watching(watched.images), *STEADY]
    with watched.feed(rate=10.0) as feeder, stage.serve(*options, data_dir=stage.folder / "folder") as served:
        _crash_times(stage, served, stage.count - live)
        feeder.stop()
        served.wait(lambda: len(served.announced) >= len(feeder.put), "the last file")
        ledger = stage.ended(served)
    _see_crashes(stage, ledger, stage.count - live)
    others = watched.see(ledger, feeder)
    stage.proof.claim(NO_OTHER, not others, others)


def _crash_times(stage: Stage, served: Served, times: int) -> None:
    served.wait_for_frames()
    for life in range(times):  # each crash begins another
        pid = _driver(served, life)
        if stage.chance.random() < _EARLY and life:
            time.sleep(stage.chance.uniform(0.0, 0.3))
        else:
            _wait_for_life(served, life)
            time.sleep(stage.chance.uniform(0.0, 1.0))
        begin = time.monotonic()
        os.kill(pid, signal.SIGSEGV)
        _wait_for_life(served, life + 1)
        stage.proof.observe("seconds from a crash to the next frame", time.monotonic() - begin)
        stage.proof.claim(DEAD, not is_alive(pid), pid)
        known = stage.standing(served)
        stage.proof.claim("each crash is one restart", known["camera"]["restarts"] == life + 1, known["camera"])
        stage.step(f"crash {life + 1} of {times}")


def _see_crashes(stage: Stage, ledger: Ledger, times: int) -> None:
    reasons = [detail["reason"] for kind, detail in ledger.events if kind == "camera" and detail["state"] == "offline"]
    told = sum("SIGSEGV" in reason for reason in reasons)
    stage.proof.claim("the records tell of every crash", told == times, f"{told} of {times}")
    for run in ledger.runs:
        stage.proof.count("frames lost with a driver", run["dropped"].get("camera_lost", 0))


def stop(stage: Stage) -> None:
    """Stop the driver of a live camera by SIGSTOP; wake every other one up again once it counts as degraded."""
    with stage.serve(*stage.simulated(rate=20.0), *STEADY) as served:
        served.wait_for_frames()
        life = 0
        for number in range(stage.count):
            _wait_for_life(served, life)
            pid = _driver(served, life)
            time.sleep(stage.chance.uniform(0.0, 1.0))
            begin = time.monotonic()
            os.kill(pid, signal.SIGSTOP)
            known = served.wait(lambda: _in_state(served, "degraded"), "a camera that counts as degraded")
            stage.proof.claim(ANSWERS, known["live"] and not known["ready"], known["phase"])
            stage.proof.observe("seconds until a stopped driver counts as degraded", time.monotonic() - begin)
            if number % 2:
                os.kill(pid, signal.SIGCONT)
                served.wait_for_frames()
                same = served.announced[-1].life == life
                stage.proof.claim(SAME_LIFE, same and is_alive(pid), served.announced[-1])
                stage.proof.count("woken up")
            else:
                life += 1
                _wait_for_life(served, life)
                stage.proof.observe("seconds until a stopped driver is replaced", time.monotonic() - begin)
                stage.proof.claim(DEAD, not is_alive(pid), pid)
            stage.standing(served)
            stage.step(f"stop {number + 1} of {stage.count}")
        stage.ended(served)


def _driver(served: Served, life: int) -> int:
    """Wait until the driver is in a life, counted from 0; return its process id."""

    def find() -> int | None:
        known = served.status()
        camera = known and known["camera"]
        return camera["pid"] if camera and camera["restarts"] == life else None

    pid: int = served.wait(find, f"life {life} of the driver")
    return pid


def _wait_for_life(served: Served, life: int) -> None:
    """Wait until a frame of a life is announced."""
    served.wait(lambda: served.announced and served.announced[-1].life >= life, f"a frame of life {life}")


def _in_state(served: Served, state: str) -> dict[str, Any] | None:
    known = served.status()
    return known if known and known["camera"]["now"]["state"] == state else None
