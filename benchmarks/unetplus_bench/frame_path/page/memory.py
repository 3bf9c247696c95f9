"""The blocks on memory: what blocks need, what a frame allocates, and what thousands leave behind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from unetplus_bench.frame_path.page.committed import part
from unetplus_bench.report.markdown import escaped, markdown_table

if TYPE_CHECKING:
    from pathlib import Path

_MIB: Final = 2**20


def blocks(results: Path) -> str:
    """Return the peak memory of processes that segment frames of several sizes block by block."""
    found = part(results, "blocks")
    block, spread = found["block"], found["spread"]
    lines = [["side of the frame", "peak memory of its process"]]
    for side, peak in found["peak_memory"].items():
        lines.append([f"{side} x {side}", escaped(peak) if isinstance(peak, str) else _mib(peak)])
    told = [f"Blocks of {block} x {block} pixels."]
    if spread is not None:
        told.append(f"The greatest peak is {100 * spread:.1f} % above the least.")
    return f"{markdown_table(lines)}\n\n{' '.join(told)}"


def steady(results: Path) -> str:
    """Return what a frame allocates once its size is known, and how the resident memory grew over a long stream."""
    one, many = part(results, "allocations"), part(results, "residence")
    first, *_, last = resident = [float(size) for size in many["resident"]]
    lines = [
        ["{} x {}, in the steady state".format(*one["frame"]), "memory"],
        ["a float32 frame of that size", _mib(one["float32_frame"])],
        ["the arrays of the result, which belong to the caller", _mib(one["result"])],
        ["most that was allocated beyond them, by Python and NumPy", _mib(one["traced_beyond_result"])],
        ["pages that the system gave during a frame, median, the result's among them", _mib(one["faulted"])],
    ]
    stream = [
        [f"{many['frames']:,} frames of {{}} x {{}}, streamed".format(*many["frame"]), "resident memory"],
        ["at first", _mib(first)],
        ["median", _mib(float(np.median(resident)))],
        ["at last", _mib(last)],
        ["growth from the second tenth to the last", f"{100 * many['growth']:+.2f} %"],
    ]
    return f"{markdown_table(lines)}\n\n{markdown_table(stream)}"


def _mib(size: float) -> str:
    return f"{size / _MIB:,.1f} MiB"
