"""A machine as facts are read from it: its files below a root folder, and its commands with a time limit."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unetplus_edge.errors import UnetPlusError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_SYSTEM_FOLDERS = ("/usr/sbin", "/sbin")  # of nvpmodel, and not on everyone's path


class AbsentError(UnetPlusError):
    """A fact that this machine does not tell, and why."""


@dataclass(frozen=True)
class Machine:
    """Where facts are read.

    Attributes
    ----------
    root
        The folder that stands for "/": files and commands are looked for below it alone.
    """

    root: Path = Path("/")

    @property
    def is_this_one(self) -> bool:
        """Whether it is the machine that this process runs on."""
        return self.root == Path("/")

    def text(self, path: str) -> str:
        """Return what a file says, without white space and zero bytes at its ends.

        Parameters
        ----------
        path
            Below the root, such as "proc/cpuinfo".

        Raises
        ------
        AbsentError
            If it cannot be read.
        """
        try:
            content = (self.root / path).read_bytes()
        except OSError as error:
            raise AbsentError(f"/{path}: {error.strerror or type(error).__name__}") from error
        return content.decode(errors="replace").strip("\0 \t\r\n")

    def number(self, path: str) -> int:
        """Return the whole number that a file says.

        Raises
        ------
        AbsentError
            If it cannot be read, or says something else.
        """
        text = self.text(path)
        try:
            return int(text)
        except ValueError:
            raise AbsentError(f"/{path} is no number") from None

    def text_or_none(self, path: str) -> str | None:
        """Return what a file says, None if it cannot be read."""
        try:
            return self.text(path)
        except AbsentError:
            return None

    def number_or_none(self, path: str) -> int | None:
        """Return the whole number that a file says, None if it cannot be read or says something else."""
        try:
            return self.number(path)
        except AbsentError:
            return None

    def find(self, pattern: str) -> list[str]:
        """Return the paths below the root that a pattern matches, cpu2 before cpu10."""
        try:
            found = [path.relative_to(self.root).as_posix() for path in self.root.glob(pattern)]
        except OSError:
            return []
        return sorted(found, key=_natural)

    def command(self, name: str) -> str:
        """Return where a command lies.

        Raises
        ------
        AbsentError
            If it is not installed.
        """
        folders = [*os.environ.get("PATH", os.defpath).split(os.pathsep), *_SYSTEM_FOLDERS]
        below = os.pathsep.join(str(self.root / folder.lstrip("/")) for folder in folders if folder)
        found = shutil.which(name, path=below)
        if found is None:
            raise AbsentError(f"{name} is not installed")
        return found

    def run(self, name: str, *words: str, seconds: float = 5.0, accept: tuple[int, ...] = (0,)) -> str:
        """Return what a command prints.

        Parameters
        ----------
        name, words
            The command and its arguments; no shell reads them.
        seconds
            After which it is ended.
        accept
            Exit codes of a command that answered.

        Raises
        ------
        AbsentError
            If it is not installed, takes too long or fails.
        """
        with self.start(name, *words, errors=subprocess.PIPE) as process:
            try:
                printed, complaints = process.communicate(timeout=seconds)
            except subprocess.TimeoutExpired:
                end(process)
                raise AbsentError(f"{name} took more than {seconds:g} s") from None
        output = printed.decode(errors="replace")
        if process.returncode not in accept:
            raise AbsentError(f"{name} failed ({_complaint(output, complaints, process.returncode)})")
        return output

    def start(self, name: str, *words: str, errors: int = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
        """Start a command whose output is read; who starts it sees to its end, see `end`.

        Raises
        ------
        AbsentError
            If it is not installed, or cannot be started.
        """
        try:
            return subprocess.Popen(
                [self.command(name), *words],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                env={**os.environ, "LC_ALL": "C"},
                start_new_session=True,
            )
        except OSError as error:
            raise AbsentError(f"{name}: {error.strerror or type(error).__name__}") from error

    def first_line(self, name: str, *words: str, seconds: float = 5.0) -> str:
        """Return the first line of a command that prints lines without end, and end it.

        Raises
        ------
        AbsentError
            If it is not installed, or prints none in time.
        """
        process = self.start(name, *words)
        limit = threading.Timer(seconds, end, [process])
        limit.start()
        with process:
            line = process.stdout.readline() if process.stdout else b""
            limit.cancel()
            end(process)
        if not line.strip():
            raise AbsentError(f"{name} printed nothing in {seconds:g} s")
        return line.decode(errors="replace").strip()


def end(process: subprocess.Popen[bytes]) -> None:
    """End a command that `Machine.start` started, with what it started itself and what would hold its output open."""
    if hasattr(os, "killpg"):
        # Of a process that nobody waited for yet the number is still its own.
        if process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()


def gather(machine: Machine, readers: Mapping[str, Callable[[Machine], Any]]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the facts that readers find, by name, and why the others are absent.

    What a reader cannot make sense of is absent too: no file's content ends a measurement.
    """
    facts: dict[str, Any] = {}
    absent: dict[str, str] = {}
    for name, read in readers.items():
        fact, reason = _ask(machine, read)
        if reason is None:
            facts[name] = fact
        else:
            absent[name] = reason
    return facts, absent


def _ask(machine: Machine, read: Callable[[Machine], Any]) -> tuple[Any, str | None]:
    try:
        fact = read(machine)
        json.dumps(fact, allow_nan=False)  # a ValueError for what no result file can hold
    except AbsentError as error:
        return None, str(error)
    except (ValueError, LookupError, ArithmeticError) as error:
        return None, f"what was read makes no sense ({type(error).__name__})"
    return fact, None


def _complaint(output: str, errors: bytes, code: int) -> str:
    lines = [line.strip() for line in (errors.decode(errors="replace") + "\n" + output).splitlines() if line.strip()]
    if not lines:
        return f"exit code {code}"
    home = str(Path.home())
    return lines[0].replace(home, "~") if len(home) > 1 else lines[0]


def _natural(path: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"([0-9]+)", path)]
