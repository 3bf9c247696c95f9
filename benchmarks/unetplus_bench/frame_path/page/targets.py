"""What the fast path was meant to reach, beside what was measured."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from unetplus_bench.frame_path.page.committed import machine, part, read
from unetplus_bench.frame_path.page.path import FILES
from unetplus_bench.frame_path.page.preprocessing import RIVALS, own_times, rival_times
from unetplus_bench.frame_path.path import FRAME, STREAM
from unetplus_bench.report.markdown import escaped, markdown_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

FASTER_THAN_SCIKIT_IMAGE: Final = 20
MS_A_PATCH: Final = 0.5
TO_THE_ENGINE_ALONE: Final = 1.25
FASTER_THAN_STRAIGHTFORWARD: Final = 6
EQUAL_COUNTS: Final = (50, 53)
KAGGLE_DIFFERENCE: Final = 0.003
SPREAD_OF_SIZES: Final = 0.10
GROWTH: Final = 0.01

_WEIGHT: Final = 0.05
"""Of the denoising, in every recipe."""


class Line(NamedTuple):
    """A target and what was measured.

    Attributes
    ----------
    what
        Is measured.
    target, measured
        As they are shown.
    met
        Whether it is reached; None where no limit was set.
    """

    what: str
    target: str
    measured: str
    met: bool | None


def table(results: Path) -> str:
    """Return all targets, what was measured, and whether it is enough."""
    groups = (
        ("preprocessing", _preprocessing(read(results, "preprocessing"))),
        *((file, _ratios(part(results, "ratios", file))) for file in FILES),
        ("path", _path(results)),
        ("path", _memory(results)),
    )
    lines = [["what", "target", "measured", "met", "machine"]]
    lines += [
        [escaped(line.what), line.target, line.measured, _said(line.met), machine(results, file)]
        for file, group in groups
        for line in group
    ]
    return markdown_table(lines)


def _preprocessing(report: Mapping[str, Any]) -> Iterator[Line]:
    beside, rivals = own_times(report["beside_scikit_image"]), rival_times(report)
    most = max(row.threads for row in beside)
    threads = f"{most} threads"
    for row in (row for row in beside if row.threads == most):
        for rival in RIVALS:
            faster = rivals[rival] / row.ms
            what = f"{row.way}, {threads}: times faster than {rival}"
            enough = faster >= FASTER_THAN_SCIKIT_IMAGE
            yield Line(what, f"at least {FASTER_THAN_SCIKIT_IMAGE}", f"{faster:.1f}", enough)
    mean = next(found["mean"] for found in report["distances"] if found["weight"] == _WEIGHT)
    limit = mean["scikit-image"]
    rows = own_times(report["rows"])
    for way in dict.fromkeys(row.way for row in rows):
        what = f"{way}: mean distance to the converged solution, thousandths"
        yield Line(what, f"at most scikit-image's {1e3 * limit:.2f}", f"{1e3 * mean[way]:.2f}", mean[way] <= limit)
    sides = sorted({row.side for row in rows})
    for way in dict.fromkeys(row.way for row in rows):
        for side, each in product(dict.fromkeys((sides[0], sides[-1])), (False, True)):
            ms = [row.ms for row in rows if (row.way, row.side, row.threads, row.each) == (way, side, most, each)]
            if ms:
                how = "with a frame each: ms a patch" if each else "on one frame: ms a patch, any bit depth"
                what = f"{way}, {threads} {how}, {side} x {side}"
                measured = f"{min(ms):.2f}" if each else f"{min(ms):.2f} to {max(ms):.2f}"
                yield Line(what, f"at most {MS_A_PATCH:g}", measured, max(ms) <= MS_A_PATCH)


def _ratios(ratios: Mapping[str, Any]) -> Iterator[Line]:
    model = ratios["engine"]["file"]
    for name in (FRAME, STREAM):
        ratio = ratios["to_the_engine_alone"][name]
        what = f"{model}, {name}, 1024 x 1024: time to that of the engine alone"
        yield Line(what, f"at most {TO_THE_ENGINE_ALONE:g}", f"{ratio:.2f}", ratio <= TO_THE_ENGINE_ALONE)
    for name in (FRAME, STREAM):
        faster = ratios["faster_than_straightforward"][name]
        what = f"{model}, {name}, 1024 x 1024: times faster than the straightforward way"
        enough = faster >= FASTER_THAN_STRAIGHTFORWARD
        yield Line(what, f"at least {FASTER_THAN_STRAIGHTFORWARD}", f"{faster:.1f}", enough)


def _path(results: Path) -> Iterator[Line]:
    found = part(results, "nuclei")
    images, (equal, of) = found["images"], EQUAL_COUNTS
    for name in (name for name in found if name not in ("images", "straightforward")):
        same, difference = found[name]["images_with_equal_counts"], found[name]["kaggle_difference"]
        what = f"{name}: images with as many nuclei as by the straightforward way"
        yield Line(what, f"at least {equal} of {of}", f"{same} of {images}", same * of >= equal * images)
        what = f"{name}: Kaggle score to the straightforward way's"
        enough = abs(difference) <= KAGGLE_DIFFERENCE
        yield Line(what, f"within {KAGGLE_DIFFERENCE:g}", f"{difference:+.4f}", enough)
    spread = part(results, "sizes")["spread_of_2048_and_more"]
    if spread is not None:
        what = "time a pixel from 2048 x 2048 on: slowest to fastest"
        yield Line(what, f"within {_percent(SPREAD_OF_SIZES)}", f"{100 * spread:.1f} %", spread <= SPREAD_OF_SIZES)


def _memory(results: Path) -> Iterator[Line]:
    blocks, one, many = (part(results, name) for name in ("blocks", "allocations", "residence"))
    if blocks["spread"] is not None:
        sides = list(blocks["peak_memory"])
        what = f"peak memory block by block, frames of {sides[0]} to {sides[-1]} pixels a side: greatest to least"
        yield Line(what, "flat", f"{100 * blocks['spread']:+.1f} %", None)
    what = f"resident memory over {many['frames']:,} frames, after the first tenth"
    target = f"grows by less than {_percent(GROWTH)}"
    yield Line(what, target, f"{100 * many['growth']:+.2f} %", many["growth"] < GROWTH)
    frame, beyond = one["float32_frame"], one["traced_beyond_result"]
    what = "allocated for a frame in the steady state, beyond its result"
    yield Line(what, "less than a frame", f"{beyond / frame:.3f} of a float32 frame", beyond < frame)


def _percent(share: float) -> str:
    return f"{100 * share:g} %"


def _said(met: bool | None) -> str:
    return "no limit was set" if met is None else "yes" if met else "**no**"
