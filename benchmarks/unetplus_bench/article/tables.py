"""The article's Tables 1 and 2 as they come out here, and the tables that go with them, as plain cells."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from unetplus_bench.article.claims import claims
from unetplus_bench.article.networks import ABLATIONS, FAMILIES, OTHER_L2, WIDTHS, name_of, tabled, title_of
from unetplus_bench.article.stated import STATED_LOSSES, STATED_SCORES
from unetplus_bench.article.timing import times_of
from unetplus_bench.article_figures import ARTICLE_FIGURES
from unetplus_edge.architecture_cost import architecture_cost
from unetplus_edge.architectures import architecture_from_name

if TYPE_CHECKING:
    from unetplus_bench.article.record import ArticleRecord, ArticleResults
    from unetplus_bench.article.timing import ModelTimes

NOT_YET = "not trained yet"
NONE = "-"
_WORDS = {True: "yes", False: "no", None: "not known yet"}
_NUMBER = {16: 1, 8: 2}
_SCORES = {
    "article_precision": "article's precision",
    "kaggle_score": "Kaggle score",
    "dice": "Dice",
    "ap50_mean": "AP50",
}


class Cells(NamedTuple):
    """A table before it is drawn.

    Attributes
    ----------
    title
        Of the table.
    header
        Of its columns.
    rows
        As many cells each.
    """

    title: str
    header: list[str]
    rows: list[list[str]]


def tables(results: ArticleResults) -> dict[str, Cells]:
    """Return all tables, by name."""
    found = {f"article-table-{width}": _models(results, width) for width in WIDTHS}
    found["article-ablations"] = _ablations(results)
    found["article-losses"] = _losses(results)
    found["article-claims"] = _claims(results)
    if any(len(results.seeds(name)) > 1 for name in tabled()):
        found["article-seeds"] = _seeds(results)
    return found


def _models(results: ArticleResults, width: int) -> Cells:
    header = ["network", "average IOU", *_SCORES.values(), "article states: IOU, precision"]
    header += ["weights", "ms/patch, Keras", "ms/patch, best here", "article's ms/patch, GTX 1080 Ti"]
    rows = []
    for family, title in FAMILIES.items():
        name = name_of(family, width)
        weights = architecture_cost(architecture_from_name(name)).weights
        stated = ARTICLE_FIGURES.get(name)
        times = times_of(results.times, name)
        rows.append(
            [
                *(title, *_scores(results, name), _above(family, width), f"{weights:,}"),
                *(_ms(times.keras), _best(times), stated.text if stated else NONE),
            ]
        )
    return Cells(f"Table {_NUMBER[width]}: B={width}", header, rows)


def _ablations(results: ArticleResults) -> Cells:
    header = ["network", "average IOU", *_SCORES.values(), "article states: IOU, precision"]
    rows = []
    for width in WIDTHS:
        name = name_of("unet_plus_plus", width)
        rows.append([f"{title_of(name)}, as in the table", *_scores(results, name), _above("unet_plus_plus", width)])
        rows += [
            [title, *_scores(results, other), _stated(other)]
            for other, title in ABLATIONS.items()
            if f"_b{width}" in other
        ]
    return Cells("U-Net++ otherwise", header, rows)


def _losses(results: ArticleResults) -> Cells:
    header = ["network", "epochs", "kept", "validation loss", "article states", "hours"]
    rows = []
    for name in (*tabled(), *ABLATIONS):
        stated = STATED_LOSSES[name.rsplit("_b", 1)[0]] if name not in ABLATIONS else NONE
        title = title_of(name)
        if name in results.records:
            record = results.records[name]
            rows.append(
                [title, str(len(record.log)), str(record.best_epoch), f"{_loss(record):.3f}", stated, _hours(record)]
            )
        else:
            rows.append([title, NONE, NONE, NOT_YET, stated, NONE])
    return Cells("Validation losses", header, rows)


def _seeds(results: ArticleResults) -> Cells:
    rows = []
    for name in tabled():
        found = results.seeds(name)
        cells = []
        for key in ("average_iou_mean", "article_precision", "kaggle_score"):
            values = [value for record in found if (value := record.scores[key]) is not None]
            cells.append(f"{np.mean(values):.3f} ± {np.std(values):.3f}" if values else NONE)
        rows.append([title_of(name), str(len(found)), *cells])
    header = ["network", "seeds", "average IOU", "article's precision", "Kaggle score"]
    return Cells("Mean ± standard deviation over seeds", header, rows)


def _claims(results: ArticleResults) -> Cells:
    rows = [[claim.sentence, claim.found or NONE, _WORDS[claim.holds]] for claim in claims(results)]
    return Cells("The article's claims", ["the article says", "here", "holds here"], rows)


def _scores(results: ArticleResults, name: str) -> list[str]:
    if not results.seeds(name):
        return [NOT_YET, *[NONE] * len(_SCORES)]
    mean, spread = (results.score(name, f"average_iou_{what}") for what in ("mean", "std"))
    iou = NONE if mean is None or spread is None else f"{mean:.3f} ± {spread:.3f}"
    return [iou, *(fraction(results.score(name, key)) for key in _SCORES)]


def _above(family: str, width: int) -> str:
    """Return what follows for a row of a table from the one that the article's text gives."""
    if family != "unet_plus_plus":
        return NONE
    stated = STATED_SCORES[OTHER_L2[width]]
    return f"above {stated.average_iou:.3f}, {stated.precision:.3f}"


def _stated(name: str) -> str:
    stated = STATED_SCORES.get(name)
    return f"{stated.average_iou:.3f} ± {stated.spread:.3f}, {stated.precision:.3f}" if stated else NONE


def _best(times: ModelTimes) -> str:
    if times.best is None:
        return NONE
    accuracy = f", average IOU {times.best.accuracy[0].average_iou:.3f}" if times.best.accuracy else ""
    return f"{_ms(times.best_ms)} ({times.best.engine} {times.best.executed_precision}{accuracy})"


def _ms(value: float | None) -> str:
    return NONE if value is None else f"{value:.1f}"


def fraction(value: float | None) -> str:
    """Return a score as a cell of a table."""
    return NONE if value is None else f"{value:.3f}"


def _loss(record: ArticleRecord) -> float:
    return min(epoch.validation_loss for epoch in record.log)


def _hours(record: ArticleRecord) -> str:
    return f"{sum(epoch.seconds for epoch in record.log) / 3600:.1f}"
