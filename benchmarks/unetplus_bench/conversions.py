"""The conversions of a bundle on the test images, beside the Keras model.

`python -m unetplus_bench.conversions BUNDLE --out FILE` segments the 53 test images with every
conversion that was verified, and writes scores, their drop, and every object by which the counts
differ; with what the manifest says of the validation images. Nothing is chosen by it.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click
import numpy as np
from rich.progress import track

from unetplus_edge.commands import Command, command_line
from unetplus_edge.datasets import open_dsb2018
from unetplus_edge.evaluation import score_image, score_set
from unetplus_edge.evaluation.matching import overlaps
from unetplus_edge.zoo import DEFAULT, find_bundle
from unetplus_export.targets import runnable
from unetplus_export.verify import score_drop
from unetplus_runtime import Segmenter
from unetplus_runtime.engines import open_engine
from unetplus_runtime.results import write_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from unetplus_edge.bundle import Bundle
    from unetplus_edge.evaluation import SetScores
    from unetplus_edge.manifest import ConversionRecord, VerificationRecord
    from unetplus_runtime.engines import Engine
    from unetplus_runtime.scoring import Labelled


class Segmented(NamedTuple):
    """One image, segmented: int32 labels and float32 probabilities, shape (height, width)."""

    labels: NDArray[np.int32]
    probability: NDArray[np.float32]


def segmented(bundle: Bundle, engine: Engine, samples: Sequence[Labelled]) -> list[Segmented]:
    """Return every image as an engine segments it."""
    segmenter = Segmenter(bundle, engine, grid="article")
    results = (segmenter.segment(sample.image()) for sample in track(samples, engine.info.engine, transient=True))
    return [Segmented(result.labels, result.probability) for result in results]


def differences(reference: Segmented, found: Segmented) -> list[dict[str, Any]]:
    """Return the objects that one has and the other has not.

    An object is in both if they overlap with an IOU above 0.5. Of each other one are told who has
    it, where its centre lies in rows and columns, its area in pixels, and the largest probability
    of its pixels here (where it was found) and there.
    """
    pairs = overlaps(reference.labels, found.labels)
    same = pairs.iou > 0.5
    told = []
    for name, here, there, ids, matched in (
        ("keras", reference, found, pairs.true_ids, pairs.true_index[same]),
        ("conversion", found, reference, pairs.predicted_ids, pairs.predicted_index[same]),
    ):
        for number in np.delete(ids, matched):
            pixels = here.labels == number
            row, column = np.argwhere(pixels).mean(axis=0)
            told.append(
                {
                    "only_in": name,
                    "row": round(float(row), 1),
                    "column": round(float(column), 1),
                    "area": int(pixels.sum()),
                    "probability_here": round(float(here.probability[pixels].max()), 5),
                    "probability_there": round(float(there.probability[pixels].max()), 5),
                }
            )
    return told


def _scored(samples: Sequence[Labelled], found: Sequence[Segmented]) -> SetScores:
    return score_set([score_image(sample.labels(), image.labels) for sample, image in zip(samples, found, strict=True)])


def report(bundle: Bundle, samples: Sequence[Labelled]) -> dict[str, Any]:
    """Return scores and differences of every verified conversion on images with their truth.

    Parameters
    ----------
    bundle
        The bundle.
    samples
        The images.
    """
    with open_engine(bundle, "keras") as engine:
        reference = segmented(bundle, engine, samples)
    expected = _scored(samples, reference)
    rows = []
    for record in (record for record in bundle.manifest.conversions if record.patch_side is None):
        for verification in record.verifications:
            row = _manifest_facts(bundle, record, verification)
            if verification.verified:
                with runnable(bundle.file_of(record)) as network, open_engine(network, verification.engine) as engine:
                    found = segmented(bundle, engine, samples)
                row["test_images"] = _beside(samples, expected, reference, found)
            rows.append(row)
    return {
        "bundle": bundle.manifest.name,
        "keras_sha256": bundle.manifest.keras_sha256,
        "keras": asdict(expected),
        "conversions": rows,
    }


def _manifest_facts(bundle: Bundle, record: ConversionRecord, verification: VerificationRecord) -> dict[str, Any]:
    return {
        "target": record.target,
        "file": record.file,
        "bytes": sum((bundle.path / part.file).stat().st_size for part in record.files),
        "stored_precision": record.stored_precision,
        "remainder": record.remainder,
        "operators": record.operators,
        "higher_precision": record.higher_precision,
        "calibration": record.calibration.model_dump() if record.calibration else None,
        **verification.model_dump(),
    }


def _beside(
    samples: Sequence[Labelled], expected: SetScores, reference: Sequence[Segmented], found: Sequence[Segmented]
) -> dict[str, Any]:
    scores = _scored(samples, found)
    unequal = [
        {"image": sample.id, "differences": differences(before, after)}
        for sample, before, after in zip(samples, reference, found, strict=True)
        if before.labels.max() != after.labels.max()
    ]
    return {
        "scores": asdict(scores),
        "drop": score_drop(expected, scores),
        "images": len(samples),
        "images_with_equal_counts": len(samples) - len(unequal),
        "unequal": unequal,
    }


@click.command(cls=Command)
@click.argument("bundle", default=DEFAULT)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Result file, JSON.")
@click.pass_context
def main(context: click.Context, bundle: str, out: Path) -> None:
    """Compare the conversions of BUNDLE with its Keras model on the test images."""
    found = report(find_bundle(bundle), open_dsb2018(labels="released").test)
    write_text(out, json.dumps({"command": command_line(context), **found}, indent=1) + "\n")
    for row in found["conversions"]:
        test = row.get("test_images")
        told = f"Kaggle {test['drop']['kaggle_score']:+.4f} below" if test else f"not verified: {row['reason']}"
        click.echo(f"{row['target']} {row['stored_precision']} with {row['engine']}: {told}")


if __name__ == "__main__":
    main(prog_name="python -m unetplus_bench.conversions")
