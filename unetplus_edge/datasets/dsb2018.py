"""The grey-scale part of the 2018 Data Science Bowl: 546 images to train on, 53 to test on."""

from __future__ import annotations

import csv
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import cv2
import numpy as np

from unetplus_edge.datasets.samples import Sample
from unetplus_edge.datasets.splits import validation_images
from unetplus_edge.errors import DataSetError

if TYPE_CHECKING:
    from collections.abc import Iterable

TRAINING_IMAGES = 546
CORRECTED_IMAGES = 541
TEST_IMAGES = 53

_WHERE = (
    "the images are those of the 2018 Data Science Bowl, stage 1 (Broad Bioimage Benchmark Collection, BBBC038): "
    "put stage1_train and stage1_test, each with ID/images/*.png and ID/masks/*.png, into that folder; "
    "stage1_solution.csv beside them takes the place of the masks of stage1_test"
)

Labels = Literal["released", "fixed"]


@dataclass(frozen=True)
class DSB2018:
    """The data set of Long 2020.

    Attributes
    ----------
    training
        The training images, by id: 546, or the 541 of them that have corrected labels.
    test
        The 53 test images, by id.
    """

    training: tuple[Sample, ...]
    test: tuple[Sample, ...]

    @property
    def learnt_from(self) -> tuple[Sample, ...]:
        """The training images that every shipped model learns from: all but the validation images."""
        return tuple(sample for sample in self.training if sample.id not in validation_images())

    @property
    def validation(self) -> tuple[Sample, ...]:
        """The training images that are held out, for every choice."""
        return tuple(sample for sample in self.training if sample.id in validation_images())


def data_folder() -> Path:
    """Return the folder that holds the data sets: `$UNETPLUS_DATA`.

    Raises
    ------
    DataSetError
        If the variable is not set.
    """
    value = os.environ.get("UNETPLUS_DATA")
    if not value:
        raise DataSetError("no data set: set UNETPLUS_DATA to the folder that holds dsb2018/")
    return Path(value)


def open_dsb2018(folder: Path | None = None, labels: Labels = "fixed") -> DSB2018:
    """Return the data set, after checking that nothing of it is missing.

    Parameters
    ----------
    folder
        Either a folder with `index.csv`, `train/images`, `train/labels`, `train/labels_fixed`,
        `test/images` and `test/labels`; or the public download, with `stage1_train/ID/images`,
        `stage1_train/ID/masks`, the same under `stage1_test`, and `stage1_solution.csv` where
        `stage1_test` has no masks. None takes `$UNETPLUS_DATA/dsb2018`.
    labels
        "released": as the competition released them, all 546; "fixed": corrected by hand, 541
        (only where the folder has them). The truth of the test images is the released one.

    Raises
    ------
    DataSetError
        If files are missing, or the number of images is not the article's.
    """
    folder = data_folder() / "dsb2018" if folder is None else folder
    if not folder.is_dir():
        raise DataSetError(f"{folder} is no folder; {_WHERE}")
    if (folder / "index.csv").is_file():
        return _open_indexed(folder, labels)
    if (folder / "stage1_train").is_dir():
        return _open_kaggle(folder, labels)
    raise DataSetError(f"{folder} holds neither index.csv nor stage1_train; {_WHERE}")


def _open_indexed(folder: Path, labels: Labels) -> DSB2018:
    try:
        with (folder / "index.csv").open(newline="") as file:
            rows = sorted((row["split"], row["id"]) for row in csv.DictReader(file, restval=""))
    except (KeyError, ValueError, csv.Error) as error:
        raise DataSetError(f"{folder / 'index.csv'} has no columns split and id; copy the data set again") from error
    train_labels = folder / "train" / ("labels" if labels == "released" else "labels_fixed")
    _check_files(folder / split / kind / f"{image_id}.png" for split, image_id in rows for kind in ("images", "labels"))
    training = [
        Sample(image_id, folder / "train" / "images" / f"{image_id}.png", train_labels / f"{image_id}.png")
        for split, image_id in rows
        if split == "train"
    ]
    if labels == "fixed":
        training = [sample for sample in training if sample.label_path.is_file()]
        if len(training) != CORRECTED_IMAGES:
            raise DataSetError(
                f"{train_labels} holds {len(training)} corrected label images of {CORRECTED_IMAGES}; "
                "copy them again, or choose the released labels"
            )
    test = [
        Sample(image_id, folder / "test" / "images" / f"{image_id}.png", folder / "test" / "labels" / f"{image_id}.png")
        for split, image_id in rows
        if split == "test"
    ]
    _check_counts(sum(split == "train" for split, _ in rows), len(test), folder)
    return DSB2018(tuple(training), tuple(test))


def _open_kaggle(folder: Path, labels: Labels) -> DSB2018:
    if labels == "fixed":
        raise DataSetError(f"{folder} is the public download, without corrected labels; choose the released ones")
    training, test = (read_kaggle(folder / part) for part in ("stage1_train", "stage1_test"))
    _check_counts(len(training), len(test), folder)
    return DSB2018(training, test)


def read_kaggle(folder: Path) -> tuple[Sample, ...]:
    """Return the fluorescence images of a folder in the Kaggle layout, by id.

    Parameters
    ----------
    folder
        Holds one folder an image: `ID/images/*.png` and `ID/masks/*.png`. Where there are no
        masks, `stage1_solution.csv` beside the folder takes their place.

    Returns
    -------
    tuple of Sample
        The images whose channels are equal and whose background is dark (the median lies in the
        lower half of the range): the article's 546 of 670, and 53 of 65.

    Raises
    ------
    DataSetError
        If an image or its masks are missing.
    """
    samples = []
    if not folder.is_dir():
        raise DataSetError(f"{folder} is no folder; {_WHERE}")
    for entry in sorted(path for path in folder.iterdir() if path.is_dir()):
        images = sorted((entry / "images").glob("*.png"))
        truth = entry / "masks" if (entry / "masks").is_dir() else folder.with_name("stage1_solution.csv")
        if len(images) != 1 or not truth.exists():
            raise DataSetError(f"{entry} lacks its image or its masks; {_WHERE}")
        if _is_fluorescence(images[0]):
            samples.append(Sample(entry.name, images[0], truth))
    return tuple(samples)


def _is_fluorescence(path: Path) -> bool:
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise DataSetError(f"{path} is no readable image; unpack the data set again")
    grey = image[:, :, 0]
    if (image != grey[:, :, None]).any():
        return False
    return bool(np.median(grey) <= (float(grey.min()) + float(grey.max())) / 2)


def _check_files(paths: Iterable[Path]) -> None:
    missing = [path for path in paths if not path.is_file()]
    if missing:
        raise DataSetError(f"{len(missing)} files are missing, the first {missing[0]}; {_WHERE}")


def _check_counts(training: int, test: int, folder: Path) -> None:
    if (training, test) != (TRAINING_IMAGES, TEST_IMAGES):
        raise DataSetError(
            f"{folder} holds {training} training and {test} test images in grey; "
            f"the article's are {TRAINING_IMAGES} and {TEST_IMAGES}; {_WHERE}"
        )
