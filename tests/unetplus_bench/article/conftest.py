"""Drawn test images, a tiny model with its log, and made-up results of trainings."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest

from unetplus_bench.article.record import ArticleRecord
from unetplus_bench.results import NetworkRecord
from unetplus_edge.architectures import architecture_from_name
from unetplus_edge.datasets import Sample
from unetplus_edge.imaging import Postprocessing
from unetplus_edge.training.recipe import Recipe
from unetplus_edge.training.run_folder import EpochRecord

if TYPE_CHECKING:
    from pathlib import Path

    from unetplus_edge.bundle import Bundle

LOSSES = (0.5, 0.2, 0.3)
LOG = "epoch,learning_rate,patches,loss,validation_loss,seconds\n" + "".join(
    f"{number},0.0005,400,0.4,{loss},1800.0\n" for number, loss in enumerate(LOSSES, start=1)
)


@pytest.fixture(scope="session")
def samples(tmp_path_factory: pytest.TempPathFactory) -> list[Sample]:
    """Twelve images of 80 x 72 pixels with 1 to 12 nuclei, in a shuffled order."""
    folder = tmp_path_factory.mktemp("samples")
    made = []
    for count in np.random.default_rng(0).permutation(12) + 1:
        labels = np.zeros((80, 72), np.uint16)
        for number in range(count):
            row, column = divmod(number, 4)
            cv2.circle(labels, (9 + 18 * column, 12 + 26 * row), 6, number + 1, cv2.FILLED)
        image = np.where(labels > 0, 180, 20).astype(np.uint8)
        sample = Sample(f"with-{count:02}", folder / f"{count}.png", folder / f"{count}-labels.png")
        cv2.imwrite(str(sample.image_path), image)
        cv2.imwrite(str(sample.label_path), labels)
        made.append(sample)
    return made


@pytest.fixture
def models(bundle: Bundle, tmp_path: Path) -> Path:
    """A folder of models in which two names have the tiny network."""
    folder = tmp_path / "models"
    for name in ("unet_b8", "unet_plus_plus_b8_l2"):
        (folder / name).mkdir(parents=True)
        for file in (bundle.keras_path, bundle.path / "manifest.json"):
            shutil.copyfile(file, folder / name / file.name)
        _without_conversions(folder / name / "manifest.json")
        (folder / name / "log.csv").write_text(LOG)
    return folder


def _without_conversions(path: Path) -> None:
    from unetplus_edge.manifest import Manifest

    manifest = Manifest.model_validate_json(path.read_bytes()).model_copy(update={"conversions": ()})
    path.write_text(manifest.model_dump_json(indent=2))


@pytest.fixture
def put() -> Any:
    """Writes the made-up result of a training into a folder."""

    def write(folder: Path, name: str, iou: float, **fields: Any) -> ArticleRecord:
        network = next(part for part in (name, name.split("_seed")[0], "unet_plus_plus_b8") if _is_network(part))
        scores = {
            "average_iou_mean": iou,
            "average_iou_std": 0.2,
            "article_precision": iou + 0.05,
            "kaggle_score": iou - 0.1,
            "dice": 0.9,
            "ap50_mean": iou + 0.1,
        }
        losses = fields.pop("losses", LOSSES)
        record = ArticleRecord(
            **{
                "name": name,
                "command": "unetplus-bench article --measure",
                "keras_sha256": "0" * 64,
                "recipe": Recipe(architecture=architecture_from_name(network)),
                "network": NetworkRecord(name=network),
                "best_epoch": int(np.argmin(losses)) + 1,
                "log": tuple(
                    EpochRecord(epoch=n, learning_rate=5e-4, patches=400, loss=0.4, validation_loss=loss, seconds=1800)
                    for n, loss in enumerate(losses, start=1)
                ),
                "images_sha256": "1" * 64,
                "postprocessing": Postprocessing(),
                "engine": "keras",
                "executed_precision": "fp32",
                "scores": scores,
                "versions": {},
                **fields,
            }
        )
        record.write(folder)
        return record

    return write


def _is_network(name: str) -> bool:
    family, _, width = name.rpartition("_b")
    return bool(family) and width.isdecimal()
