"""The blocks on preprocessing: its times, scikit-image's beside them, distances to the solution, scores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from unetplus_bench.frame_path.page.committed import read
from unetplus_bench.report.markdown import escaped, markdown_table
from unetplus_edge.zoo import DEFAULT, find_bundle

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

RIVALS: Final = ("scikit-image, float64, weight 0.05", "scikit-image, float32, weight 0.05")
"""scikit-image's denoising at the weight of the recipes, everything else at its defaults."""

_TRAINED: Final = "as trained"
_EACH: Final = "with a frame each"


class Time(NamedTuple):
    """A time of this project's preprocessing.

    Attributes
    ----------
    way
        Scheme and iterations, as "chambolle 30".
    depth
        Of the frame's pixels, as "8 bits".
    threads
        That shared the frame, or had one each.
    each
        Whether they had one each, as frames of a stream have.
    side
        Of the frame, in pixels.
    ms
        Median milliseconds a patch of 256 x 256 pixels.
    """

    way: str
    depth: str
    threads: int
    each: bool
    side: int
    ms: float


def own_times(rows: Sequence[Mapping[str, Any]]) -> list[Time]:
    """Return the rows of a result file that are of this project's preprocessing."""
    found = []
    for row in rows:
        if " threads" in row["name"]:
            way, depth, threads = row["name"].split(", ")
            each = threads.endswith(_EACH)
            found.append(Time(way, depth, int(threads.split()[0]), each, row["side"], row["ms_per_patch"]))
    return found


def rival_times(report: Mapping[str, Any]) -> dict[str, float]:
    """Return the milliseconds a patch of what is not this project's, by name."""
    rows = report["beside_scikit_image"]
    return {row["name"]: row["ms_per_patch"] for row in rows if " threads" not in row["name"]}


def times(results: Path) -> str:
    """Return milliseconds a patch by scheme and bit depth, for every side of the frame and number of threads."""
    rows = own_times(read(results, "preprocessing")["rows"])
    settings = list(dict.fromkeys((row.side, row.threads) for row in rows))
    ms = {(row.way, row.depth, row.each, row.side, row.threads): f"{row.ms:.2f}" for row in rows}
    lines = [["ms a patch, median", *(f"{side} x {side}, {_threads(count)}" for side, count in settings)]]
    for way, depth, each in sorted(dict.fromkeys((*row[:2], row.each) for row in rows), key=lambda row: row[2]):
        title = f"{escaped(way)}, {depth}" + (", a frame on each thread" if each else "")
        lines.append([title, *(ms.get((way, depth, each, side, count), "-") for side, count in settings)])
    return markdown_table(lines)


def beside_scikit_image(results: Path) -> str:
    """Return what was timed in turns with scikit-image, and how many times faster this project's preprocessing is."""
    report = read(results, "preprocessing")
    rivals = rival_times(report)
    slow = [name for name in rivals if name.startswith("scikit-image")]
    lines = [["in turns, 256 x 256", "ms a patch, median", *(f"times faster than {escaped(name)}" for name in slow)]]
    lines += [[escaped(name), f"{ms:.2f}", *("-" for _ in slow)] for name, ms in rivals.items()]
    for row in own_times(report["beside_scikit_image"]):
        name = f"{escaped(row.way)} with CLAHE, {row.depth}, {_threads(row.threads)}"
        lines.append([name, f"{row.ms:.2f}", *(f"{rivals[other] / row.ms:.1f}" for other in slow)])
    return markdown_table(lines)


def distances(results: Path) -> str:
    """Return how far from the converged solution each way of denoising ends, and how many iterations are enough."""
    report = read(results, "preprocessing")
    found = report["distances"]
    enough = [
        {f"{scheme} {number}" for scheme, number in one["iterations_as_near_as_scikit_image"].items() if number}
        for one in found
    ]
    timed = {row.way for row in own_times(report["rows"])}
    names = ["image as it is", "scikit-image", *sorted(timed.union(*enough))]
    lines = [["mean distance, thousandths", *(f"weight {one['weight']:g}" for one in found)]]
    lines += [[escaped(name), *(f"{1e3 * one['mean'][name]:.2f}" for one in found)] for name in names]
    for scheme in found[0]["iterations_as_near_as_scikit_image"]:
        fewest = [one["iterations_as_near_as_scikit_image"][scheme] for one in found]
        title = f"iterations of {escaped(scheme)} that come as near as scikit-image"
        lines.append([title, *("more than were tried" if number is None else str(number) for number in fewest)])
    patches = report["patches"].partition(";")[0]
    return f"{markdown_table(lines)}\n\nThe solution is {escaped(report['converged'])}; on {escaped(patches)}."


def scores(results: Path) -> str:
    """Return what a bundle scores behind each way of preprocessing, and which one the shipped bundle is run with."""
    found = read(results, "preprocessing")["scores"]
    trained = found["ways"][_TRAINED]["kaggle_score"]
    lines = [["preprocessing", "Kaggle score", "to as trained", "average IOU", "AP50, image mean"]]
    for name, of in found["ways"].items():
        cells = [f"{of['kaggle_score']:.3f}", f"{of['kaggle_score'] - trained:+.3f}"]
        lines.append([escaped(name), *cells, f"{of['average_iou']:.3f}", f"{of['ap50_mean']:.3f}"])
    shipped = find_bundle(DEFAULT).manifest.recipe.preprocessing
    return (
        f"{markdown_table(lines)}\n\n`{found['bundle']}` by {found['engine']} in fp32, {found['images']} validation "
        f"images. The shipped `{DEFAULT}` is trained and run with `{shipped.tv_scheme}` and "
        f"{shipped.tv_iterations} iterations."
    )


def _threads(count: int) -> str:
    return f"{count} thread" if count == 1 else f"{count} threads"
