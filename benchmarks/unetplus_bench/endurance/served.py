"""A daemon in a process of its own, and what it announces."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from threading import Thread
from typing import TYPE_CHECKING, Any, NamedTuple

from unetplus_bench.endurance.processes import MARK
from unetplus_edge.errors import NotRunningError, UnetPlusError
from unetplus_runtime.daemon.control import ask

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

PATIENCE = 180.0
"""Seconds that anything may take, on however slow a machine, before a part is given up."""

COMMAND = (sys.executable, "-c", "from unetplus_runtime.command import main; main()")
"""`unetplus-runtime`, of this Python."""

_PAUSE = 0.02
_SAID = 30  # lines of a daemon that are shown where a part is given up


class GivenUpError(UnetPlusError):
    """A part could not be finished."""


class Announced(NamedTuple):
    """A frame of which the daemon has told that it is committed.

    Attributes
    ----------
    id
        Of its record.
    life, sequence
        As in `unetplus_runtime.cameras.Frame`.
    nuclei
        How many there are.
    latency
        Seconds from the capture to this.
    file, page
        Where it is from; None of a live camera.
    heard
        When this process heard of it, as `time.monotonic` counts.
    """

    id: int
    life: int
    sequence: int
    nuclei: int
    latency: float
    file: str | None
    page: int | None
    heard: float


class Served:
    """`unetplus-runtime serve` at work.

    Parameters
    ----------
    data_dir
        Where it records.
    options
        Of the command.
    mark
        By which its processes are told from all others.
    environment
        What else is in its environment.

    Attributes
    ----------
    data_dir
        As given.
    announced
        What it has told; a thread adds to it as long as the daemon speaks.
    said
        Its last lines.
    """

    def __init__(
        self, data_dir: Path, options: Sequence[str], mark: str, environment: Mapping[str, str] | None = None
    ) -> None:
        self.data_dir = data_dir
        self.announced: list[Announced] = []
        self.said: list[str] = []
        self._process = subprocess.Popen(
            [*COMMAND, "serve", "--data-dir", str(data_dir), "--log-json", "--set", "log.level=debug", *options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            env=os.environ | {MARK: mark} | dict(environment or {}),
        )
        self._listener = Thread(target=self._listen, daemon=True)
        self._listener.start()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def has_ended(self) -> bool:
        """Whether it has."""
        return self._process.poll() is not None

    def status(self) -> dict[str, Any] | None:
        """Return what it knows of itself; None where it does not answer."""
        try:
            known: dict[str, Any] = ask(self.data_dir, {"do": "status"}, timeout=30)["status"]
        except NotRunningError:
            return None
        return known if known["pid"] == self.pid else None

    def wait(self, condition: Callable[[], Any], what: str, patience: float = PATIENCE) -> Any:
        """Wait until a condition is true, and return what it returned.

        Raises
        ------
        GivenUpError
            If the daemon ends, or it takes too long.
        """
        deadline = time.monotonic() + patience
        while True:
            ended = self.has_ended
            found = condition()
            if found:
                return found
            if ended or time.monotonic() > deadline:
                why = "the daemon has ended" if ended else f"it took more than {patience:g} s"
                raise GivenUpError(f"{what}: {why}; it said last:\n" + "\n".join(self.said[-_SAID:]))
            time.sleep(_PAUSE)

    def wait_for_frames(self, more: int = 1) -> None:
        """Wait until it has announced so many frames more than now."""
        wanted = len(self.announced) + more
        self.wait(lambda: len(self.announced) >= wanted, f"{more} more frames")

    def wait_for_phase(self, *phases: str) -> dict[str, Any]:
        """Wait until it says that it is in one of these phases; return its status."""

        def reached() -> dict[str, Any] | None:
            known = self.status()
            return known if known is not None and known["phase"] in phases else None

        known: dict[str, Any] = self.wait(reached, f"phase {' or '.join(phases)}")
        return known

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def kill(self) -> None:
        """Kill it, and hear what it has said until then."""
        self._process.kill()
        self.end()

    def terminate(self) -> int:
        """Ask it to end; return its exit code."""
        self.signal(signal.SIGTERM)
        return self.end()

    def end(self) -> int:
        """Wait until it has ended, and hear its last words; return its exit code.

        Raises
        ------
        GivenUpError
            If it does not end.
        """
        try:
            code = self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise GivenUpError(f"the daemon has not ended in {PATIENCE:g} s") from None
        self._listener.join(PATIENCE)
        if self._listener.is_alive():
            raise GivenUpError("the daemon has ended, but somebody still holds its stderr")
        return code

    def __enter__(self) -> Served:
        return self

    def __exit__(self, *_: object) -> None:
        if not self.has_ended:
            self._process.kill()
        self._process.wait()
        self._listener.join(PATIENCE)

    def _listen(self) -> None:
        assert self._process.stderr is not None  # noqa: S101 - it is a pipe
        with self._process.stderr as lines:
            for line in lines:
                heard = _announcement(line)
                if heard is None:
                    self.said.append(line.rstrip())
                    del self.said[:-_SAID]
                else:
                    self.announced.append(heard)


def _announcement(line: str) -> Announced | None:
    if '"frame committed"' not in line:
        return None
    try:
        told = json.loads(line)
    except ValueError:  # the last line of a daemon that was killed
        return None
    return Announced(
        id=told["id"],
        life=told["life"],
        sequence=told["sequence"],
        nuclei=told["nuclei"],
        latency=told["latency"],
        file=told.get("file"),
        page=told.get("page"),
        heard=time.monotonic(),
    )
