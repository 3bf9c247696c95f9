"""The patches that int8 ranges are taken of: real ones of the training part, spread over its range."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np

from unetplus_edge.datasets import open_dsb2018, validation_images
from unetplus_edge.datasets.specimen import Specimen, simulate
from unetplus_edge.errors import ConversionError, InputError
from unetplus_edge.imaging import PatchGrid, as_frame, frame_range, preprocess
from unetplus_runtime.inputs import find_images, frames_of
from unetplus_runtime.readers import open_pages

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from unetplus_edge.datasets import Sample
    from unetplus_edge.manifest import Manifest
    from unetplus_export.conversion import Request
    from unetplus_runtime.inputs import FrameSource

PATCHES = 300
"""How many patches ranges are taken of, where nothing else is asked for."""

FEWEST = 8
"""Fewer patches say too little about a range."""

_BANDS = 8
_FIRST_SEED = 1000  # beyond the seeds of frames that conversions are compared on


@dataclass(frozen=True)
class Calibration:
    """Patches to calibrate on.

    Attributes
    ----------
    patches
        Preprocessed, float32 in [0, 1], shape (n, side, side, 1).
    source
        Where they come from, for a reader.
    simulated
        Whether they are of the simulated specimen.
    sha256
        Of all of them, in order.
    """

    patches: NDArray[np.float32]
    source: str
    simulated: bool
    sha256: str


class _Frame(NamedTuple):
    """A frame that patches may be taken of: how it is called, and its pixels and foreground when asked for."""

    name: str
    image: Callable[[], NDArray[Any]]
    foreground: Callable[[NDArray[Any]], NDArray[np.bool_]]


class _Candidate(NamedTuple):
    """A patch: number of its frame, its number in the frame's grid, and what it is chosen by."""

    frame: int
    patch: int
    brightness: float
    density: float


def calibration_patches(
    manifest: Manifest, folder: Path | None = None, count: int = PATCHES, patch_side: int | None = None
) -> Calibration:
    """Return patches that cover the range of brightness and density of a set of images.

    The choice is the same whenever the images are.

    Parameters
    ----------
    manifest
        Of the model: its preprocessing is applied.
    folder
        Grey-scale images of any kind that `unetplus_runtime.readers` reads, in a folder. None takes
        the training part of the data set in `$UNETPLUS_DATA`; and where that is not set, the
        simulated specimen.
    count
        Most patches to take, 1 or more. Where there are fewer, all are taken.
    patch_side
        Side of a patch in pixels; None takes the one that the model was trained with.

    Returns
    -------
    Calibration
        Whose patches are never of validation or test images.

    Raises
    ------
    InputError
        If the folder holds no images, one that cannot be read, one that is the same everywhere,
        one that is held out of calibration, or too few for `FEWEST` patches.
    DataSetError
        If the data set is named and not there.
    """
    if count < 1:
        raise InputError(f"{count} patches calibrate nothing; ask for at least 1")
    side = manifest.recipe.patch_side if patch_side is None else patch_side
    simulated = False
    if folder is not None:
        frames = _folder_frames(folder)
        source = f"{folder.name}, {len(frames)} images"
    elif os.environ.get("UNETPLUS_DATA"):
        frames = _training_frames()
        source = f"dsb2018, {len(frames)} training images"
    else:
        frames = _simulated_frames(count, side)
        source = f"simulated specimen, {len(frames)} frames"
        simulated = True
    candidates = [candidate for number, frame in enumerate(frames) for candidate in _candidates(number, frame, side)]
    if len(candidates) < min(count, FEWEST):
        raise InputError(
            f"{folder} has {len(candidates)} patches of {side} x {side} pixels, too few to calibrate on; "
            f"add images until there are at least {FEWEST}, better {PATCHES}"
        )
    numbers = spread([(patch.brightness, patch.density) for patch in candidates], count)
    patches = _cut([candidates[number] for number in numbers], frames, manifest, side)
    return Calibration(patches, source, simulated, hashlib.sha256(patches.tobytes()).hexdigest())


def spread(features: Sequence[tuple[float, float]], count: int) -> list[int]:
    """Return which points of a plane to take so that their range is covered, in ascending order.

    The range of each feature is cut into 8 equal bands. In turn one point is taken of each cell
    that has any left, so that rare ones are there and common ones fill the rest.

    Parameters
    ----------
    features
        The points.
    count
        Most to take.

    Examples
    --------
    >>> spread([(0.0, 0.0), (0.01, 0.0), (0.02, 0.0), (0.01, 0.01), (1.0, 1.0)], 2)[-1]
    4
    """
    values = np.asarray(features, np.float64).reshape(-1, 2)
    low, high = values.min(axis=0), values.max(axis=0)
    bands = np.minimum((values - low) / np.where(high > low, high - low, 1) * _BANDS, _BANDS - 1).astype(int)
    taken: dict[tuple[int, int], int] = {}
    order: list[tuple[int, int]] = []
    # Shuffled, or the first of a cell would all be of the first images.
    for number in np.random.default_rng(0).permutation(len(values)).tolist():
        cell = (int(bands[number, 0]), int(bands[number, 1]))
        order.append((taken.get(cell, 0), number))
        taken[cell] = taken.get(cell, 0) + 1
    return sorted(number for _, number in sorted(order, key=lambda turn: turn[0])[:count])


