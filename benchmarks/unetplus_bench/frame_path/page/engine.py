"""The blocks on how patches go to the engine: on lanes or shared by threads, and cut by which grid."""

from __future__ import annotations

from statistics import fmean, median
from typing import TYPE_CHECKING, Any, Final

from unetplus_bench.frame_path.page.committed import read
from unetplus_bench.report.markdown import escaped, markdown_table
from unetplus_runtime.pipeline import DEFAULT_GRID, PATCH_GRIDS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_SHARED, _ALONE = "threads share each patch", "one thread a patch"
_SETS: Final[Mapping[str, str]] = {
    "validation_images": "validation images that are larger than a patch",
    "simulated": "simulated frames",
}


def lanes(results: Path) -> str:
    """Return the time of a frame's patches on every engine with lanes, with and without them."""
    report = read(results, "lanes")
    times, same = report["times"], report["answers_are_the_same"]
    head = ["engine, file", *(f"ms, {way}" for way in (_SHARED, _ALONE)), "ratio", "cores' time, ratio", "same answers"]
    lines = [head]
    for name, ratio in report["one_thread_a_patch_to_shared"].items():
        shared, alone = (times[f"{name}, {way}"] for way in (_SHARED, _ALONE))
        ratios = (f"{ratio:.2f}", f"{alone['core_ms'] / shared['core_ms']:.2f}")
        equal = "yes" if same[name] else "no"
        lines.append([escaped(name), f"{shared['ms']:.0f}", f"{alone['ms']:.0f}", *ratios, equal])
    return f"{markdown_table(lines)}\n\n{report['patches']} patches at a time, medians of {report['rounds']} rounds."


def grids(results: Path) -> str:
    """Return the scores, the seams and the times of all grids, which is best by both, and which is the default."""
    report = read(results, "grids")
    tables = []
    for name, title in _SETS.items():
        count = report["images"][name]
        head = ["Kaggle score", "average IOU", "AP50, image mean", "flipped near seams / million"]
        scored = [[f"{count} {title}", *head]]
        for grid, of in report["scores"][name].items():
            scores = (f"{of[score]:.4f}" for score in ("kaggle_score", "average_iou", "ap50_mean"))
            scored.append([_title(grid), *scores, f"{of['flipped_near_seams_per_million']:,.0f}"])
        tables.append(markdown_table(scored))
    times, slower = report["times"], _to_article(report)
    timed = [["frame, ms (patches)", *map(_title, slower)]]
    for size, of in times.items():
        timed.append([size, *(f"{of[grid]['ms']:.0f} ({of[grid]['patches']})" for grid in slower)])
    timed.append(["time to `article`, median over the sizes", *(f"{ratio:.2f}" for ratio in slower.values())])
    told = (
        f"By {escaped(report['engine'])}. Of the grids that take at most 5 % longer than `article`, "
        f"`{report['best']}` has the highest mean Kaggle score; of those with patches, which every engine takes, "
        f"`{best_with_patches(report)}`. The default is `{DEFAULT_GRID}`."
    )
    return "\n\n".join([*tables, markdown_table(timed), told])


def best_with_patches(report: Mapping[str, Any]) -> str:
    """Return the best of the grids with patches by the rule of `unetplus_bench.grids.best_of`, from medians."""
    allowed = [grid for grid, ratio in _to_article(report).items() if grid in PATCH_GRIDS and ratio <= 1.05]
    sets = report["scores"].values()
    return max(allowed, key=lambda grid: fmean(of[grid]["kaggle_score"] for of in sets))


def _to_article(report: Mapping[str, Any]) -> dict[str, float]:
    sizes = list(report["times"].values())
    return {grid: median(of[grid]["ms"] / of["article"]["ms"] for of in sizes) for grid in sizes[0]}


def _title(grid: str) -> str:
    return f"`{grid}`, the default" if grid == DEFAULT_GRID else f"`{grid}`"
