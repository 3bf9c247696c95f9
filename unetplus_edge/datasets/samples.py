"""An image of nuclei with its truth, as it lies on disk."""

from __future__ import annotations

import csv
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from unetplus_edge.errors import DataSetError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from numpy.typing import NDArray


@dataclass(frozen=True)
class Sample:
    """One image and the nuclei in it.

    Attributes
    ----------
    id
        Name of the image in its data set.
    image_path
        An 8-bit image file, grey or with three equal channels.
    label_path
        A 16-bit label image; or a folder of binary masks, one a nucleus; or a table of run lengths
        (`.csv` with the columns ImageId, EncodedPixels, Height and Width), one row a nucleus.
    """

    id: str
    image_path: Path
    label_path: Path

    def image(self) -> NDArray[np.uint8]:
        """Return the image: uint8, shape (height, width).

        Raises
        ------
        DataSetError
            If the file is missing, damaged, or not of 8 bits.
        """
        image = _read(self.image_path)
        if image.dtype != np.uint8:
            raise DataSetError(f"{self.image_path} holds {image.dtype} pixels; convert it to 8 bits")
        return np.ascontiguousarray(image)

    def labels(self) -> NDArray[np.int32]:
        """Return the true label image: int32, shape (height, width), 0 = background.

        Raises
        ------
        DataSetError
            If a file is missing or damaged, or masks differ in shape.
        """
        if self.label_path.suffix == ".csv":
            return _drawn_runs(self.label_path, self.id)
        if not self.label_path.is_dir():
            return _read(self.label_path).astype(np.int32)
        masks = sorted(self.label_path.glob("*.png"))
        if not masks:
            raise DataSetError(f"{self.label_path} holds no mask; unpack the data set again")
        labels = np.zeros(_read(masks[0]).shape, np.int32)
        for number, path in enumerate(masks, start=1):
            mask = _read(path)
            if mask.shape != labels.shape:
                raise DataSetError(f"{path} has shape {mask.shape}, other masks of the image {labels.shape}")
            labels[mask > 0] = number
        return labels


def content_hash(samples: Iterable[Sample]) -> str:
    """Return the SHA-256 of all ids, images and truths, in the order of their ids."""
    digest = hashlib.sha256()
    for sample in sorted(samples, key=lambda sample: sample.id):
        digest.update(sample.id.encode())
        truth = sorted(sample.label_path.glob("*.png")) if sample.label_path.is_dir() else [sample.label_path]
        for path in (sample.image_path, *truth):
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _drawn_runs(path: Path, image_id: str) -> NDArray[np.int32]:
    # "start length start length ...": pixels counted from 1, down one column after another.
    try:
        with path.open(newline="") as file:
            rows = [row for row in csv.DictReader(file) if row["ImageId"] == image_id]
        transposed = np.zeros((int(rows[0]["Width"]), int(rows[0]["Height"])), np.int32)
        for number, row in enumerate(rows, start=1):
            for start, length in np.array(row["EncodedPixels"].split(), np.int64).reshape(-1, 2) - (1, 0):
                transposed.flat[start : start + length] = number
    except (OSError, LookupError, TypeError, ValueError, csv.Error) as error:
        raise DataSetError(f"{path} holds no run lengths of image {image_id}; download it again") from error
    return np.ascontiguousarray(transposed.T)


def _read(path: Path) -> NDArray[np.uint8] | NDArray[np.uint16]:
    content = np.fromfile(path, np.uint8) if path.is_file() else np.empty(0, np.uint8)
    image = cv2.imdecode(content, cv2.IMREAD_UNCHANGED) if content.size else None
    if image is None:
        raise DataSetError(f"{path} is missing or no readable image; unpack the data set again")
    return image if image.ndim == 2 else image[:, :, 0]  # type: ignore[return-value]
