"""Which way to cut frames for the engine segments best, and which is fastest.

`python -m unetplus_bench.grids [--bundle MODEL] --out FILE` scores every grid of
`unetplus_runtime.pipeline` on the validation images that are larger than a patch and on simulated
frames, says how many pixels near seams are on the other side of the threshold than in one piece, and
times all grids in turns. The default is the most accurate of those that take no longer than the
article's.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np
from rich.progress import track

from unetplus_bench.device import code_version, device_facts, warnings_about
from unetplus_bench.preprocessing import in_turns
from unetplus_edge.commands import Command, command_line
from unetplus_edge.datasets import open_dsb2018
from unetplus_edge.datasets.specimen import Specimen, simulate
from unetplus_edge.evaluation import score_image, score_set
from unetplus_edge.imaging import patch_spans
from unetplus_edge.zoo import DEFAULT, find_bundle
from unetplus_runtime.pipeline import GRIDS, halo_of
from unetplus_runtime.results import write_text
from unetplus_runtime.segmenter import Segmenter

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

SIZES = ((1024, 1024), (1040, 1392), (1200, 1000), (900, 1100), (800, 1280), (1024, 1024))
"""Of simulated frames: sides of common sensors, with and without a patch's side as a divisor."""

NEAR = 16
"""Pixels on either side of a seam that count as near it."""


@dataclass(frozen=True)
class Known:
    """A frame with its true label image."""

    image: NDArray[Any]
    labels: NDArray[np.int32]


def near_seams(shape: tuple[int, int], side: int) -> NDArray[np.bool_]:
    """Return which pixels of a frame are near a seam of the article's grid."""
    near = np.zeros(shape, np.bool_)
    for axis, length in enumerate(shape):
        lines = near.swapaxes(0, axis)
        for span in patch_spans(length, side):
            for seam in (span.first, span.end):
                if 0 < seam < length:
                    lines[max(seam - NEAR, 0) : seam + NEAR] = True
    return near


def scored(segmenters: dict[str, Segmenter], frames: Sequence[Known]) -> dict[str, dict[str, float]]:
    """Return the scores of every grid, and its disagreement with frames in one piece near seams, per million pixels."""
    scores: dict[str, list[Any]] = {name: [] for name in segmenters}
    flipped = dict.fromkeys(segmenters, 0)
    pixels = 0
    for frame in track(frames, description="frames", transient=True):
        found = {name: segmenter.segment(frame.image) for name, segmenter in segmenters.items()}
        manifest = next(iter(segmenters.values())).bundle.manifest
        threshold = manifest.postprocessing.threshold
        near = near_seams(frame.image.shape, manifest.recipe.patch_side)
        pixels += int(near.sum())
        for name, result in found.items():
            scores[name].append(score_image(frame.labels, result.labels))
            if "whole" in found:
                other = (result.probability > threshold) != (found["whole"].probability > threshold)
                flipped[name] += int(np.count_nonzero(other & near))
    rows = {}
    for name, images in scores.items():
        of_set = score_set(images)
        rows[name] = {
            "kaggle_score": of_set.kaggle_score,
            "average_iou": of_set.average_iou_mean or 0.0,
            "ap50_mean": of_set.ap50_mean,
            "ap50_pooled": of_set.ap50_pooled,
            "flipped_near_seams_per_million": 1e6 * flipped[name] / max(pixels, 1),
        }
    return rows


def _count(segmenter: Segmenter, shape: tuple[int, int]) -> int:
    """Return how many pieces a frame is cut into."""
    if segmenter.grid == "whole":
        return 1
    side, halo = segmenter.bundle.manifest.recipe.patch_side, halo_of(segmenter.grid)
    down, across = (len(patch_spans(length, side, halo)) for length in shape)
    return down * across


def best_of(times: Mapping[str, Sequence[float]], scores: Sequence[dict[str, dict[str, float]]]) -> str:
    """Return the grid with the best mean Kaggle score of those that take at most 5 % longer than the article's.

    Parameters
    ----------
    times
        Seconds of every grid, turn by turn.
    scores
        Of every grid, by set of frames.
    """
    article = np.array(times["article"])
    allowed = [name for name, seconds in times.items() if np.median(np.array(seconds) / article) <= 1.05]
    return max(allowed, key=lambda name: float(np.mean([rows[name]["kaggle_score"] for rows in scores])))


@click.command(cls=Command)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Result file, JSON.")
@click.option("--bundle", default=DEFAULT, show_default=True, help="The model: a folder, or a name in the zoo.")
@click.option("--engine", default="openvino", show_default=True, help="What runs it; it takes frames in one piece.")
@click.option("--execution", default="int8", show_default=True, help="Precision to compute in.")
@click.option("--images", type=click.IntRange(1), help="Validation images to score; all that are larger than a patch.")
@click.option("--rounds", type=click.IntRange(1), default=10, show_default=True, help="Of the times.")
@click.pass_context
def main(
    context: click.Context, out: Path, bundle: str, engine: Any, execution: Any, images: int | None, rounds: int
) -> None:
    """Score and time all ways to cut frames."""
    before, model = device_facts(), find_bundle(bundle)
    side = model.manifest.recipe.patch_side
    larger = [sample for sample in open_dsb2018().validation if max(sample.image().shape) > side]
    chosen = larger[:: max(len(larger) // images, 1)][:images] if images else larger
    real = [Known(sample.image(), sample.labels()) for sample in chosen]
    specimens = [simulate(Specimen(height=height, width=width, seed=n)) for n, (height, width) in enumerate(SIZES)]
    simulated = [Known(specimen.image, specimen.labels) for specimen in specimens]
    segmenters: dict[str, Segmenter] = {
        grid: Segmenter(model, engine, execution=execution, grid=grid) for grid in GRIDS
    }
    scores = {"validation_images": scored(segmenters, real), "simulated": scored(segmenters, simulated)}
    rows = {}
    turns: dict[str, list[float]] = {grid: [] for grid in segmenters}
    for shape in sorted(set(SIZES)):
        frame = next(known.image for known in simulated if known.image.shape == shape)
        times = in_turns(
            {grid: lambda one=one: one.segment(frame) for grid, one in segmenters.items()},  # type: ignore[misc] # noqa: B023
            rounds,
        )
        for grid, seconds in times.items():
            turns[grid] += seconds
        rows["{} x {}".format(*shape)] = {
            grid: {
                "ms": 1e3 * float(np.median(seconds)),
                "patches": _count(segmenters[grid], shape),
            }
            for grid, seconds in times.items()
        }
    report = {
        "command": command_line(context),
        "commit": code_version(),
        "warnings": warnings_about(before, device_facts()),
        "engine": f"{engine} {execution}",
        "images": {"validation_images": len(real), "simulated": len(simulated)},
        "scores": scores,
        "times": rows,
        "best": best_of(turns, list(scores.values())),
        "device": before,
    }
    write_text(out, json.dumps(report, indent=1) + "\n")
    click.echo(json.dumps({name: report[name] for name in ("scores", "times", "best")}, indent=1))


if __name__ == "__main__":
    main(prog_name="python -m unetplus_bench.grids")
