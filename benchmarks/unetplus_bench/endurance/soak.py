"""Twenty minutes at the highest rate that the machine holds: memory, latency, and every frame accounted for."""

from __future__ import annotations

import time
from statistics import median
from typing import TYPE_CHECKING

from unetplus_bench.endurance.processes import marked, resident
from unetplus_bench.endurance.proof import spread

if TYPE_CHECKING:
    from unetplus_bench.endurance.ledger import Ledger
    from unetplus_bench.endurance.served import Announced
    from unetplus_bench.endurance.stage import Stage

GROWTH = "memory grows by less than 2 % from the beginning to the end"
EXPLAINED = "each frame that is not recorded is counted as dropped for a reason"
ONE_LIFE = "the driver is never started again"

_MOST = 0.02  # growth
_TRIAL = 0.04  # of the soak's length, that a rate is tried for
_STEPS = (0.95, 0.9, 0.85, 0.8, 0.75, 0.7, 0.6, 0.5, 0.4)  # of the frames that are counted without a camera's pace
_WARM = 0.1  # of the soak's length, before memory is looked at
_PART = 0.1  # of the looks that count as the beginning, and as the end
_LOOKS = 240
_IN_VAIN = "newest_only"


def soak(stage: Stage) -> None:
    """Find the highest rate that is held, then hold it for `count` seconds."""
    rate = _highest_rate(stage)
    stage.step(f"soaking at {rate:.1f} frames a second for {stage.count} s")
    proof = stage.proof
    memory: list[int] = []
    with stage.serve(*stage.simulated(rate=rate, loop=8)) as served:
        served.wait_for_frames()
        begin, warm = time.monotonic(), _WARM * stage.count
        while (passed := time.monotonic() - begin) < stage.count:
            time.sleep(min(max(0.1, stage.count / _LOOKS), stage.count - passed + 0.001))
            if passed >= warm:
                memory.append(sum(map(resident, marked(stage.mark))))
            if len(memory) % 24 == 1:
                stage.step(f"{passed:.0f} s: {len(served.announced)} frames, {memory[-1] / 2**20:.0f} MiB")
        known = stage.standing(served)
        proof.claim(ONE_LIFE, known["camera"]["restarts"] == 0, known["camera"]["now"])
        ledger = stage.ended(served)
        announced = list(served.announced)
    few = max(1, round(_PART * len(memory)))
    first, last = median(memory[:few]), median(memory[-few:])
    proof.claim(GROWTH, last < first * (1 + _MOST), f"{first / 2**20:.1f} MiB to {last / 2**20:.1f} MiB")
    within = [one for one in announced if one.heard - begin <= stage.count]
    proof.figures |= {
        "frame side": stage.side,
        "frames a second, asked for": rate,
        "frames a second, recorded": len(within) / stage.count,
        "MiB at the beginning": first / 2**20,
        "MiB at the end": last / 2**20,
        "growth": last / first - 1,
        "latency, seconds": spread([one.latency for one in within]),
        "dropped": ledger.runs[-1]["dropped"],
        "captured": ledger.runs[-1]["captured"],
        "part of the captured that was recorded": ledger.runs[-1]["processed"] / ledger.runs[-1]["captured"],
    }
    _explain(stage, announced, ledger)


def _highest_rate(stage: Stage) -> float:
    """Return the highest rate of a live camera at which nothing is dropped for a while."""
    seconds = max(2.0, _TRIAL * stage.count)
    with stage.serve(*stage.simulated(rate=None, loop=8), data_dir=stage.folder / "unpaced") as served:
        served.wait_for_frames(5)
        before = len(served.announced)
        time.sleep(seconds)
        unpaced = (len(served.announced) - before) / seconds
        stage.ended(served)
    stage.proof.figures["frames a second, without a pace"] = unpaced
    tried = {}
    for step in _STEPS:
        rate = round(step * unpaced, 1)
        with stage.serve(*stage.simulated(rate=rate, loop=8), data_dir=stage.folder / f"at-{step}") as served:
            served.wait_for_frames(3)
            before = _dropped(stage.standing(served))
            time.sleep(seconds)
            tried[f"{rate:g}"] = _dropped(stage.standing(served)) - before
            stage.ended(served)
        stage.step(f"{rate:g} frames a second: {tried[f'{rate:g}']} dropped in {seconds:.0f} s")
        if not tried[f"{rate:g}"]:
            break
    stage.proof.figures["dropped in trials, by rate"] = tried
    return rate


def _dropped(known: dict[str, dict[str, dict[str, dict[str, int]]]]) -> int:
    return known["camera"]["totals"]["dropped"].get(_IN_VAIN, 0)


def _explain(stage: Stage, announced: list[Announced], ledger: Ledger) -> None:
    """See by the numbers of the frames alone that as many are missing as were dropped."""
    run = ledger.runs[-1]
    dropped = sum(run["dropped"].values())
    numbers = [one.sequence for one in announced]
    after = run["captured"] - (max(numbers) + 1)  # captured after the last one that was recorded
    missing = max(numbers) + 1 - len(numbers)
    stage.proof.claim(EXPLAINED, missing + after == dropped, f"{missing} + {after}, {run['dropped']}")
