"""How far a training is, on the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from types import TracebackType

    from unetplus_edge.training.run_folder import EpochRecord

# Time left is judged by all steps of the run, so that the pauses for validation are spread over them.
_SPEED_SECONDS = 1e6


class TerminalProgress:
    """A line an epoch on stderr, and on a terminal a bar with the time left for the whole run.

    Parameters
    ----------
    epochs
        Epochs of the whole training.
    finished
        Epochs that were finished before.
    """

    def __init__(self, epochs: int, finished: int) -> None:
        console = Console(stderr=True)
        self._epochs = epochs
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
            speed_estimate_period=_SPEED_SECONDS,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("making patches", total=epochs, completed=finished)

    def __enter__(self) -> TerminalProgress:
        """Show the bar."""
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Leave the bar as it is."""
        self._bar.stop()

    def step(self, epoch: int, done: int, total: int, loss: float) -> None:
        """Move the bar by a step."""
        text = f"epoch {epoch}/{self._epochs}  loss {loss:.4f}"
        self._bar.update(self._task, completed=epoch - 1 + done / total, description=text)

    def epoch(self, record: EpochRecord) -> None:
        """Print what an epoch came to."""
        self._bar.console.print(
            f"epoch {record.epoch}/{self._epochs}: loss {record.loss:.4f}, validation loss "
            f"{record.validation_loss:.4f}, {record.patches} patches in {record.seconds:.0f} s",
            highlight=False,
            soft_wrap=True,
        )
