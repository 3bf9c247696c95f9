"""Progress of an export, by stage."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

if TYPE_CHECKING:
    from collections.abc import Iterator


class Stages:
    """What an export is at; told by what works, shown on a terminal.

    Parameters
    ----------
    progress
        Where it is shown; None shows nothing.
    """

    def __init__(self, progress: Progress | None = None) -> None:
        self._progress = progress
        self._task = progress.add_task("") if progress else None

    def begin(self, what: str, steps: int | None = None) -> None:
        """Say what begins, and of how many steps it is, where that is known."""
        if self._progress is not None and self._task is not None:
            # A new task, since an old one's number of steps can be changed, but not forgotten.
            self._progress.remove_task(self._task)
            self._task = self._progress.add_task(what, total=steps)

    def step(self) -> None:
        """Say that a step is done."""
        if self._progress is not None and self._task is not None:
            self._progress.advance(self._task)


@contextmanager
def shown_stages(*, quiet: bool) -> Iterator[Stages]:
    """Show stages on stderr while the block runs, if that is a terminal and quiet is not asked for."""
    if quiet or not sys.stderr.isatty():
        yield Stages()
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        yield Stages(progress)
