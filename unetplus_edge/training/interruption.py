"""Ctrl-C during a training: asked for at once, heeded between two steps."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType

    from unetplus_edge.training.fit import Progress
    from unetplus_edge.training.run_folder import EpochRecord


class Interruptible:
    """Passes on what is told of a training, and ends it after the step in which Ctrl-C was pressed.

    Python would raise KeyboardInterrupt wherever it is, and inside a framework's callback that is
    swallowed or ends in another error.

    Parameters
    ----------
    shown
        What is told in turn; None for nothing.
    """

    def __init__(self, shown: Progress | None) -> None:
        self._shown = shown
        self._asked = False

    def __enter__(self) -> Interruptible:
        """Take Ctrl-C over."""
        self._previous = signal.signal(signal.SIGINT, self._ask)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Give Ctrl-C back."""
        signal.signal(signal.SIGINT, self._previous)

    def step(self, epoch: int, done: int, total: int, loss: float) -> None:
        """Tell of a step; raise KeyboardInterrupt if that was asked for."""
        if self._asked:
            raise KeyboardInterrupt
        if self._shown:
            self._shown.step(epoch, done, total, loss)

    def epoch(self, record: EpochRecord) -> None:
        """Tell of a finished epoch."""
        if self._shown:
            self._shown.epoch(record)

    def _ask(self, *_: object) -> None:
        self._asked = True
