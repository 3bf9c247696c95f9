"""From nuclei to light and labels: each nucleus is drawn in a window of its own."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import cv2
import numpy as np

from unetplus_edge.datasets.specimen_nuclei import largest_radius, outlines

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from unetplus_edge.datasets.specimen_conditions import Specimen

SMALLEST_LABEL: Final = 16
"""A nucleus of which fewer pixels are seen has no label: nobody would draw it."""

_CORNERS = 32
_FINE, _COARSE = 4, 2  # subpixels along a side of a pixel
_COARSE_FROM = 12.0  # radius, px
_SHIFT = 4  # fractional bits of a corner
_DOME = 0.35


class Drawing(NamedTuple):
    """Nuclei drawn on a canvas.

    Attributes
    ----------
    light
        float32, shape (height, width), fraction of full scale.
    owner
        int32, same shape: 0, or 1 + the index of the nucleus that lies uppermost.
    pixels
        int64, shape (n,): pixels of each nucleus, those included that others hide or that lie off the canvas.
    windows
        int64, shape (n, 4): left, top, width and height of the box around each nucleus, px; it may lie off
        the canvas.
    """

    light: NDArray[np.float32]
    owner: NDArray[np.int32]
    pixels: NDArray[np.int64]
    windows: NDArray[np.int64]


def draw(
    nuclei: NDArray[np.void], at: NDArray[np.float64], chromatin: NDArray[np.float32], shape: tuple[int, int]
) -> Drawing:
    """Draw nuclei, each with its own blur: light adds up, a pixel belongs to the last one that covers half of it.

    Parameters
    ----------
    nuclei
        Of dtype `NUCLEUS`, shape (n,), the lowest first.
    at
        float64, shape (n, 2): row and column of each centre, px; it may lie off the canvas.
    chromatin
        float32, shape (side, side): what `chromatin_sheet` returned.
    shape
        Height and width of the canvas, px.

    Returns
    -------
    Drawing
        On a canvas of that shape.
    """
    height, width = shape
    light = np.zeros(shape, np.float32)
    owner = np.zeros(shape, np.int32)
    pixels = np.zeros(len(nuclei), np.int64)
    outline = outlines(nuclei, _CORNERS)
    lows = np.floor(at[:, ::-1] + outline.min(axis=1)).astype(np.int64)
    sides = np.ceil(at[:, ::-1] + outline.max(axis=1)).astype(np.int64) + 1 - lows
    centres = at[:, ::-1] - lows
    corners, subpixels = _corners(nuclei, centres, outline)
    domes = _domes(nuclei, centres)
    down = np.arange(int(sides.max(initial=1)), dtype=np.float32)[:, None] ** np.arange(3, dtype=np.float32)
    across = np.ascontiguousarray(down.T)
    # anchored at the centre, so that the texture moves with its nucleus
    cuts = np.rint(chromatin.shape[0] * (0.25 + 0.5 * nuclei["chromatin"]) - centres[:, ::-1]).astype(np.int64)
    windows = np.concatenate([lows, sides], axis=1)
    blurs = nuclei["blur"].tolist()
    each = zip(windows.tolist(), cuts.tolist(), subpixels.tolist(), strict=True)
    for k, ((left, top, wide, tall), (cut_row, cut_column), fine) in enumerate(each):
        margin = math.ceil(3 * blurs[k])
        rows, own_rows = _overlap(top - margin, tall + 2 * margin, height)
        columns, own_columns = _overlap(left - margin, wide + 2 * margin, width)
        if rows.start >= rows.stop or columns.start >= columns.stop:
            continue
        covered = np.zeros((tall * fine, wide * fine), np.uint8)
        cv2.fillPoly(covered, [corners[k]], 255, cv2.LINE_8, _SHIFT)
        coverage = cv2.resize(covered, (wide, tall), interpolation=cv2.INTER_AREA)
        body = coverage * chromatin[cut_row : cut_row + tall, cut_column : cut_column + wide]
        body *= down[:tall].dot(domes[k]).dot(across[:, :wide])
        light[rows, columns] += _blurred(body, blurs[k], margin)[own_rows, own_columns]
        mask = coverage > 127
        pixels[k] = np.count_nonzero(mask)
        rows, own_rows = _overlap(top, tall, height)
        columns, own_columns = _overlap(left, wide, width)
        if rows.start < rows.stop and columns.start < columns.stop:
            owner[rows, columns][mask[own_rows, own_columns]] = k + 1
    return Drawing(light, owner, pixels, windows)


def frame_labels(
    drawing: Drawing, ids: NDArray[np.int32], origin: tuple[int, int], shape: tuple[int, int]
) -> NDArray[np.int32]:
    """Cut the label image of a frame out of a drawing: each nucleus one connected piece, or nothing.

    A nucleus that the edge of the frame or another nucleus cuts in two keeps the larger piece; one of
    which fewer than `SMALLEST_LABEL` px are seen has no label.

    Parameters
    ----------
    drawing
        Of a canvas that holds the frame.
    ids
        int32, shape (n,): the ids of the nuclei; 0 for what has no label.
    origin
        Row and column of the canvas where the frame begins, px.
    shape
        Height and width of the frame, px.

    Returns
    -------
    numpy.ndarray
        int32, the frame's shape; 0 = background.
    """
    first_row, first_column = origin
    height, width = shape
    owner = drawing.owner[first_row : first_row + height, first_column : first_column + width].copy()
    seen = np.bincount(owner.ravel(), minlength=len(ids) + 1)[1:]
    # whole nuclei, nearly all, need no second look
    for k in np.flatnonzero((seen > 0) & ((seen < drawing.pixels) | (seen < SMALLEST_LABEL))):
        left, top, wide, tall = drawing.windows[k].tolist()
        rows, _ = _overlap(top - first_row, tall, height)
        columns, _ = _overlap(left - first_column, wide, width)
        window = owner[rows, columns]
        mask = window == k + 1
        _, pieces, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=4)
        sizes = stats[1:, cv2.CC_STAT_AREA]
        largest = int(sizes.argmax())
        if sizes[largest] < SMALLEST_LABEL:
            window[mask] = 0
        else:
            window[mask & (pieces != largest + 1)] = 0
    return np.concatenate([np.zeros(1, np.int32), ids]).take(owner)


def chromatin_sheet(specimen: Specimen, rng: np.random.Generator) -> NDArray[np.float32]:
    """Return a sheet of chromatin that nuclei are cut out of: mean 1, bright grains, dark nucleoli.

    Parameters
    ----------
    specimen
        Its `area` gives the size of a grain, its `texture` how much they differ.
    rng
        Where the grains come from.

    Returns
    -------
    numpy.ndarray
        float32, shape (side, side); the side is at least four times the radius of the largest nucleus.
    """
    side = max(256, 4 * int(np.ceil(largest_radius(specimen) + 1)))
    radius = np.sqrt(specimen.area / np.pi)
    grains = _smooth_noise(side, max(0.1 * radius, 0.7), rng)
    nucleoli = _smooth_noise(side, max(0.2 * radius, 0.8), rng)
    darkening = 0.3 / (1 + np.exp(6 * (1.8 - nucleoli)))
    sheet = np.exp(specimen.texture * grains) * (1 - darkening * min(1.0, 5 * specimen.texture))
    return np.asarray(sheet / sheet.mean(), np.float32)


def _smooth_noise(side: int, sigma: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Return Gaussian noise of standard deviation 1 that is correlated over `sigma` px."""
    noise = cv2.GaussianBlur(rng.standard_normal((side, side), np.float32), (0, 0), sigma)
    return np.asarray(noise / noise.std(), np.float32)


