"""The scope camera: the service that runs beside a camera, with a simulated one that gives frames at a fixed rate.

Every run is a service of its own, with a data folder of its own, until the camera has given its last
frame; what became of every frame is read from the records that the service leaves.
"""

from __future__ import annotations

import math
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from unetplus_bench.measuring.rounds import Measured
from unetplus_bench.results import CameraRecord
from unetplus_edge.errors import EngineError, InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from unetplus_edge.manifest import EngineName, Precision

MOST = 10_000.0
"""Frames a second that the simulated camera can be asked for."""

_LOOK = 0.05
SERVE = ("-c", "from unetplus_runtime.command import main; main()", "serve")
"""What Python is told to run the service, whatever its command is called."""


@dataclass(frozen=True)
class CameraSubject:
    """The service with a bundle on one engine, and frames that come at a fixed rate.

    Parameters
    ----------
    bundle
        Folder of the bundle.
    engine, execution, threads
        As `unetplus_runtime.open_engine` takes them.
    shape
        Height and width of the frames.
    rate
        Frames a second.
    """

    bundle: Path
    engine: EngineName
    execution: Precision | None
    threads: int | None
    shape: tuple[int, int]
    rate: float

    def options(self, data_dir: Path, frames: int) -> list[str]:
        """Return what the service is started with.

        Parameters
        ----------
        data_dir
            For its records.
        frames
            After how many the camera ends, and with it the service.
        """
        height, width = self.shape
        settings = {"height": height, "width": width, "rate": f"{self.rate:g}", "frames": frames}
        chosen = {"execution": self.execution, "threads": self.threads}
        return [
            *("--camera", "simulated", "--bundle", str(self.bundle), "--engine", self.engine),
            *(word for name, value in chosen.items() if value is not None for word in (f"--{name}", str(value))),
            *("--data-dir", str(data_dir)),
            *(word for name, value in settings.items() for word in ("--set", f"camera.{name}={value}")),
        ]


@dataclass
class _Watched:
    """What one or several runs came to."""

    rounds: list[list[float]] = field(default_factory=list)
    stages: dict[str, list[float]] = field(default_factory=dict)
    seconds: float = 0.0
    processed: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    peak_memory: int = 0


def measure_cameras(
    subjects: Sequence[CameraSubject],
    runs: int,
    seconds: float,
    *,
    seed: int = 0,
    patience: float = 300.0,
    done: Callable[[], None] = lambda: None,
) -> list[Measured]:
    """Run the service for every subject, one at a time, and read what became of the frames.

    Parameters
    ----------
    subjects
        What to run.
    runs
        How often each, in an order drawn anew every time.
    seconds
        Of frames, in every run. All of them count: a service warms its model up before it opens its camera.
    seed
        Of the order.
    patience
        Seconds after which a service that has not ended by itself is ended.
    done
        Called after each run.

    Returns
    -------
    list of Measured
        One a subject, in the same order. `rounds` has a list a run: the seconds from the capture of a frame
        to its measured nuclei. `facts` has the `CameraRecord`.
    """
    watched = [_Watched() for _ in subjects]
    errors: dict[int, str] = {}
    for number in range(runs):
        turns = list(range(len(subjects)))
        random.Random(f"{seed} {number}").shuffle(turns)  # noqa: S311
        for turn in turns:
            if turn not in errors:
                try:
                    _run(subjects[turn], seconds, patience, watched[turn])
                except (EngineError, InputError) as error:
                    errors[turn] = str(error)
            done()
    return [
        Measured(error=errors[number]) if number in errors else _measured(subject, seen)
        for number, (subject, seen) in enumerate(zip(subjects, watched, strict=True))
    ]


def _measured(subject: CameraSubject, seen: _Watched) -> Measured:
    camera = CameraRecord(
        rate=subject.rate,
        seconds=seen.seconds,
        processed=seen.processed,
        dropped=seen.dropped,
    )
    return Measured(facts={"camera": camera}, rounds=seen.rounds, stages=seen.stages, peak_memory=seen.peak_memory)


def _run(subject: CameraSubject, seconds: float, patience: float, seen: _Watched) -> None:
    """Run the service once, and add what became of its frames."""
    frames = math.ceil(subject.rate * seconds)
    with TemporaryDirectory(prefix="unetplus-bench-") as folder:
        data_dir, log = Path(folder) / "data", Path(folder) / "log"
        with log.open("wb") as said:
            # In a group of its own, so that none of its processes outlives it, nor gets our interrupts.
            service = subprocess.Popen(
                [sys.executable, *SERVE, *subject.options(data_dir, frames)],
                stdout=said,
                stderr=said,
                stdin=subprocess.DEVNULL,
                env={name: value for name, value in os.environ.items() if not name.startswith("UNETPLUS_SERVE__")},
                start_new_session=True,
            )
        deadline = time.monotonic() + patience + frames / subject.rate
        try:
            memory = _ended(service, log, deadline)
        finally:
            _end(service)
        seen.peak_memory = max(seen.peak_memory, memory)
        _read(data_dir, frames, seen)
    seen.seconds += frames / subject.rate


def _ended(service: subprocess.Popen[bytes], log: Path, deadline: float) -> int:
    """Wait until the service has ended; return its largest resident memory in bytes."""
    while time.monotonic() < deadline:
        pid, status, usage = os.wait4(service.pid, os.WNOHANG)
        if pid:
            service.returncode = os.waitstatus_to_exitcode(status)
            if service.returncode != 0:
                raise EngineError(_ending(service.returncode, log))
            return usage.ru_maxrss * 1024
        time.sleep(_LOOK)
    raise EngineError(f"the service did not end after its camera's last frame; {_last_words(log)}")


def _end(service: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(service.pid, signal.SIGKILL)
    if service.returncode is None:
        service.wait()


def _read(data_dir: Path, frames: int, seen: _Watched) -> None:
    """Add what became of the frames of a run."""
    from unetplus_runtime.records import RecordReader

    with RecordReader(data_dir) as reader:
        totals = reader.totals()
        records = [committed.record for committed in reader.frames()]
    settled = totals.processed + sum(totals.dropped.values())
    if settled != frames:
        raise EngineError(f"the camera gave {frames} frames, and {settled} are told to be processed or dropped")
    if not records:
        raise EngineError(f"not one of {frames} frames got through; ask for a longer run with --seconds")
    seen.rounds.append([record.processed - record.captured for record in records])
    for record in records:
        for stage, seconds in record.timings.items():
            seen.stages.setdefault(stage, []).append(seconds)
    seen.processed += totals.processed
    for reason, count in totals.dropped.items():
        if count:
            seen.dropped[reason] = seen.dropped.get(reason, 0) + count


def _ending(code: int, log: Path) -> str:
    how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"left with code {code}"
    return f"the service {how}; {_last_words(log)}"


def _last_words(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return f"its last words were: {lines[-1].strip()}" if lines else "it said nothing"
