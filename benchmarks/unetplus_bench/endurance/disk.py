"""A disk that is full: recording stops, counting goes on; then nothing can be written, and then there is room."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from unetplus_bench.endurance.ledger import audit
from unetplus_bench.endurance.small_disk import LimitedFiles, small_disk

if TYPE_CHECKING:
    from unetplus_bench.endurance.served import Announced, Served
    from unetplus_bench.endurance.small_disk import SmallDisk
    from unetplus_bench.endurance.stage import Stage

COUNTS = "with little room frames are counted, and nothing else of them is kept"
ANSWERS = "on a full disk the daemon answers, and says so"
SILENT = "nothing is announced while frames wait for room"
AGAIN = "with room everything is recorded again"
STARTS = "a daemon that was killed on a full disk starts again when there is room"

_SIZE = 256 << 20
_MIN_FREE = 8 << 20


def disk(stage: Stage) -> None:
    """Fill the disk so that little is left, then to the last byte, and make room, `count` times; then kill."""
    with small_disk(stage.folder / "disk", _SIZE) as room:
        stage.proof.figures["disk"] = room.how
        data = room.folder / "data"
        kept = ("--set", "record.frames=true", "--set", f"retention.min_free={_MIN_FREE}")
        options = [*stage.simulated(rate=10.0), *kept]
        with stage.serve(*options, data_dir=data) as served:
            served.wait_for_frames(3)
            for number in range(stage.count):
                _fill_and_make_room(stage, served, room)
                stage.step(f"full {number + 1} of {stage.count}")
            room.fill(served)
            _wait_for(served, active=False, held=True)
            served.kill()
        room.make_room(served)
        stage.gone(served)
        audit(stage.proof, data, served.announced, finished=False)
        with stage.serve(*options, data_dir=data) as again:
            again.wait_for_frames(3)
            last = again.announced[-1]
            ledger = stage.ended(again, served.announced)
        stage.proof.claim(STARTS, bool(ledger.frames[last.id]["recording"]), ledger.frames[last.id])


def _fill_and_make_room(stage: Stage, served: Served, room: SmallDisk) -> None:
    if not isinstance(room, LimitedFiles):
        room.fill(served, leave=_MIN_FREE // 2)
        _wait_for(served, active=False)
        served.wait_for_frames(3)
        known = stage.standing(served)
        stage.proof.claim(COUNTS, not known["last"]["recording"], known["recording"])
        time.sleep(stage.chance.uniform(0.0, 0.5))
    room.fill(served)
    begin = time.monotonic()
    known = _wait_for(served, active=False, held=True)
    stage.proof.observe("seconds until frames wait for room", time.monotonic() - begin)
    stage.proof.claim(ANSWERS, known["live"] and bool(known["recording"]["reason"]), known["recording"])
    time.sleep(stage.chance.uniform(0.5, 1.5))
    first, told = _wait_for(served, held=True), _told_in(served, 0.5)
    if _recording(served)["since"] == first["recording"]["since"]:
        stage.proof.claim(SILENT, not told, told)
    stage.standing(served)
    room.make_room(served)
    begin = time.monotonic()
    known = _wait_for(served, active=True, held=False)
    served.wait(lambda: (served.status() or {"last": {"recording": False}})["last"]["recording"], "a recorded frame")
    stage.proof.observe("seconds until everything is recorded again", time.monotonic() - begin)
    stage.proof.claim(AGAIN, known["recording"]["active"] and not known["recording"]["reason"], known["recording"])
    stage.standing(served)


def _wait_for(served: Served, **wanted: bool) -> dict[str, Any]:
    """Wait until the state of recording has these values; return the status."""

    def reached() -> dict[str, Any] | None:
        known = served.status()
        if known is None or known["recording"] is None:
            return None
        return known if all(known["recording"][name] == value for name, value in wanted.items()) else None

    known: dict[str, Any] = served.wait(reached, f"recording with {wanted}")
    return known


def _recording(served: Served) -> dict[str, Any]:
    known = served.wait(served.status, "an answer to a question")
    recording: dict[str, Any] = known["recording"]
    return recording


def _told_in(served: Served, seconds: float) -> list[Announced]:
    before = len(served.announced)
    time.sleep(seconds)
    return served.announced[before:]
