"""Playing one part, and what is written of it, even if it could not be finished."""

from __future__ import annotations

import random
import time
from datetime import datetime, timezone
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from unetplus_bench.device import code_version
from unetplus_bench.endurance.parts import PARTS
from unetplus_bench.endurance.processes import kill_marked
from unetplus_bench.endurance.result import PartRecord, claims_of, runtime_hash
from unetplus_bench.endurance.stage import Model, Stage
from unetplus_edge.errors import UnetPlusError

if TYPE_CHECKING:
    from collections.abc import Callable

_GONE = 10.0  # seconds in which a process that was killed is gone


def play(
    name: str,
    count: int,
    model: Model,
    seed: int,
    folder: Path | None = None,
    say: Callable[[str], None] | None = None,
) -> PartRecord:
    """Play a part.

    Parameters
    ----------
    name
        One of `PARTS`.
    count
        How many times; of the soak, seconds.
    model
        What counts.
    seed
        Of the moments and places; each part draws its own from it.
    folder
        Where its files go, in a folder of their own that is removed; None takes the system's.
    say
        Is told how it goes.
    """
    part = PARTS[name]
    begin, started = time.monotonic(), datetime.now(timezone.utc)

    def step(words: str) -> None:
        if say is not None:
            say(f"{time.monotonic() - begin:7.1f} s  {name}: {words}")

    error = None
    with TemporaryDirectory(prefix=f"unetplus-{name}-", dir=folder) as scratch:
        chance = random.Random(f"{seed} {name}")  # noqa: S311 - moments, no secrets
        stage = Stage(Path(scratch), model, count, chance, part.side, step)
        try:
            part.play(stage)
        except UnetPlusError as given_up:
            error = str(given_up)
        except Exception as mistake:  # whatever a part meets, the next one is played
            error = f"{type(mistake).__name__}: {mistake}"
        finally:
            # An interruption may come while a daemon is started, before anybody could end it.
            kill_marked(stage.mark, _GONE)
    return PartRecord(
        what=part.what,
        count=count,
        seed=seed,
        side=part.side,
        model=model.bundle.name,
        engine=model.engine,
        threads=model.threads,
        started=started.isoformat(timespec="seconds"),
        seconds=round(time.monotonic() - begin, 1),
        commit=code_version(),
        runtime=runtime_hash(),
        claims=claims_of(stage.proof),
        figures=stage.proof.summed_up(),
        error=error,
    )