def required_patches(request: Request) -> NDArray[np.float32]:
    """Return the patches that an int8 conversion is to be calibrated on, after a look at them.

    Returns
    -------
    numpy.ndarray
        float32 in [0, 1], shape (n, side, side, 1).

    Raises
    ------
    ConversionError
        If there are none, they are of another shape or type, hold NaN or values outside [0, 1],
        or are each the same everywhere.
    """
    if request.calibration is None:
        raise ConversionError("int8 needs patches to calibrate on; name a folder of images with --calibration")
    patches, source, side = request.calibration.patches, request.calibration.source, request.patch_side
    if patches.dtype != np.float32 or patches.ndim != 4 or patches.shape[1:] != (side, side, 1) or not len(patches):
        raise ConversionError(
            f"the calibration patches ({source}) are {patches.dtype} of shape {patches.shape}; "
            f"int8 takes float32 of shape (n, {side}, {side}, 1), n at least 1"
        )
    low, high = patches.min(axis=(1, 2, 3)), patches.max(axis=(1, 2, 3))
    # NaN is in no range.
    if not (low >= 0).all() or not (high <= 1).all():
        raise ConversionError(
            f"the calibration patches ({source}) reach from {low.min():.3g} to {high.max():.3g}; "
            "the network reads [0, 1]: preprocess them first"
        )
    if (low == high).all():
        raise ConversionError(
            f"the calibration patches ({source}) are each the same everywhere, which gives no ranges; "
            "take images with nuclei"
        )
    return patches


def _training_frames() -> list[_Frame]:
    # Every layout of the data set has the released labels.
    samples = open_dsb2018(labels="released").learnt_from
    return [_Frame(sample.id, sample.image, _labelled(sample)) for sample in samples]


def _labelled(sample: Sample) -> Callable[[NDArray[Any]], NDArray[np.bool_]]:
    return lambda _: sample.labels() > 0


def _folder_frames(folder: Path) -> list[_Frame]:
    images = find_images([folder])
    if images.refused:
        raise InputError(images.refused[0])
    held_out = _held_out_content()
    sources = [source for file in images.files for source in frames_of(file).sources]
    for source in sources:
        if source.file.path.stem in validation_images():
            raise _held_out(source)
    return [_Frame(str(source.file.path), _unseen(source, held_out), _bright) for source in sources]


def _held_out_content() -> frozenset[str]:
    if not os.environ.get("UNETPLUS_DATA"):
        return frozenset()
    data = open_dsb2018(labels="released")
    return frozenset(_content(sample.image()) for sample in (*data.validation, *data.test))


def _unseen(source: FrameSource, held_out: frozenset[str]) -> Callable[[], NDArray[Any]]:
    def image() -> NDArray[Any]:
        with open_pages(source.file.path) as pages:
            frame = as_frame(pages.read(source.plane), str(source.file.path))
        if _content(frame) in held_out:
            raise _held_out(source)
        return frame

    return image


def _held_out(source: FrameSource) -> InputError:
    return InputError(
        f"{source.file.path} is a validation or test image, which may decide nothing about a conversion; "
        "calibrate on other images"
    )


def _content(frame: NDArray[Any]) -> str:
    return hashlib.sha256(f"{frame.dtype} {frame.shape}".encode() + np.ascontiguousarray(frame).tobytes()).hexdigest()


def _bright(frame: NDArray[Any]) -> NDArray[np.bool_]:
    """Return what lies above the frame's threshold by Otsu, for want of labels."""
    low, high = frame_range(frame)
    codes = np.rint(255 * np.clip((frame.astype(np.float64) - low) / (high - low), 0, 1)).astype(np.uint8)
    threshold, _ = cv2.threshold(codes, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    bright: NDArray[np.bool_] = codes > threshold
    return bright


def _simulated_frames(count: int, side: int) -> list[_Frame]:
    # Four patches a frame, each frame of a specimen of its own.
    specimens = [
        Specimen(height=max(2 * side, 32), width=max(2 * side, 32), seed=_FIRST_SEED + number)
        for number in range(-(-count // 4))
    ]
    return [_Frame(f"seed {specimen.seed}", _photographed(specimen), _bright) for specimen in specimens]


def _photographed(specimen: Specimen) -> Callable[[], NDArray[Any]]:
    return lambda: simulate(specimen).image


def _candidates(number: int, frame: _Frame, side: int) -> Iterator[_Candidate]:
    image = frame.image()
    low, high = frame_range(image)
    if not high > low:
        raise InputError(f"{frame.name} is the same everywhere: there is nothing to calibrate on; take it out")
    foreground = frame.foreground(image)
    full_scale = np.iinfo(image.dtype).max if np.issubdtype(image.dtype, np.integer) else 1.0
    for patch, (top, left) in enumerate(PatchGrid(image.shape[0], image.shape[1], side).origins):
        part = slice(top, top + side), slice(left, left + side)
        brightness = float(image[part].mean(dtype=np.float64)) / full_scale
        yield _Candidate(number, patch, brightness, float(foreground[part].mean()))


def _cut(chosen: Sequence[_Candidate], frames: Sequence[_Frame], manifest: Manifest, side: int) -> NDArray[np.float32]:
    patches = np.empty((len(chosen), side, side, 1), np.float32)
    ready = np.empty((0, side, side, 1), np.float32)
    previous = None
    for row, candidate in enumerate(chosen):
        if candidate.frame != previous:
            image = frames[candidate.frame].image()
            ready = PatchGrid(image.shape[0], image.shape[1], side).cut(
                preprocess(image, manifest.recipe.preprocessing)
            )
            previous = candidate.frame
        patches[row] = ready[candidate.patch]
    return patches
