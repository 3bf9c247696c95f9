"""The blocks on the path from a frame to its nuclei: its stages, its nuclei, and its time by the frame's size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from unetplus_bench.frame_path.page.committed import machine, part
from unetplus_bench.frame_path.path import ALONE, FRAME, STREAM
from unetplus_bench.report.markdown import escaped, markdown_table

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

FILES: Final = ("path", "path_fp32", "path_xeon")
"""Of the path; see `committed.MAKERS`. Only the first has more than the ratios."""

_STAGE: Final = "stage "
_STRAIGHT: Final = "straightforward"


def stages(results: Path) -> str:
    """Return the time of a frame beside its engine alone and the straightforward way, and that of each stage."""
    return "\n\n".join(_stages(part(results, "ratios", file), machine(results, file)) for file in FILES)


def nuclei(results: Path) -> str:
    """Return whether the path finds the nuclei of the straightforward way, on test images."""
    found = dict(part(results, "nuclei"))
    images, slow = found.pop("images"), found.pop(_STRAIGHT)
    lines = [["test images", "nuclei", "images with equal counts", "Kaggle score", "to straightforward"]]
    lines.append([_STRAIGHT, f"{slow['nuclei']:,}", "-", f"{slow['kaggle_score']:.4f}", "-"])
    for name, one in found.items():
        counts = f"{one['images_with_equal_counts']} of {images}"
        scores = (f"{one['kaggle_score']:.4f}", f"{one['kaggle_difference']:+.4f}")
        lines.append([escaped(name), f"{one['nuclei']:,}", counts, *scores])
    return markdown_table(lines)


def sizes(results: Path) -> str:
    """Return the time a pixel by the side of the frame, and what of the smallest is not its pixels' share."""
    found = part(results, "sizes")
    lines = [["side of the frame", "ns a pixel, median", "ms a frame"]]
    for side, nanoseconds in found["ns_per_pixel"].items():
        lines.append([f"{side} x {side}", f"{nanoseconds:.1f}", f"{nanoseconds * int(side) ** 2 * 1e-6:,.1f}"])
    spread = found["spread_of_2048_and_more"]
    smallest = min(map(int, found["ns_per_pixel"]))
    told = [
        f"Of the {found['smallest_ms']:.2f} ms of a frame of {smallest} x {smallest}, "
        f"{found['fixed_ms_of_the_smallest']:.2f} ms are beyond what as many pixels of a large frame take."
    ]
    if spread is not None:
        told.insert(0, f"From 2048 x 2048 on, the slowest takes {100 * spread:.1f} % more a pixel than the fastest.")
    return f"{markdown_table(lines)}\n\n{' '.join(told)}"


def _stages(found: Mapping[str, Any], machine: str) -> str:
    ms = found["ms_per_frame"]
    best = found["best_of_the_engine_alone"]
    beside = [
        [
            f"`{found['engine']['file']}`, a frame of 1024 x 1024",
            "ms, median",
            "to the engine alone",
            "times faster than straightforward",
        ]
    ]
    beside += [
        [escaped(name), f"{one:,.1f}", "1 (its best)" if name == best else "-", "-"]
        for name, one in ms.items()
        if name.startswith(ALONE)
    ]
    for name in (FRAME, STREAM):
        ratios = (found["to_the_engine_alone"][name], found["faster_than_straightforward"][name])
        beside.append([f"the path: {name}", f"{ms[name]:,.1f}", *(f"{ratio:.2f}" for ratio in ratios)])
    beside.append([_STRAIGHT, f"{ms[_STRAIGHT]:,.1f}", "-", "-"])
    parts = {name.removeprefix(_STAGE): ms[name] for name in ms if name.startswith(_STAGE)}
    total = sum(parts.values())
    shares = [["stage of a frame by itself", "ms, median", "share"]]
    shares += [[escaped(name), f"{one:.2f}", f"{100 * one / total:.1f} %"] for name, one in parts.items()]
    facts = found["engine"]
    told = f"{machine}, {facts['threads']} threads, {found['rounds']} rounds; ratios are medians over rounds."
    return "\n\n".join([markdown_table(beside), markdown_table(shares), told])
