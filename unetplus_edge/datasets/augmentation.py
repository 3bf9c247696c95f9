"""Augmentation of training images (Long 2020, "Data augmentation")."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import cv2
import numpy as np
from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from numpy.typing import NDArray

_Probability = Annotated[float, Field(ge=0, le=1)]


class Augmentation(BaseModel):
    """Which changes an image may undergo, and how strong they are.

    The article names the kinds, not their strengths. Its changes of hue and saturation do
    nothing to a grey image and are left out.

    Attributes
    ----------
    geometry
        Whether to mirror, turn by quarters, rotate by any angle, and zoom.
    zoom
        Largest zoom in or out, as a factor above 1.
    rotation
        Probability of a rotation by any angle together with a zoom.
    blur
        Probability of a blur, by a Gaussian, a median or an average, each as likely.
    contrast, brightness
        Largest relative change of contrast; largest shift of brightness, in parts of the image's
        own range.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    geometry: bool = True
    zoom: Annotated[float, Field(ge=1, le=4)] = 1.25
    rotation: _Probability = 0.5
    blur: _Probability = 0.2
    contrast: _Probability = 0.2
    brightness: _Probability = 0.1


def augment(
    image: NDArray[np.uint8], labels: NDArray[np.int32], strengths: Augmentation, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """Return a changed copy of an image and of its label image.

    Parameters
    ----------
    image
        uint8, shape (height, width).
    labels
        int32, same shape.
    strengths
        What may happen.
    rng
        Where chance comes from; the same state gives the same result.

    Returns
    -------
    image, labels
        As given; height and width may have changed places.
    """
    if strengths.geometry:
        image, labels = _turn(image, labels, rng)
        if rng.random() < strengths.rotation:
            image, labels = _rotate_and_zoom(image, labels, strengths.zoom, rng)
    if rng.random() < strengths.blur:
        image = _blur(image, rng)
    if strengths.contrast or strengths.brightness:
        # Shifted by parts of its own range: many images use a tenth of the scale, and a shift that
        # is small beside 255 would wipe their nuclei out.
        gain = 1 + strengths.contrast * rng.uniform(-1, 1)
        shift = float(np.ptp(image)) * strengths.brightness * rng.uniform(-1, 1)
        image = np.rint(np.clip(image * np.float32(gain) + np.float32(shift), 0, 255)).astype(np.uint8)
    return image, labels


def _turn(
    image: NDArray[np.uint8], labels: NDArray[np.int32], rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    quarters, mirrored = int(rng.integers(4)), bool(rng.integers(2))
    step = -1 if mirrored else 1
    return (
        np.ascontiguousarray(np.rot90(image, quarters)[:, ::step]),
        np.ascontiguousarray(np.rot90(labels, quarters)[:, ::step]),
    )


def _rotate_and_zoom(
    image: NDArray[np.uint8], labels: NDArray[np.int32], zoom: float, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    height, width = image.shape
    factor = zoom ** rng.uniform(-1, 1)
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), rng.uniform(0, 360), factor)
    size = (width, height)
    turned = cv2.warpAffine(image, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    # Ids are carried as float32, which OpenCV warps and which holds every id up to 2**24 exactly.
    moved = cv2.warpAffine(
        labels.astype(np.float32), matrix, size, flags=cv2.INTER_NEAREST, borderMode=cv2.BORDER_REFLECT_101
    )
    return turned, moved.astype(np.int32)  # type: ignore[return-value]


def _blur(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    kind = int(rng.integers(3))
    if kind == 0:
        return cv2.GaussianBlur(image, (0, 0), rng.uniform(0.5, 1.5))  # type: ignore[return-value]
    if kind == 1:
        return cv2.medianBlur(image, 3)  # type: ignore[return-value]
    return cv2.blur(image, (3, 3))  # type: ignore[return-value]
