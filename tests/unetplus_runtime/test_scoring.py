from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest

from unetplus_edge.datasets import Sample
from unetplus_edge.errors import DataSetError
from unetplus_runtime.scoring import evaluate
from unetplus_runtime.segmenter import Segmenter

if TYPE_CHECKING:
    from pathlib import Path

    from unetplus_edge.bundle import Bundle


@pytest.fixture
def samples(tmp_path: Path) -> list[Sample]:
    """Two images of 64 x 64: in the first the nucleus is where the engine finds it, the second is empty."""
    truth = np.zeros((64, 64), np.uint16)
    truth[10:20, 10:20] = 1
    found = []
    for name, labels in {"same": truth, "empty": np.zeros_like(truth)}.items():
        for kind, image in {"image": np.zeros((64, 64), np.uint8), "labels": labels}.items():
            (tmp_path / f"{name}-{kind}.png").write_bytes(cv2.imencode(".png", image)[1].tobytes())
        found.append(Sample(name, tmp_path / f"{name}-image.png", tmp_path / f"{name}-labels.png"))
    return found


@pytest.fixture
def segmenter(plain_bundle: Bundle, map_engine: Any) -> Segmenter:
    answers = np.zeros((1, 64, 64, 1), np.float32)
    answers[0, 10:20, 10:20] = 1
    return Segmenter(plain_bundle, map_engine(answers))


def test_every_image_has_its_scores_in_order(samples: list[Sample], segmenter: Segmenter) -> None:
    (first, same), (second, empty) = evaluate(segmenter, samples)
    assert (first, second) == ("same", "empty")
    assert (same.average_iou, same.kaggle_score, same.predicted_nuclei) == (1, 1, 1)
    assert (empty.average_iou, empty.kaggle_score, empty.false_positives_50) == (None, 0, 1)


def test_every_image_is_shown_with_its_truth(samples: list[Sample], segmenter: Segmenter) -> None:
    seen: list[tuple[str, bool]] = []
    evaluate(
        segmenter,
        samples,
        lambda sample, truth, result: seen.append((sample.id, np.array_equal(truth, result.labels))),
    )
    assert seen == [("same", True), ("empty", False)]


def test_an_image_that_is_missing_is_an_error(samples: list[Sample], segmenter: Segmenter) -> None:
    samples[1].image_path.unlink()
    with pytest.raises(DataSetError, match=r"empty-image\.png is missing"):
        evaluate(segmenter, samples)
