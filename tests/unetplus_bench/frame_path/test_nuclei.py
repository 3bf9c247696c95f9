from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest

from unetplus_bench.frame_path.nuclei import same_nuclei
from unetplus_edge.bundle import update_manifest
from unetplus_edge.datasets import Sample
from unetplus_edge.imaging import Postprocessing
from unetplus_runtime.segmenter import Segmenter

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def drawn(tmp_path: Path) -> list[Sample]:
    """Two images of 80 x 72 pixels with discs that touch."""
    made = []
    for number in range(2):
        labels = np.zeros((80, 72), np.uint16)
        for one in range(4):
            cv2.circle(labels, (14 + 14 * one, 30 + 9 * number), 8, one + 1, cv2.FILLED)
        image = cv2.GaussianBlur(np.where(labels > 0, 180, 20).astype(np.uint8), (5, 5), 0)
        sample = Sample(str(number), tmp_path / f"{number}.png", tmp_path / f"{number}-labels.png")
        cv2.imwrite(str(sample.image_path), image)
        cv2.imwrite(str(sample.label_path), labels)
        made.append(sample)
    return made


def _between(values: np.ndarray[Any, Any]) -> float:
    """Return the middle of the widest gap about the median, from which every value is as far as can be."""
    sorted_values = np.sort(values, axis=None)
    middle = sorted_values[len(sorted_values) // 4 : 3 * len(sorted_values) // 4]
    widest = int(np.argmax(np.diff(middle)))
    return float(middle[widest] + middle[widest + 1]) / 2


def test_both_ways_find_the_same_nuclei_though_the_bundle_would_part_them(
    make_bundle: Any, keras_file: Path, drawn: list[Sample]
) -> None:
    bundle = make_bundle(keras_file)
    with Segmenter(bundle, "keras", grid="article") as segmenter:
        maps = [segmenter.segment(sample.image()).probability for sample in drawn]
    threshold = _between(np.stack(maps))
    core_threshold = float(np.quantile(np.stack(maps), 0.95))
    constants = Postprocessing(
        threshold=threshold, core_threshold=core_threshold, min_core_area=1, min_nucleus_area=1, core_reach=100
    )
    parting = update_manifest(bundle, bundle.manifest.model_copy(update={"postprocessing": constants}))
    with Segmenter(parting, "keras", grid="article") as segmenter:
        parted = sum(len(segmenter.segment(sample.image()).nuclei) for sample in drawn)
    found = same_nuclei(parting.path, "keras", ("fp32",), drawn)
    assert found["images"] == found["keras fp32"]["images_with_equal_counts"] == 2
    assert found["keras fp32"]["nuclei"] == found["straightforward"]["nuclei"] != parted
    assert found["keras fp32"]["kaggle_difference"] == 0
