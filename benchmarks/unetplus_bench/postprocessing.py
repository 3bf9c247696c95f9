"""The choice of a bundle's postprocessing constants on the validation images.

`python -m unetplus_bench.postprocessing BUNDLE --out FILE` scores a grid of constants on the
validation images, of the article's method and with cores, then the best with cores and its neighbours
in the grid with nuclei joined, writes all scores to a result file and the best constants into the bundle.
"""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.progress import track

from unetplus_edge.bundle import open_bundle, update_manifest
from unetplus_edge.commands import Command, command_line
from unetplus_edge.datasets import open_dsb2018
from unetplus_edge.evaluation import score_image, score_set
from unetplus_edge.imaging import Postprocessing, label_nuclei
from unetplus_runtime import Segmenter
from unetplus_runtime.results import write_text

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from unetplus_edge.evaluation import SetScores

THRESHOLDS = (0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8)
NUCLEUS_AREAS = (10, 20, 30, 50)
CONNECTIVITIES: tuple[Any, ...] = (4, 8)

CORED_THRESHOLDS = (0.35, 0.4, 0.45, 0.5, 0.55, 0.6)
CORE_THRESHOLDS = (0.8, 0.9, 0.93, 0.95, 0.97, 0.98)
CORE_AREAS = (10, 12, 16, 20, 25, 30)

JOIN_BORDERS = (1.1, 1.3, 1.6)

MERIT = "mean of average IOU, Kaggle score, AP50 (mean over images) and 1 - relative count error"


def candidates() -> list[Postprocessing]:
    """Return the constants that are compared first: the article's method, then nuclei that grow from cores."""
    return [
        *(
            Postprocessing(threshold=threshold, min_nucleus_area=area, connectivity=connectivity)
            for threshold, area, connectivity in product(THRESHOLDS, NUCLEUS_AREAS, CONNECTIVITIES)
        ),
        *(
            Postprocessing(threshold=threshold, core_threshold=core_threshold, min_core_area=area)
            for threshold, core_threshold, area in product(CORED_THRESHOLDS, CORE_THRESHOLDS, CORE_AREAS)
        ),
    ]


def joining(best: Postprocessing) -> list[Postprocessing]:
    """Return the constants that are compared then, all of which join nuclei.

    Parameters
    ----------
    best
        The best of those with cores that join nothing; they and their neighbours in the grid are taken.
    """
    return [
        Postprocessing(threshold=threshold, core_threshold=core_threshold, min_core_area=area, join_border=border)
        for threshold, core_threshold, area, border in product(
            _near(CORED_THRESHOLDS, best.threshold),
            _near(CORE_THRESHOLDS, best.core_threshold),
            _near(CORE_AREAS, best.min_core_area),
            JOIN_BORDERS,
        )
    ]


def _near(values: tuple[float, ...], value: float | None) -> list[Any]:
    return [near for near in values if abs(values.index(near) - values.index(value)) <= 1]


def merit(scores: SetScores) -> float:
    """Return what is maximised; see `MERIT`."""
    count_error = scores.relative_count_error_mean
    parts = (
        scores.average_iou_mean or 0.0,
        scores.kaggle_score,
        scores.ap50_mean,
        0.0 if count_error is None else 1 - count_error,
    )
    return sum(parts) / len(parts)


def scored(
    maps: list[tuple[NDArray[np.float32], NDArray[np.int32]]], constants: list[Postprocessing]
) -> list[tuple[Postprocessing, SetScores]]:
    """Return the scores of each choice of constants.

    Parameters
    ----------
    maps
        Probability map and true label image of each image.
    constants
        What to compare.
    """
    return [
        (choice, score_set([score_image(truth, label_nuclei(probability, choice)) for probability, truth in maps]))
        for choice in track(constants, description="constants", transient=True)
    ]


def best_of(found: list[tuple[Postprocessing, SetScores]], cored: bool) -> Postprocessing:
    """Return the constants of the greatest merit, of those with cores or those without."""
    of_kind = [pair for pair in found if (pair[0].core_threshold is not None) is cored]
    return max(of_kind, key=lambda pair: merit(pair[1]))[0]


def _row(scores: SetScores) -> dict[str, float]:
    return {
        "merit": round(merit(scores), 5),
        "average_iou": round(scores.average_iou_mean or 0.0, 4),
        "kaggle_score": round(scores.kaggle_score, 4),
        "ap50_mean": round(scores.ap50_mean, 4),
        "ap50_pooled": round(scores.ap50_pooled, 4),
        "relative_count_error": round(scores.relative_count_error_mean or 0.0, 4),
        "predicted_nuclei": scores.predicted_nuclei,
    }


@click.command(cls=Command)
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Result file, JSON.")
@click.pass_context
def main(context: click.Context, bundle: Path, out: Path) -> None:
    """Choose the postprocessing constants of BUNDLE on the validation images."""
    opened = open_bundle(bundle)
    samples = open_dsb2018().validation
    with Segmenter(opened, engine="keras", grid="article") as segmenter:
        maps = [(segmenter.segment(sample.image()).probability.copy(), sample.labels()) for sample in samples]
    found = scored(maps, candidates())
    parting = best_of(found, cored=True)
    found += scored(maps, joining(parting))
    best, scores = max(found, key=lambda pair: merit(pair[1]))
    report = {
        "command": command_line(context),
        "bundle": opened.manifest.name,
        "keras_sha256": opened.manifest.keras_sha256,
        "images": f"{len(samples)} validation images",
        "merit": MERIT,
        "best": best.model_dump(),
        "best_that_joins_nothing": parting.model_dump(),
        "best_by_the_articles_method": best_of(found, cored=False).model_dump(),
        "candidates": [{**choice.model_dump(), **_row(score)} for choice, score in found],
    }
    write_text(out, json.dumps(report, indent=1) + "\n")
    update_manifest(opened, opened.manifest.model_copy(update={"postprocessing": best}))
    click.echo(f"{best} {_row(scores)}")


if __name__ == "__main__":
    main(prog_name="python -m unetplus_bench.postprocessing")
