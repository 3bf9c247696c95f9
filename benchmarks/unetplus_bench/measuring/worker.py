"""The process that one row is measured in: it opens what is timed, and times it when it is told to."""

from __future__ import annotations

import os
import resource
import signal
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from unetplus_edge.errors import UnetPlusError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager
    from multiprocessing.connection import Connection

_FEWEST_WARM_CALLS = 2


class Timed(NamedTuple):
    """Something open that can be timed.

    Attributes
    ----------
    call
        What one time is of. It may return seconds by stage.
    facts
        Of a `Row`, by field: what is known once it is open.
    score
        Returns scores by name on a set of images; None where there is nothing to score.
    seconds
        Returns the seconds of one call, where a clock of its own is better than the one around it,
        as a GPU's is; None otherwise.
    """

    call: Callable[[], Mapping[str, float] | None]
    facts: dict[str, Any]
    score: Callable[[str], dict[str, float]] | None = None
    seconds: Callable[[], float] | None = None


class Subject(Protocol):
    """What a process is told to time: small, since it is sent there.

    Importing its module imports no library that is measured.
    """

    def open(self) -> AbstractContextManager[Timed]:
        """Open it; what it cannot is a `UnetPlusError`."""
        ...


def serve(connection: Connection, log: Path) -> None:
    """Answer requests until there are no more.

    Every request is a tuple of a verb and its argument, every answer a pair of whether it was done
    and what came of it, or else why not in one sentence. "open" takes a `Subject`; "warm" seconds;
    "round" a number of calls; "score" the name of a set of images; "peak" nothing. Between requests
    the process does nothing.

    Parameters
    ----------
    connection
        To the process that tells the row when its turn is.
    log
        File for what the libraries print.
    """
    # Interrupting the command is for the process that the others belong to.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _print_to(log)
    with ExitStack() as opens:
        worker = _Worker(opens)
        idle_from = (time.process_time(), time.perf_counter())
        while True:
            try:
                verb, argument = connection.recv()
            except EOFError:
                return
            idle = (time.process_time() - idle_from[0], time.perf_counter() - idle_from[1])
            connection.send(worker.answer(verb, argument, idle))
            idle_from = (time.process_time(), time.perf_counter())


class _Worker:
    def __init__(self, opens: ExitStack) -> None:
        self._opens = opens
        self._timed: Timed | None = None

    def answer(self, verb: str, argument: Any, idle: tuple[float, float]) -> tuple[bool, Any]:
        try:
            if verb == "open":
                self._timed = self._opens.enter_context(argument.open())
                return True, self._timed.facts
            if self._timed is None:
                return False, "nothing is open"
            if verb == "warm":
                return True, _warmed(self._timed, argument)
            if verb == "round":
                return True, {**_round(self._timed, argument), "idle": idle}
            if verb == "score":
                return True, self._timed.score(argument) if self._timed.score else {}
            return True, peak_memory()
        except UnetPlusError as error:
            return False, str(error)
        except Exception as error:  # whatever a library raises is the end of its row alone
            reason = next(iter(str(error).strip().splitlines()), "")
            return False, f"{type(error).__name__}: {reason}" if reason else type(error).__name__


def _warmed(timed: Timed, seconds: float) -> dict[str, float]:
    """Call for some time; return the seconds of the first call and the median of the others."""
    times = [_one(timed)[0]]
    end = time.perf_counter() + seconds
    while len(times) < 1 + _FEWEST_WARM_CALLS or time.perf_counter() < end:
        times.append(_one(timed)[0])
    return {"first": times[0], "typical": float(np.median(times[1:]))}


def _round(timed: Timed, calls: int) -> dict[str, Any]:
    times: list[float] = []
    stages: dict[str, list[float]] = {}
    for _ in range(calls):
        seconds, parts = _one(timed)
        times.append(seconds)
        for name, part in (parts or {}).items():
            stages.setdefault(name, []).append(part)
    return {"times": times, "stages": stages}


def _one(timed: Timed) -> tuple[float, Mapping[str, float] | None]:
    if timed.seconds is not None:
        return timed.seconds(), None
    begin = time.perf_counter()
    parts = timed.call()
    return time.perf_counter() - begin, parts


def peak_memory() -> int:
    """Return the largest resident memory of this process so far, in bytes."""
    status = Path("/proc/self/status")
    if status.is_file():
        # What getrusage tells begins with the memory of the process that started this one.
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _print_to(log: Path) -> None:
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(file, stream)
    os.close(file)
