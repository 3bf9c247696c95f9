"""The block of docs/reproduction.md on what limits U-Net+ T.C. with 16 filters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from unetplus_bench.article.limits import TRUTH, ZOO, ZOO_CORES, read_limits
from unetplus_bench.article.record import ArticleResults
from unetplus_bench.article.tables import NONE, NOT_YET, fraction
from unetplus_bench.report.markdown import markdown_table
from unetplus_edge.training.limits import NETWORK

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

TITLES: Final[Mapping[str, str]] = {
    "truth": "the true masks themselves",
    "truth_gap": f"the true masks, with a gap of {2 * TRUTH['truth_gap']} pixels between nuclei that touch",
    NETWORK: "trained as in Table 1",
    f"{NETWORK}_float32": "as in Table 1, but in float32",
    f"{NETWORK}_all_patches": "with that gap in the masks to learn, without the validation images, from corrected "
    "labels, all patches in every epoch, and with a second part at a lower learning rate",
    ZOO: "... then trained on with more weight on the gap: the model that is shipped",
    ZOO_CORES: "the same model, but its nuclei grown from cores",
}
"""What each experiment is, in the order of the table."""

_KEYS = ("average_iou_mean", "kaggle_score")


def _table(results: Path) -> str:
    folder = results / "article"
    found = read_limits(folder)
    rows = {} if found is None else {row.name: row for row in found.rows}
    table_1 = ArticleResults(folder).records.get(NETWORK)
    header = ["", "average IOU, test", "Kaggle score, test", "nuclei found, test"]
    header += ["average IOU, validation", "Kaggle score, validation"]
    lines = [header]
    for name, title in TITLES.items():
        if name == NETWORK and table_1 is not None:
            test, validation = table_1.scores, None
        elif name in rows:
            test, validation = rows[name].test, rows[name].validation
        else:
            lines.append([title, NOT_YET, *[NONE] * (len(header) - 2)])
            continue
        count, true = test["predicted_nuclei"], test["true_nuclei"]
        lines.append([title, *_scores(test), f"{count:,.0f} of {true:,.0f}", *_scores(validation)])
    return markdown_table(lines)


def _scores(scores: Mapping[str, float | None] | None) -> list[str]:
    return [fraction(None if scores is None else scores[key]) for key in _KEYS]


RENDERERS: Final[dict[str, Callable[[Path], str]]] = {"article-limits": _table}
"""Makers of the blocks, by name; each takes `benchmarks/results`."""
