"""A progress bar for commands that take long."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextmanager
def progress_bar(title: str, total: int, *, quiet: bool = False) -> Iterator[Callable[[], None]]:
    """Show a bar on stderr while the block runs, if that is a terminal.

    Parameters
    ----------
    title
        What goes on.
    total
        How many steps there are.
    quiet
        Show nothing.

    Yields
    ------
    callable
        To be called after every step.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    hidden = quiet or not sys.stderr.isatty()
    with Progress(*columns, console=Console(stderr=True), disable=hidden, transient=True) as progress:
        task = progress.add_task(title, total=total)
        yield lambda: progress.advance(task)
