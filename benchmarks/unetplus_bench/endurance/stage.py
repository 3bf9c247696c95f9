"""Where a part is played: its folder, its model, its chance, and the daemons that it starts."""

from __future__ import annotations

import csv
import subprocess
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unetplus_bench.endurance.ledger import audit
from unetplus_bench.endurance.processes import left_behind, marked, orphaned_names, shared_names
from unetplus_bench.endurance.proof import Proof
from unetplus_bench.endurance.served import COMMAND, PATIENCE, Announced, GivenUpError, Served

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Mapping

    from unetplus_bench.endurance.ledger import Ledger

ALONE = "no process of the daemon is left"
CLEAN = "nothing is left in /dev/shm"
ALIVE = "the daemon goes on in the same process"
STANDING = "captured = processed + dropped + in flight, while it runs"
ENDED = "it ends with exit code 0"

_QUICK = 10.0  # seconds in which processes of a daemon that is gone are gone, too

STEADY = ("--set", "restarts.first=0.05", "--set", "restarts.longest=0.5", "--set", "restarts.storm=100000")
"""Options by which a driver that fails is started again quickly, however often it does."""


@dataclass(frozen=True)
class Model:
    """The model that counts.

    Attributes
    ----------
    bundle
        Its folder.
    engine
        What runs it, or "auto".
    threads
        Of the engine; None for every core.
    """

    bundle: Path
    engine: str = "auto"
    threads: int | None = None

    @property
    def options(self) -> list[str]:
        """Options of `serve` and of `segment` that name it."""
        threads = [] if self.threads is None else ["--threads", str(self.threads)]
        return ["--bundle", str(self.bundle), "--engine", self.engine, *threads]


@dataclass(frozen=True)
class Stage:
    """What a part works with.

    Attributes
    ----------
    folder
        For whatever the part writes.
    model
        What counts.
    count
        How many times the fault is done.
    chance
        Draws moments and places.
    side
        Of the frames, px.
    step
        To be called with a few words on what was just done.
    proof
        Where it is said what was seen.
    mark
        By which processes are told from all others.
    before
        Names of shared memory that were there before.
    """

    folder: Path
    model: Model
    count: int
    chance: random.Random
    side: int
    step: Callable[[str], None] = lambda _: None
    proof: Proof = field(default_factory=Proof)
    mark: str = field(default_factory=lambda: uuid.uuid4().hex)
    before: set[str] = field(default_factory=shared_names)

    def serve(
        self, *options: str, data_dir: Path | None = None, environment: Mapping[str, str] | None = None
    ) -> Served:
        """Start a daemon with the model and with these options, on `folder / "data"` if nothing else is said."""
        fixed = [*self.model.options, "--set", "retention.min_free=0"]
        if any(option.startswith("retention.min_free=") for option in options):
            del fixed[-2:]
        return Served(data_dir or self.folder / "data", [*fixed, *options], self.mark, environment)

    def simulated(self, *options: str, rate: float | None = 20.0, loop: int = 4) -> list[str]:
        """Return options for a simulated camera with frames of the stage's size, and others of this camera."""
        fields = {"height": self.side, "width": self.side, "rate": "none" if rate is None else rate, "loop": loop}
        settings = [f"camera.{name}={value}" for name, value in fields.items()]
        return ["--camera", "simulated", *(word for one in (*settings, *options) for word in ("--set", one))]

    def watching(self, images: Path, *options: str) -> list[str]:
        """Return options for a camera that looks into a folder often, and others of this camera."""
        settings = ["camera.settle=0.3", "camera.poll=0.1", *options]
        return ["--camera", f"folder:{images}", *(word for one in settings for word in ("--set", one))]

    def standing(self, served: Served) -> dict[str, Any]:
        """See that a daemon runs and that its counts add up; return its status."""
        self.proof.claim(ALIVE, not served.has_ended, served.said[-3:])
        known: dict[str, Any] = served.wait(served.status, "an answer to a question")
        totals = (known["camera"] or {}).get("totals")
        if totals is not None:
            whole = totals["processed"] + sum(totals["dropped"].values()) + totals["in_flight"]
            self.proof.claim(STANDING, totals["captured"] == whole and known["balanced"], totals)
        return known

    def gone(self, served: Served) -> None:
        """See that a daemon which has ended left nothing behind but its records."""
        self.proof.claim(ALONE, not left_behind(self.mark, _QUICK), marked(self.mark))
        orphans = orphaned_names(self.before, _QUICK)
        self.proof.claim(CLEAN, not orphans, orphans)
        self.proof.count("frames announced", len(served.announced))

    def ended(self, served: Served, announced: list[Announced] | None = None, *, nuclei: bool = True) -> Ledger:
        """End a daemon by SIGTERM, and see that everything is there: all that was announced on its folder."""
        code = served.terminate()
        self.proof.claim(ENDED, code == 0, (code, served.said[-3:]))
        self.gone(served)
        everything = [*(announced or []), *served.announced]
        return audit(self.proof, served.data_dir, everything, finished=True, nuclei=nuclei)

    def segmented(self, images: Path) -> dict[tuple[str, int], int]:
        """Return how many nuclei `segment` finds in each page of the files of a folder, by name and page from 0.

        Raises
        ------
        GivenUpError
            If it fails.
        """
        out = self.folder / f"segmented-{images.name}"
        command = [*COMMAND, "segment", str(images), "--out", str(out), "--quiet", *self.model.options]
        done = subprocess.run(command, capture_output=True, text=True, timeout=10 * PATIENCE, check=False)
        if done.returncode:
            raise GivenUpError(f"segment has failed: {done.stderr.strip()}")
        with (out / "summary.csv").open(newline="", encoding="utf-8") as file:
            return {(Path(row["file"]).name, int(row["page"]) - 1): int(row["nuclei"]) for row in csv.DictReader(file)}
