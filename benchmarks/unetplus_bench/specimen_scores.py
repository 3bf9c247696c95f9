"""The scores of a model on simulated frames, beside those on the validation images.

`python -m unetplus_bench.specimen_scores --out FILE` scores five seeds of twenty frames of a
stream each, and a hundred seeds of one frame each.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.progress import track

from unetplus_edge.commands import Command, command_line
from unetplus_edge.datasets import open_dsb2018
from unetplus_edge.datasets.specimen import SimulatedFrame, Specimen, simulate, stream
from unetplus_edge.evaluation import score_image, score_set
from unetplus_edge.zoo import DEFAULT
from unetplus_runtime import Segmenter
from unetplus_runtime.results import write_text
from unetplus_runtime.scoring import evaluate

if TYPE_CHECKING:
    from collections.abc import Iterable

    from unetplus_edge.evaluation import ImageScores

SEEDS, FRAMES, SINGLE_SEEDS = 5, 20, 100


def streamed(seed: int) -> list[SimulatedFrame]:
    """Return the first frames of a seed's stream, at default settings."""
    return list(islice(stream(Specimen(seed=seed)), FRAMES))


def scored(segmenter: Segmenter, frames: Iterable[SimulatedFrame]) -> list[ImageScores]:
    """Return the scores of each frame."""
    return [score_image(frame.labels, segmenter.segment(frame.image).labels) for frame in frames]


def report(segmenter: Segmenter) -> dict[str, Any]:
    """Return the scores on simulated frames and on the validation images, and by how much AP50 differs."""
    by_seed = [scored(segmenter, streamed(seed)) for seed in track(range(SEEDS), description="streams", transient=True)]
    single = scored(segmenter, (simulate(Specimen(seed=seed)) for seed in range(SINGLE_SEEDS)))
    real = score_set([image for _, image in evaluate(segmenter, open_dsb2018().validation)])
    five = score_set([image for images in by_seed for image in images])
    return {
        "bundle": segmenter.bundle.manifest.name,
        "keras_sha256": segmenter.bundle.manifest.keras_sha256,
        "engine": segmenter.engine.engine,
        "executed_precision": segmenter.engine.executed_precision,
        "validation_images": asdict(real),
        "five_seeds": {
            "frames_each": FRAMES,
            "scores": asdict(five),
            "ap50_mean_by_seed": [round(score_set(images).ap50_mean, 4) for images in by_seed],
            "ap50_mean_difference": five.ap50_mean - real.ap50_mean,
        },
        "hundred_seeds": {
            "scores": asdict(score_set(single)),
            "ap50_mean_difference": score_set(single).ap50_mean - real.ap50_mean,
        },
    }


@click.command(cls=Command)
@click.option("--bundle", default=DEFAULT, show_default=True, help="The model: a folder, or a name in the zoo.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Result file, JSON.")
@click.pass_context
def main(context: click.Context, bundle: str, out: Path) -> None:
    """Score a model on simulated frames and on the validation images."""
    with Segmenter(bundle, "litert", execution="fp32", grid="article") as segmenter:
        found = report(segmenter)
    write_text(out, json.dumps({"command": command_line(context), **found}, indent=1) + "\n")
    for name in ("five_seeds", "hundred_seeds"):
        click.echo(f"{name}: AP50 differs by {found[name]['ap50_mean_difference']:+.3f} from the validation images'")


if __name__ == "__main__":
    main(prog_name="python -m unetplus_bench.specimen_scores")
