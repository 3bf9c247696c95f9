"""The curves of trainings: how the validation loss falls, as in the article's Fig. 1."""

from __future__ import annotations

from typing import TYPE_CHECKING

from unetplus_edge.errors import OutputError
from unetplus_edge.files import whole_file

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from unetplus_edge.training.run_folder import EpochRecord


def draw_curves(logs: Mapping[str, Sequence[EpochRecord]], path: Path, *, logarithmic: bool = False) -> None:
    """Draw validation loss over epochs, one line a model (Long 2020, Fig. 1).

    Parameters
    ----------
    logs
        The log of each model, by the name that the legend has for it.
    path
        The picture; its ending is the format, `.png` or `.svg`.
    logarithmic
        Whether equal steps of the loss's axis are equal ratios, which tells models apart that begin high.

    Raises
    ------
    OutputError
        If the picture cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for name, records in logs.items():
        axes.plot(
            [record.epoch for record in records], [record.validation_loss for record in records], marker=".", label=name
        )
    axes.set_xlabel("epoch")
    axes.set_ylabel("validation loss")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if logarithmic:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 1.2, 1.5, 2, 3, 5)))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_locator(NullLocator())
    axes.grid(alpha=0.3)
    axes.legend()
    try:
        with whole_file(path) as unfinished:
            figure.savefig(unfinished, format=path.suffix.lstrip("."), dpi=150)
    except OSError as error:
        raise OutputError(f"{path} cannot be written ({error.strerror}); free the disk or the folder") from error
