"""`kill -9` of the daemon at random moments: while it starts, while it counts, while it ends."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

from unetplus_bench.endurance.ledger import audit
from unetplus_bench.endurance.served import GivenUpError
from unetplus_bench.endurance.watched import NO_OTHER, WatchedFolder

if TYPE_CHECKING:
    from pathlib import Path

    from unetplus_bench.endurance.served import Announced, Served
    from unetplus_bench.endurance.stage import Stage

STARTS = "a daemon starts on what a killed one has left"

_MOMENTS = ("starting", "counting", "counting", "counting", "ending")
_ALL_FILES = ("--set", "record.frames=true", "--set", "record.labels=true")
_IDLE = "2"  # seconds


def kill(stage: Stage) -> None:
    """Kill a daemon on a live camera, then one on a folder; the last one of each ends properly.

    Each is killed half of the times. Frames and label images are recorded, so that files and rows
    have to agree as well.
    """
    live = (stage.count + 1) // 2
    data = stage.folder / "live"
    options = [*stage.simulated(rate=30.0), *_ALL_FILES]
    announced = _kill_times(stage, options, data, live)
    with stage.serve(*options, data_dir=data) as served:
        served.wait_for_frames(3)
        stage.standing(served)
        stage.ended(served, announced)
    if stage.count > live:
        _kill_on_folder(stage, stage.count - live)


def _kill_on_folder(stage: Stage, times: int) -> None:
    data = stage.folder / "folder"
    watched = WatchedFolder(stage)
    options = [*stage.watching(watched.images), *_ALL_FILES]
    with watched.feed(rate=5.0) as feeder:
        announced = _kill_times(stage, options, data, times)
    with stage.serve(*options, "--until-idle", _IDLE, data_dir=data) as served:
        code = served.end()
        stage.proof.claim("a folder is finished after all that", code == 0, served.said[-3:])
        stage.gone(served)
        ledger = audit(stage.proof, data, [*announced, *served.announced], finished=True)
    others = watched.see(ledger, feeder)
    stage.proof.claim(NO_OTHER, not others, others)


def _kill_times(stage: Stage, options: list[str], data: Path, times: int) -> list[Announced]:
    """Kill daemons on one folder so many times; return what they have announced."""
    announced: list[Announced] = []
    killed, start = 0, 0.0  # seconds that a daemon takes to its first frame
    while killed < times:
        # The first one counts, so that there are records to start on.
        moment = "counting" if not announced else stage.chance.choice(_MOMENTS)
        begin = time.monotonic()
        with stage.serve(*options, data_dir=data) as served:
            if moment == "starting":
                time.sleep(stage.chance.uniform(0.0, start))
                stage.proof.claim(STARTS, not served.has_ended, served.said[-3:])
            else:
                _wait_for_first(stage, served)
                start = time.monotonic() - begin
                time.sleep(stage.chance.uniform(0.0, 1.5))
            if moment == "ending":
                served.signal(signal.SIGTERM)
                time.sleep(stage.chance.uniform(0.0, 0.4))
            hit = not served.has_ended  # one that was asked to end may have done so in time
            served.kill()
        killed += hit
        stage.proof.count(f"killed while {moment}", int(hit))
        stage.gone(served)
        audit(stage.proof, data, served.announced, finished=False)
        announced += served.announced
        stage.step(f"kill {killed} of {times}, while {moment}, after {len(served.announced)} frames")
    return announced


def _wait_for_first(stage: Stage, served: Served) -> None:
    try:
        served.wait(lambda: served.announced, "the first frame")
    except GivenUpError as error:
        stage.proof.claim(STARTS, holds=False, found=error)
        raise
    stage.proof.claim(STARTS, holds=True)