def _overlap(start: int, length: int, whole: int) -> tuple[slice, slice]:
    """Return the part of an interval that lies in [0, whole): in the whole, and in the interval."""
    first, last = max(start, 0), min(start + length, whole)
    return slice(first, last), slice(first - start, last - start)


def _blurred(body: NDArray[np.float32], sigma: float, margin: int) -> NDArray[Any]:
    """Return a body blurred by a Gaussian, with as much margin around it."""
    kernel = cv2.getGaussianKernel(2 * margin + 1, sigma, cv2.CV_32F)
    body = np.asarray(cv2.copyMakeBorder(body, margin, margin, margin, margin, cv2.BORDER_CONSTANT), np.float32)
    return cv2.sepFilter2D(body, cv2.CV_32F, kernel, kernel, borderType=cv2.BORDER_CONSTANT)


def _corners(
    nuclei: NDArray[np.void], centres: NDArray[np.float64], outline: NDArray[np.float64]
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Return outlines in fractions of subpixels of their windows, and the subpixels along a pixel's side."""
    radius = np.sqrt(nuclei["area"] / np.pi)
    subpixels = np.where(radius < _COARSE_FROM, _FINE, _COARSE)
    # OpenCV fills the subpixels under the outline too: about half of one all round
    inward = 1 - 0.44 / subpixels / radius
    corners = (centres[:, None, :] + outline * inward[:, None, None] + 0.5) * subpixels[:, None, None] - 0.5
    return np.rint(corners * (1 << _SHIFT)).astype(np.int32), subpixels


def _domes(nuclei: NDArray[np.void], centres: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return brightness as a polynomial of the place, shape (n, 3, 3), for a coverage of 0 to 255.

    Light is proportional to thickness, so there is more in the middle than at the edge: 1 + _DOME / 2
    and 1 - _DOME / 2 times the brightness of the nucleus. Entry [i, j] is the factor of row**i * column**j,
    both counted from the corner of the window.
    """
    square = nuclei["area"] / np.pi
    along, across = 1 / (square * nuclei["elongation"]), nuclei["elongation"] / square
    cosine, sine = np.cos(nuclei["angle"]), np.sin(nuclei["angle"])
    xx, yy = along * cosine**2 + across * sine**2, along * sine**2 + across * cosine**2
    xy = 2 * cosine * sine * (along - across)
    x, y = centres.T
    distance = np.zeros((len(nuclei), 3, 3))  # from the centre, squared, in units of the radius
    distance[:, 0, 0] = xx * x * x + xy * x * y + yy * y * y
    distance[:, 0, 1], distance[:, 1, 0] = -2 * xx * x - xy * y, -2 * yy * y - xy * x
    distance[:, 0, 2], distance[:, 1, 1], distance[:, 2, 0] = xx, xy, yy
    dome = -_DOME * distance
    dome[:, 0, 0] += 1 + _DOME / 2
    return (dome * (nuclei["brightness"] / 255)[:, None, None]).astype(np.float32)
