"""The patches of an epoch: augmented, preprocessed, cut, with the masks to learn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

import cv2
import numpy as np

from unetplus_edge.datasets import (
    PatchId,
    Sample,
    article_validation_patches,
    augment,
    open_dsb2018,
)
from unetplus_edge.datasets.specimen import Specimen, simulate
from unetplus_edge.errors import TrainingError
from unetplus_edge.imaging import PatchGrid, preprocess

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from unetplus_edge.training.recipe import Recipe

GAP: Final = 2
"""In a mask to learn, a pixel of the gap between nuclei that touch: background, with a weight of its own."""

_LEAST_FIELD = 32
"""Side of the smallest field that is simulated, in pixels."""

_Pixel = TypeVar("_Pixel", bound=np.generic)


@dataclass(frozen=True)
class Patches:
    """Patches and the masks to learn.

    Attributes
    ----------
    images
        float32 in [0, 1], shape (n, side, side, 1).
    masks
        uint8, same shape: 1 is nucleus, 0 and `GAP` are not.
    """

    images: NDArray[np.float32]
    masks: NDArray[np.uint8]

    def __len__(self) -> int:
        """Return the number of patches."""
        return len(self.images)


@dataclass(frozen=True)
class TrainingData:
    """The samples of a training, and what of them is held out.

    Attributes
    ----------
    training
        Samples that are augmented and learnt from.
    validation
        Samples that the loss is validated on.
    held_out
        Patches of the grid that are not learnt from; where there are any, they are what the loss
        is validated on.
    """

    training: tuple[Sample, ...]
    validation: tuple[Sample, ...]
    held_out: frozenset[PatchId] = frozenset()


def training_data(recipe: Recipe, folder: Path | None = None) -> TrainingData:
    """Return the samples of the 2018 Data Science Bowl as the recipe splits them.

    Parameters
    ----------
    recipe
        Its `labels` and `split`.
    folder
        As for `open_dsb2018`.
    """
    data = open_dsb2018(folder, recipe.labels)
    if recipe.split == "validation_images":
        return TrainingData(data.learnt_from, data.validation)
    chosen = data.training if recipe.split == "all_patches" else data.learnt_from
    return TrainingData(chosen, chosen, article_validation_patches())


def mask_to_learn(labels: NDArray[np.int32], gap: int) -> NDArray[np.uint8]:
    """Return nucleus or not, with touching nuclei drawn apart.

    Parameters
    ----------
    labels
        True label image, shape (height, width).
    gap
        A pixel with a pixel of another nucleus at most this far off (along rows, columns and
        diagonals) becomes background.

    Returns
    -------
    numpy.ndarray
        uint8, 0 or 1, same shape.
    """
    nucleus = labels > 0
    if gap:
        ids = labels.astype(np.float32)
        window = np.ones((2 * gap + 1, 2 * gap + 1), np.uint8)
        greatest = cv2.dilate(ids, window)
        least = cv2.erode(np.where(nucleus, ids, np.float32(np.inf)), window)
        nucleus &= (greatest == ids) & (least == ids)
    return nucleus.astype(np.uint8)


class PatchMaker:
    """Makes the patches of each epoch; the same seed and epoch give the same patches.

    Parameters
    ----------
    data
        The samples; all of them are read at once.
    recipe
        What is done to them.

    Raises
    ------
    TrainingError
        If there is no image, or no patch, to learn from or to validate on.
    """

    def __init__(self, data: TrainingData, recipe: Recipe) -> None:
        if not data.training or not data.validation:
            raise TrainingError("no images to train on or none to validate on; check the data set and the split")
        self._recipe = recipe
        self._held_out = data.held_out
        self._training = [(sample.id, sample.image(), sample.labels()) for sample in data.training]
        self._validation = [(sample.id, sample.image(), sample.labels()) for sample in data.validation]

    def validation_patches(self) -> Patches:
        """Return the patches that the loss is validated on, as they are."""
        parts = (
            self._cut(image, labels, [at for at in self._grid(image) if self._is_validation(image_id, at)])
            for image_id, image, labels in self._validation
        )
        return _gathered(parts, "validate on")

    def training_patches(self, epoch: int) -> Patches:
        """Return the patches of an epoch, augmented and in random order; only the first where the recipe wants few."""
        parts = (
            self._augmented(image_id, image, labels, np.random.default_rng([self._recipe.seed, epoch, index]))
            for index, (image_id, image, labels) in enumerate(self._training)
        )
        patches = _gathered(parts, "learn from")
        order = np.random.default_rng([self._recipe.seed, epoch]).permutation(len(patches))[
            : self._recipe.patches_per_epoch
        ]
        empty = round(self._recipe.empty_patches * len(order))
        if not empty:
            return Patches(patches.images[order], patches.masks[order])
        rng = np.random.default_rng([self._recipe.seed, epoch, len(self._training)])
        fields = np.concatenate([self._field_without_nuclei(rng) for _ in range(empty)])
        mixed = rng.permutation(len(order) + empty)
        images = np.concatenate([patches.images[order], fields])
        masks = np.concatenate([patches.masks[order], np.zeros(fields.shape, np.uint8)])
        return Patches(images[mixed], masks[mixed])

    def _field_without_nuclei(self, rng: np.random.Generator) -> NDArray[np.float32]:
        side = max(self._recipe.patch_side, _LEAST_FIELD)
        field = simulate(Specimen(height=side, width=side, density=0, seed=int(rng.integers(2**32)))).image
        return _windows(preprocess(field, self._recipe.preprocessing), self._recipe.patch_side, [(0, 0)])

    def _grid(self, image: NDArray[np.uint8]) -> list[tuple[int, int]]:
        height, width = image.shape
        return PatchGrid(height, width, self._recipe.patch_side).origins

    def _is_validation(self, image_id: str, origin: tuple[int, int]) -> bool:
        return not self._held_out or PatchId(image_id, *origin) in self._held_out

    def _augmented(
        self, image_id: str, image: NDArray[np.uint8], labels: NDArray[np.int32], rng: np.random.Generator
    ) -> Patches:
        side = self._recipe.patch_side
        image, labels = augment(image, labels, self._recipe.augmentation, rng)
        origins = [at for at in self._grid(image) if PatchId(image_id, *at) not in self._held_out]
        for _ in range(self._recipe.random_patches):
            top, left = (int(rng.integers(max(length - side, 0) + 1)) for length in image.shape)
            if PatchId(image_id, top, left) in self._held_out:
                continue
            nucleus = np.count_nonzero(labels[top : top + side, left : left + side])
            if nucleus > self._recipe.min_foreground_ratio * (side * side - nucleus):
                origins.append((top, left))
        return self._cut(image, labels, origins)

    def _cut(self, image: NDArray[np.uint8], labels: NDArray[np.int32], origins: Sequence[tuple[int, int]]) -> Patches:
        side = self._recipe.patch_side
        ready = preprocess(image, self._recipe.preprocessing)
        mask = mask_to_learn(labels, self._recipe.gap)
        mask[(labels > 0) & (mask == 0)] = GAP
        return Patches(_windows(ready, side, origins), _windows(mask, side, origins))


def _windows(image: NDArray[_Pixel], side: int, origins: Sequence[tuple[int, int]]) -> NDArray[_Pixel]:
    windows = np.zeros((len(origins), side, side, 1), image.dtype)
    for window, (top, left) in zip(windows, origins, strict=True):
        part = image[top : top + side, left : left + side]
        window[: part.shape[0], : part.shape[1], 0] = part
    return windows


def _gathered(parts: Iterable[Patches], purpose: str) -> Patches:
    found = list(parts)
    if not any(map(len, found)):
        raise TrainingError(f"the split leaves no patch to {purpose}; choose another split")
    return Patches(np.concatenate([part.images for part in found]), np.concatenate([part.masks for part in found]))
