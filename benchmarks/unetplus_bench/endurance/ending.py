"""SIGTERM under load: frames come faster than they can be counted, and the daemon is asked to end."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

from unetplus_bench.endurance.ledger import audit
from unetplus_bench.endurance.stage import ENDED

if TYPE_CHECKING:
    from unetplus_bench.endurance.served import Announced
    from unetplus_bench.endurance.stage import Stage

IN_TIME = "it ends within its deadline"
EVERYTHING = "nothing is in the database that was not announced, if it had the time"
AT_ONCE = "a second SIGTERM ends it at once, with exit code 128 + 15, or it has ended already"

_DEADLINE = 10.0  # seconds, of the daemon
_ABORTED = 128 + signal.SIGTERM
_TWICE = 0.25  # of the daemons get a second one


def sigterm(stage: Stage) -> None:
    """End daemons at random moments, some of them by a second signal at once; the last one by one alone."""
    data = stage.folder / "data"
    announced: list[Announced] = []
    for number in range(stage.count):
        # A live camera and one that waits take turns; both give more than can be counted.
        camera = stage.simulated(rate=500.0 if number % 2 else None)
        is_last = number == stage.count - 1
        twice = not is_last and stage.chance.random() < _TWICE
        with stage.serve(*camera, "--set", f"stopping.deadline={_DEADLINE:g}", data_dir=data) as served:
            served.wait_for_frames()
            time.sleep(stage.chance.uniform(0.0, 1.5))
            stage.standing(served)
            begin = time.monotonic()
            served.signal(signal.SIGTERM)
            if twice:
                time.sleep(stage.chance.uniform(0.0, 0.3))
                if not served.has_ended:
                    served.signal(signal.SIGTERM)
            code = served.end()
            seconds = time.monotonic() - begin
        stage.gone(served)
        announced += served.announced
        if twice:
            stage.proof.claim(AT_ONCE, code in (0, _ABORTED), code)
            stage.proof.count("ended by a second SIGTERM", int(code == _ABORTED))
        else:
            stage.proof.claim(ENDED, code == 0, (code, served.said[-3:]))
            stage.proof.claim(IN_TIME, seconds <= _DEADLINE, f"{seconds:.1f} s")
            stage.proof.observe("seconds to end", seconds)
        ledger = audit(stage.proof, data, served.announced, finished=not twice)
        if not twice:
            run = ledger.runs[-1]
            rows = {row["id"] for row in ledger.frames.values() if row["run"] == run["id"]}
            stage.proof.claim(EVERYTHING, rows == {one.id for one in served.announced}, run)
        stage.step(f"SIGTERM {number + 1} of {stage.count}: exit code {code} after {seconds:.1f} s")
    audit(stage.proof, data, announced, finished=True)
