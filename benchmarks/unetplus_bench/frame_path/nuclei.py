"""Whether the fast path finds the nuclei of the straightforward one: counts and scores on the test images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.progress import track

from unetplus_bench.frame_path.straightforward import Straightforward
from unetplus_edge.bundle import Bundle, open_bundle
from unetplus_edge.evaluation import score_image, score_set
from unetplus_runtime.segmenter import Segmenter

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from unetplus_edge.manifest import EngineName, Precision
    from unetplus_runtime.scoring import Labelled


def same_nuclei(
    bundle: Path, engine: EngineName, precisions: Sequence[Precision], samples: Sequence[Labelled]
) -> dict[str, Any]:
    """Return counts and scores of both ways, and in how many images the counts are the same.

    Nuclei are connected parts of the mask for both: no library parts those that touch as the fast path
    does, and with another way to part them it is that way which would be compared.

    Parameters
    ----------
    bundle
        Folder of the bundle.
    engine, precisions
        What runs the fast path, and in which precisions in turn.
    samples
        Images with their truth.
    """
    slow = Straightforward(bundle)
    opened = _parting_nothing(open_bundle(bundle))
    truths = [sample.labels() for sample in samples]
    expected = [slow.segment(sample.image())[0] for sample in track(samples, "straightforward", transient=True)]
    counts = [int(labels.max()) for labels in expected]
    before = score_set([score_image(truth, labels) for truth, labels in zip(truths, expected, strict=True)])
    found: dict[str, Any] = {
        "images": len(samples),
        "straightforward": {"kaggle_score": before.kaggle_score, "nuclei": sum(counts)},
    }
    for precision in precisions:
        with Segmenter(opened, engine, execution=precision, grid="article") as segmenter:
            results = [result.labels for result in segmenter.stream(sample.image() for sample in samples)]
        ours = [int(labels.max()) for labels in results]
        scores = score_set([score_image(truth, labels) for truth, labels in zip(truths, results, strict=True)])
        found[f"{engine} {precision}"] = {
            "kaggle_score": scores.kaggle_score,
            "kaggle_difference": scores.kaggle_score - before.kaggle_score,
            "nuclei": sum(ours),
            "images_with_equal_counts": sum(one == other for one, other in zip(ours, counts, strict=True)),
        }
    return found


def _parting_nothing(bundle: Bundle) -> Bundle:
    constants = bundle.manifest.postprocessing.model_copy(update={"core_threshold": None, "join_border": None})
    return Bundle(bundle.path, bundle.manifest.model_copy(update={"postprocessing": constants}))
