"""Measuring in rounds: every row in a process of its own, one of them at work at a time.

Rows take turns, in an order drawn anew for every round, so that a machine that becomes slower or
faster on the way does so for all of them. A row that fails, crashes or hangs ends with a sentence,
and the others go on.
"""

from __future__ import annotations

import multiprocessing
import random
import signal
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from unetplus_bench.measuring.worker import serve

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from unetplus_bench.measuring.worker import Subject

_SETTLE = 0.02
"""Seconds before each turn, in which the threads of the row before fall asleep."""

_SLOWEST = 30
"""As a multiple of the expected seconds of a round, what a very busy machine may take."""


@dataclass(frozen=True)
class Schedule:
    """How long and how often is measured.

    Attributes
    ----------
    rounds
        Turns of every row.
    seconds
        Length of a turn: as many calls as filled this time when warming up, at least one.
    warm_up
        Seconds of calls before the first round, which are not kept.
    calls
        Calls of a turn, in place of what `seconds` comes to.
    images
        Set of images that every row is scored on after the last round; None scores nothing.
    seed
        Of the order of the rows in each round.
    patience
        Seconds after which a row that does not answer is ended.
    runs, run_seconds
        Of the service in the scope "camera": how often, and the length of each.
    """

    rounds: int = 8
    seconds: float = 0.4
    warm_up: float = 0.8
    calls: int | None = None
    images: str | None = None
    seed: int = 0
    patience: float = 300.0
    runs: int = 1
    run_seconds: float = 10.0


@dataclass
class Measured:
    """What was measured of a row.

    Attributes
    ----------
    facts
        As the opened subject tells them.
    rounds
        Seconds of every call, a list a round.
    stages
        Seconds of every stage of every call.
    first_seconds
        Of the first call.
    peak_memory
        Of the process, in bytes.
    scores
        By name, on the images of the schedule.
    joules
        Used by the board in all turns, where it measures that.
    idle_share
        Cores that the process kept busy while it was not its turn.
    error
        Why there is nothing, in one sentence.
    """

    facts: dict[str, Any] = field(default_factory=dict)
    rounds: list[list[float]] = field(default_factory=list)
    stages: dict[str, list[float]] = field(default_factory=dict)
    first_seconds: float | None = None
    peak_memory: int | None = None
    scores: dict[str, float] = field(default_factory=dict)
    joules: float | None = None
    idle_share: float = 0.0
    error: str | None = None


def measure_rounds(
    subjects: Sequence[Subject],
    schedule: Schedule,
    done: Callable[[], None] = lambda: None,
    power_meter: Callable[[], AbstractContextManager[Any]] | None = None,
) -> list[Measured]:
    """Measure subjects, each in a process of its own, in turns.

    Parameters
    ----------
    subjects
        What to time.
    schedule
        How long and how often.
    done
        Called after each of `steps(schedule)` for every subject.
    power_meter
        Makes what measures the energy of a turn: a context manager with `joules`, a number or None.

    Returns
    -------
    list of Measured
        One a subject, in the same order.
    """
    with TemporaryDirectory(prefix="unetplus-bench-") as folder, ExitStack() as ends:
        rows = [_Row(subject, Path(folder) / f"{number}.log", schedule) for number, subject in enumerate(subjects)]
        for row in rows:
            ends.callback(row.end)
            row.open()
            done()
        for number in range(schedule.rounds):
            turns = list(rows)
            random.Random(f"{schedule.seed} {number}").shuffle(turns)  # noqa: S311
            for row in turns:
                row.turn(power_meter)
                done()
        for row in rows:
            row.finish()
            done()
        return [row.measured for row in rows]


def steps(schedule: Schedule) -> int:
    """Return how often `measure_rounds` tells of progress, for every subject."""
    return schedule.rounds + 2


class _FailedError(Exception):
    """A row cannot go on; its text is the row's sentence."""


class _Row:
    """A row and its process, which is ended with the first thing that goes wrong."""

    def __init__(self, subject: Subject, log: Path, schedule: Schedule) -> None:
        self.measured = Measured()
        self._subject, self._log, self._schedule = subject, log, schedule
        self._calls = 1
        self._expected = 0.0
        self._idle = np.zeros(2)
        self._process: Any = None

    def open(self) -> None:
        # A fresh interpreter: libraries do not survive a fork once they have threads.
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=serve, args=(theirs, self._log), daemon=True)
        self._process.start()
        # Otherwise the end of the process would not be the end of the pipe.
        theirs.close()
        self._attempt(self._open)

    def _open(self) -> None:
        self.measured.facts = self._ask("open", self._subject)
        warmed = self._ask("warm", self._schedule.warm_up, self._schedule.warm_up)
        self.measured.first_seconds = warmed["first"]
        self._calls = self._schedule.calls or max(1, round(self._schedule.seconds / warmed["typical"]))
        self._expected = self._calls * warmed["typical"]

    def turn(self, power_meter: Callable[[], AbstractContextManager[Any]] | None) -> None:
        if self.measured.error is None:
            self._attempt(lambda: self._turn(power_meter))

    def _turn(self, power_meter: Callable[[], AbstractContextManager[Any]] | None) -> None:
        time.sleep(_SETTLE)
        if power_meter is None:
            answer = self._ask("round", self._calls, self._expected)
        else:
            with power_meter() as meter:
                answer = self._ask("round", self._calls, self._expected)
            if meter.joules is not None:
                self.measured.joules = (self.measured.joules or 0.0) + meter.joules
        self.measured.rounds.append(answer["times"])
        for name, seconds in answer["stages"].items():
            self.measured.stages.setdefault(name, []).extend(seconds)
        if len(self.measured.rounds) > 1:
            # Before the first turn libraries may still tidy up after opening.
            self._idle += answer["idle"]
            self.measured.idle_share = float(self._idle[0] / self._idle[1])

    def finish(self) -> None:
        if self.measured.error is None:
            self._attempt(self._finish)
        self.end()

    def _finish(self) -> None:
        # Scoring needs memory that measuring does not.
        self.measured.peak_memory = self._ask("peak", None)
        if self._schedule.images is not None:
            # Some hundred calls, with reading the images and comparing the answers.
            self.measured.scores = self._ask("score", self._schedule.images, 60.0)

    def end(self) -> None:
        """End the process. Ending it twice is no error."""
        if self._process is None:
            return
        self._connection.close()
        self._process.kill()
        self._process.join()
        self._process.close()
        self._process = None

    def _attempt(self, work: Callable[[], None]) -> None:
        try:
            work()
        except _FailedError as error:
            self.measured.error = str(error)
            self.end()

    def _ask(self, verb: str, argument: Any, expected: float = 0.0) -> Any:
        patience = self._schedule.patience + _SLOWEST * expected
        try:
            self._connection.send((verb, argument))
            if not self._connection.poll(patience):
                raise _FailedError(f"its process did not answer within {patience:.0f} s and was ended")
            fine, answer = self._connection.recv()
        except (EOFError, OSError):
            raise _FailedError(self._ending()) from None
        if not fine:
            raise _FailedError(answer)
        return answer

    def _ending(self) -> str:
        """Return how the process ended by itself."""
        self._process.join()
        code = self._process.exitcode
        lines = self._log.read_text(errors="replace").strip().splitlines() if self._log.is_file() else []
        said = f"; its last words were: {lines[-1].strip()}" if lines else ""
        if code < 0:
            name = signal.Signals(-code).name
            memory = ", as a system does that is out of memory" if name == "SIGKILL" else ""
            return f"its process was ended by {name}{memory}{said}"
        return f"its process left with code {code}{said}"
