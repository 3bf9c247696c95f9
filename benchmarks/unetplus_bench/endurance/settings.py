"""SIGHUP while frames are counted, with settings that are good, and with wrong ones."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from unetplus_bench.endurance.served import Served
    from unetplus_bench.endurance.stage import Stage

TAKEN = "good settings are at work for frames that come after them"
REFUSED = "wrong settings change nothing, and the daemon says in which file they are"
GAPLESS = "no frame is lost while settings are loaded"
TOLD = "the records tell of every SIGHUP"

_WRONG = ("durability = 3\n", "[durability]\ninterval = 7.0\n", "[record\n", "[scope]\n", "pixel_size = -1.0\n")
_EVERY = 3  # of the files is a wrong one
_ENOUGH = 12  # frames: some were on their way before


def reload(stage: Stage) -> None:
    """Write the configuration file anew and send SIGHUP, `count` times; every third file is a wrong one."""
    file = stage.folder / "serve.toml"
    file.write_text("pixel_size = 0.1\n")
    sizes: dict[str, float] = {}  # by the hash of the settings
    refused = 0
    with stage.serve("--config", str(file), *stage.simulated(rate=None)) as served:
        served.wait_for_frames(2)
        for number in range(1, stage.count + 1):
            before = stage.standing(served)["configuration"]
            if number % _EVERY:
                size = round(0.1 + number / 1000, 3)
                file.write_text(f"pixel_size = {size}\n[record]\nlabels = {str(bool(number % 2)).lower()}\n")
                now = _hup(served, before, "hash")
                sizes[now["hash"]] = size
                served.wait_for_frames(_ENOUGH)
            else:
                file.write_text(_WRONG[refused % len(_WRONG)])
                now = _hup(served, before, "error")
                refused += 1
                stage.proof.claim(REFUSED, now["hash"] == before["hash"] and str(file) in now["error"], now)
                served.wait_for_frames(2)
            time.sleep(stage.chance.uniform(0.0, 0.5))
            stage.step(f"SIGHUP {number} of {stage.count}")
        ledger = stage.ended(served)
    for settings, size in sizes.items():
        found = {row["pixel_size"] for row in ledger.frames.values() if row["configuration_hash"] == settings}
        stage.proof.claim(TAKEN, found == {size}, f"{found} instead of {size}")
    kinds = [kind for kind, _ in ledger.events]
    told = (kinds.count("configuration"), kinds.count("configuration refused"))
    stage.proof.claim(TOLD, told == (len(sizes), refused), told)
    numbers = [row["sequence"] for row in ledger.frames.values()]
    stage.proof.claim(GAPLESS, numbers == list(range(len(numbers))), f"{len(numbers)} frames")


def _hup(served: Served, before: dict[str, Any], field: str) -> dict[str, Any]:
    """Send SIGHUP; return what is known of the settings when a field of that has changed."""
    served.signal(signal.SIGHUP)

    def changed() -> dict[str, Any] | None:
        known = served.status()
        now: dict[str, Any] | None = known and known["configuration"]
        return now if now and now[field] != before[field] else None

    found: dict[str, Any] = served.wait(changed, f"a change of {field} after SIGHUP")
    return found
