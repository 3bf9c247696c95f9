"""The demo: simulated frames, segmented by the zoo's model, counts beside the truth."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from rich.table import Table

from unetplus_edge.datasets.specimen import Specimen, simulate
from unetplus_edge.evaluation import outline_overlay, score_image, tiled
from unetplus_runtime.results import write_picture

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from unetplus_runtime.segmenter import Segmenter

FRAMES = 12
"""Frames of a demo: about 1,000 nuclei, so that no single odd frame decides on the total."""

_TILE, _COLUMNS = 300, 4


@dataclass(frozen=True, eq=False)
class DemoFrame:
    """One frame of the demo.

    Attributes
    ----------
    seed
        Of its specimen.
    true, found
        Number of nuclei.
    ap50
        TP / (TP + FP + FN) at IOU 0.5.
    timings
        Seconds by stage, for what the segmenter did.
    seconds
        Seconds of the whole segmentation.
    image, overlay
        The frame, and its picture with outlines: uint8 RGB.
    """

    seed: int
    true: int
    found: int
    ap50: float
    timings: dict[str, float]
    seconds: float
    image: NDArray[np.generic]
    overlay: NDArray[np.uint8]


def demo_frames(segmenter: Segmenter, *, frames: int, side: int, seed: int) -> Iterator[DemoFrame]:
    """Simulate frames of as many specimens and segment them.

    Parameters
    ----------
    segmenter
        What segments them.
    frames
        How many.
    side
        Height and width of a frame in pixels.
    seed
        Of the first specimen; the next ones follow.
    """
    segmenter.segment(simulate(Specimen(height=side, width=side, seed=seed)).image)  # what is set up once is not timed
    for number in range(seed, seed + frames):
        simulated = simulate(Specimen(height=side, width=side, seed=number))
        begin = time.perf_counter()
        result = segmenter.segment(simulated.image)
        seconds = time.perf_counter() - begin
        yield DemoFrame(
            seed=number,
            true=len(np.unique(simulated.labels[simulated.labels > 0])),
            found=len(result.nuclei),
            ap50=score_image(simulated.labels, result.labels).ap50,
            timings=dict(result.timings),
            seconds=seconds,
            image=simulated.image,
            overlay=outline_overlay(simulated.image, result.labels),
        )


def save_pictures(frames: list[DemoFrame], out: Path) -> list[Path]:
    """Write each frame with its outlines, and all of them on one sheet; return the paths.

    Raises
    ------
    OutputError
        If the folder cannot be written.
    """
    sheet = tiled((frame.overlay for frame in frames), columns=min(len(frames), _COLUMNS), side=_TILE)
    paths = [out / "demo.png", *(out / f"seed{frame.seed}_overlay.png" for frame in frames)]
    for path, picture in zip(paths, (sheet, *(frame.overlay for frame in frames)), strict=True):
        write_picture(path, picture)
    return paths


def count_table(frames: list[DemoFrame], title: str) -> Table:
    """Return a table of true and found counts, frame by frame and in total."""
    table = Table(title=title)
    for column in ("seed", "true", "found", "AP50", "ms"):
        table.add_column(column, justify="right")
    rows = [(str(frame.seed), frame.true, frame.found, frame.ap50, frame.seconds) for frame in frames]
    count = len(frames)
    whole = [sum(column) for column in zip(*(row[1:] for row in rows), strict=True)]
    for seed, true, found, ap50, seconds in (*rows, ("all", whole[0], whole[1], whole[2] / count, whole[3] / count)):
        if seed == "all":
            table.add_section()
        table.add_row(seed, str(true), str(found), f"{ap50:.2f}", f"{1000 * seconds:.0f}")
    return table


def stage_table(frames: list[DemoFrame]) -> Table:
    """Return a table of the mean time of each stage, and the frame rate."""
    table = Table(title=f"{len(frames) / sum(frame.seconds for frame in frames):.1f} frames a second")
    for column in ("stage", "ms a frame"):
        table.add_column(column, justify="right" if column != "stage" else "left")
    for stage in frames[0].timings:
        table.add_row(stage, f"{1000 * sum(frame.timings[stage] for frame in frames) / len(frames):.1f}")
    return table
