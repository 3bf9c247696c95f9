"""The article's Figures 1 and 2, drawn from what was measured here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from unetplus_bench.article.networks import FAMILIES, WIDTHS, name_of, title_of
from unetplus_bench.article.record import FIGURES, FiguresRecord
from unetplus_bench.article.scoring import GRID, by_the_article
from unetplus_edge.errors import InputError
from unetplus_edge.evaluation import error_overlay
from unetplus_edge.training.curves import draw_curves
from unetplus_runtime.results import result_file, write_text
from unetplus_runtime.segmenter import Segmenter

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from unetplus_bench.article.record import ArticleResults
    from unetplus_edge.bundle import Bundle
    from unetplus_edge.datasets import Sample

OVERLAYS: Final = "article_overlays.png"
_SHOWN = 6
_TILE = 1.2  # inches


def losses_file(width: int) -> str:
    """Return the name of the picture of the validation losses of a table's models."""
    return f"article_losses_b{width}.png"


def draw_losses(results: ArticleResults, folder: Path) -> list[str]:
    """Draw Fig. 1, validation losses over epochs, a picture for each width; return the names of the files."""
    drawn = []
    for width in WIDTHS:
        names = [name_of(family, width) for family in FAMILIES if name_of(family, width) in results.records]
        logs = {title_of(name): results.records[name].log for name in names}
        if logs:
            folder.mkdir(parents=True, exist_ok=True)
            draw_curves(logs, folder / losses_file(width), logarithmic=True)
            drawn.append(losses_file(width))
    return drawn


def shown_images(samples: Sequence[Sample]) -> list[Sample]:
    """Return the images of the overlays: from few nuclei to many, chosen before anything was segmented.

    In the order of their numbers of nuclei, the middle one of each sixth.
    """
    if len(samples) < _SHOWN:
        raise InputError(f"overlays are of {_SHOWN} images, and there are {len(samples)}; name the whole data set")
    ordered = sorted(samples, key=lambda sample: (int(sample.labels().max()), sample.id))
    return [ordered[(2 * number + 1) * len(ordered) // (2 * _SHOWN)] for number in range(_SHOWN)]


def draw_overlays(
    bundles: Mapping[str, Bundle], samples: Sequence[Sample], command: str, pictures: Path, results: Path
) -> FiguresRecord:
    """Draw Fig. 2, where each model errs on six test images, and write down what it was made of.

    Parameters
    ----------
    bundles
        The models by name, from left to right.
    samples
        The test images.
    command
        As it was typed.
    pictures
        Folder of the picture.
    results
        Folder of the record.
    """
    shown = shown_images(samples)
    columns = {"image": [_square(sample.image()) for sample in shown]}
    for name, bundle in bundles.items():
        with Segmenter(by_the_article(bundle), engine="keras", grid=GRID) as segmenter:
            columns[title_of(name)] = [
                _square(error_overlay(sample.labels(), segmenter.segment(sample.image()).labels)) for sample in shown
            ]
    _draw(columns, pictures / OVERLAYS)
    record = FiguresRecord(
        command=command,
        images=tuple(sample.id for sample in shown),
        models={name: bundle.manifest.keras_sha256 for name, bundle in bundles.items()},
    )
    write_text(results / f"{FIGURES}.json", record.model_dump_json(indent=1) + "\n")
    return record


def _square(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the middle of a picture."""
    side = min(picture.shape[:2])
    top, left = ((length - side) // 2 for length in picture.shape[:2])
    return picture[top : top + side, left : left + side]


def _draw(columns: Mapping[str, Sequence[NDArray[np.uint8]]], path: Path) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_TILE * len(columns), _TILE * _SHOWN + 0.3), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(_SHOWN, len(columns), squeeze=False)
    for column, (title, pictures) in enumerate(columns.items()):
        grid[0][column].set_title(title.replace(", ", "\n"), fontsize=7)
        for row, picture in enumerate(pictures):
            grid[row][column].imshow(picture, cmap="gray")
            grid[row][column].set_axis_off()
    with result_file(path) as unfinished:
        figure.savefig(unfinished, format="png", dpi=150)
