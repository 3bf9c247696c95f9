"""Measurements of each nucleus of a label image, all nuclei in one pass."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np

from unetplus_edge.errors import InputError
from unetplus_edge.imaging.frames import as_frame

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from unetplus_edge.imaging.frames import Frame

_Number = TypeVar("_Number", np.int64, np.float64)


@dataclass(frozen=True)
class Nuclei:
    """One row a nucleus; every field is a column of shape (n,).

    Attributes
    ----------
    label
        Id in the label image.
    area
        Pixels.
    centroid_y, centroid_x
        Mean row and column; 0 is the centre of the first pixel.
    bbox_top, bbox_left, bbox_bottom, bbox_right
        First row and column inside, first row and column beyond.
    equivalent_diameter
        Pixels; diameter of the disc of the same area.
    eccentricity
        Of the ellipse with the same second moments: 0 for a disc, towards 1 for a line.
    intensity_mean, intensity_min, intensity_max
        Of the raw frame, in its own units.
    touches_border
        Whether a pixel lies on the first or last row or column of the frame.
    pixel_size
        Micrometres; None where it is not known. Then the columns in micrometres do not exist.
    """

    label: NDArray[np.int64]
    area: NDArray[np.int64]
    centroid_y: NDArray[np.float64]
    centroid_x: NDArray[np.float64]
    bbox_top: NDArray[np.int64]
    bbox_left: NDArray[np.int64]
    bbox_bottom: NDArray[np.int64]
    bbox_right: NDArray[np.int64]
    equivalent_diameter: NDArray[np.float64]
    eccentricity: NDArray[np.float64]
    intensity_mean: NDArray[np.float64]
    intensity_min: NDArray[np.float64]
    intensity_max: NDArray[np.float64]
    touches_border: NDArray[np.bool_]
    pixel_size: float | None = None

    def __len__(self) -> int:
        """Return the number of nuclei."""
        return len(self.label)

    def columns(self) -> dict[str, NDArray[np.generic]]:
        """Return the columns by name, with those in micrometres where the pixel size is known."""
        table = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "pixel_size"}
        if self.pixel_size is not None:
            size = self.pixel_size
            table |= {
                "area_um2": self.area * size**2,
                "centroid_y_um": self.centroid_y * size,
                "centroid_x_um": self.centroid_x * size,
                "equivalent_diameter_um": self.equivalent_diameter * size,
            }
        return table

    def rows(self) -> Iterator[dict[str, float | int | bool]]:
        """Yield one dictionary a nucleus, as Python numbers."""
        columns = self.columns()
        values = (column.tolist() for column in columns.values())
        for row in zip(*values, strict=True):
            yield dict(zip(columns, row, strict=True))


def measure(labels: NDArray[np.integer], frame: NDArray[np.generic], pixel_size: float | None = None) -> Nuclei:
    """Return the measurements of every nucleus.

    Parameters
    ----------
    labels
        Label image of integers, shape (height, width); ids need not be consecutive.
    frame
        The raw frame that it belongs to, same shape.
    pixel_size
        Side of a pixel in micrometres.

    Returns
    -------
    Nuclei
        In the order of their ids. Second moments take a pixel as a square (1/12 is added to both
        variances), as ImageJ and MATLAB do, so that a row of two pixels is no line without width;
        scikit-image's `regionprops` takes it as a point. All else is as there.

    Raises
    ------
    InputError
        If the array is no frame (see `unetplus_edge.imaging.frames.as_frame`), the labels are no
        integers, the shapes differ, or the pixel size is not a positive number.
    """
    raw = as_frame(frame)
    if not np.issubdtype(labels.dtype, np.integer):
        raise InputError(f"a label image holds integers, not {labels.dtype}; label the nuclei first")
    if labels.shape != raw.shape:
        raise InputError(f"a label image of shape {labels.shape} does not belong to a frame of shape {raw.shape}")
    if pixel_size is not None and not (np.isfinite(pixel_size) and pixel_size > 0):
        raise InputError(f"a pixel size of {pixel_size} micrometres is no length; give a positive number")
    sums = _sums(labels, raw)
    area, height, width = sums.area, *labels.shape
    mean_y, mean_x = sums.y / area, sums.x / area
    top, left, bottom, right = sums.top, sums.left, sums.bottom + 1, sums.right + 1
    return Nuclei(
        label=sums.label,
        area=area,
        centroid_y=sums.from_y + mean_y,
        centroid_x=sums.from_x + mean_x,
        bbox_top=top,
        bbox_left=left,
        bbox_bottom=bottom,
        bbox_right=right,
        equivalent_diameter=np.sqrt(4 * area / np.pi),
        eccentricity=_eccentricity(
            sums.yy / area - mean_y**2 + 1 / 12, sums.xx / area - mean_x**2 + 1 / 12, sums.yx / area - mean_y * mean_x
        ),
        intensity_mean=sums.intensity / area,
        intensity_min=sums.least.astype(np.float64),
        intensity_max=sums.most.astype(np.float64),
        touches_border=(top == 0) | (left == 0) | (bottom == height) | (right == width),
        pixel_size=pixel_size,
    )


class _Sums(NamedTuple):
    """Sums over the pixels of each nucleus; places count from `from_y` and `from_x`, a pixel of its own."""

    label: NDArray[np.int64]
    area: NDArray[np.int64]
    from_y: NDArray[np.int64]
    from_x: NDArray[np.int64]
    y: NDArray[np.int64]
    x: NDArray[np.int64]
    yy: NDArray[np.int64]
    xx: NDArray[np.int64]
    yx: NDArray[np.int64]
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    bottom: NDArray[np.int64]
    top: NDArray[np.int64]
    intensity: NDArray[np.float64]
    least: NDArray[np.generic]
    most: NDArray[np.generic]


def _sums(labels: NDArray[np.integer], raw: Frame) -> _Sums:
    kernel = _kernel()
    if kernel is None:
        return _sums_slowly(labels, raw)
    # A table by id, unless ids are so large, or negative, that it would be larger than the frame.
    smallest, largest = int(labels.min()), int(labels.max())
    ids = None
    if smallest < 0 or largest > labels.size:
        ids, index = np.unique(labels, return_inverse=True)
        numbers = index.reshape(labels.shape).astype(np.int32) + 1
        labels, largest = np.where(labels == 0, 0, numbers), len(ids)
    whole, intensity = np.zeros((largest + 1, 11), np.int64), np.zeros(largest + 1)
    least, most = (np.zeros(largest + 1, raw.dtype) for _ in range(2))
    kernel(np.ascontiguousarray(labels, np.int32), np.ascontiguousarray(raw), whole, intensity, least, most)
    found = np.flatnonzero(whole[:, 0])
    label = (found if ids is None else ids[found - 1]).astype(np.int64)
    area, from_y, from_x, y, x, yy, xx, yx, left, right, bottom = whole[found].T
    return _Sums(
        label,
        area,
        from_y,
        from_x,
        y,
        x,
        yy,
        xx,
        yx,
        left,
        right,
        bottom,
        top=from_y,  # the first pixel lies in the first row
        intensity=intensity[found],
        least=least[found],
        most=most[found],
    )


@cache
def _kernel() -> Callable[..., None] | None:
    """Return the compiled kernel, or None where numba is not installed."""
    if find_spec("numba") is None:
        return None
    from unetplus_edge.imaging.measure_numba import sums_of

    kernel: Callable[..., None] = sums_of
    return kernel


def _sums_slowly(labels: NDArray[np.integer], raw: Frame) -> _Sums:
    """Return what `_sums` does, by NumPy: the reference of the compiled kernel."""
    y, x = np.nonzero(labels)
    label, first, index = np.unique(labels[y, x], return_index=True, return_inverse=True)
    count = len(label)
    intensity = raw[y, x].astype(np.float64)
    from_y, from_x = y[first], x[first]
    dy, dx = y - from_y[index], x - from_x[index]

    def total(values: NDArray[np.int64]) -> NDArray[np.int64]:
        sums = np.zeros(count, np.int64)
        np.add.at(sums, index, values)
        return sums

    top, left = (_extreme(np.minimum, index, values, count, labels.size) for values in (y, x))
    bottom, right = (_extreme(np.maximum, index, values, count, -1) for values in (y, x))
    return _Sums(
        label=label.astype(np.int64),
        area=np.bincount(index, minlength=count),
        from_y=from_y,
        from_x=from_x,
        y=total(dy),
        x=total(dx),
        yy=total(dy * dy),
        xx=total(dx * dx),
        yx=total(dy * dx),
        left=left,
        right=right,
        bottom=bottom,
        top=top,
        intensity=np.bincount(index, intensity, minlength=count).astype(np.float64),
        least=_extreme(np.minimum, index, intensity, count, np.inf),
        most=_extreme(np.maximum, index, intensity, count, -np.inf),
    )


def _extreme(
    extreme: np.ufunc, index: NDArray[np.intp], values: NDArray[_Number], count: int, start: float
) -> NDArray[_Number]:
    found = np.full(count, start, values.dtype)
    extreme.at(found, index, values)
    return found


def _eccentricity(
    variance_y: NDArray[np.float64], variance_x: NDArray[np.float64], covariance: NDArray[np.float64]
) -> NDArray[np.float64]:
    # The eigenvalues of a symmetric 2x2 matrix are its mean diagonal plus and minus the spread.
    mean = (variance_y + variance_x) / 2
    spread = np.hypot((variance_y - variance_x) / 2, covariance)
    return np.sqrt(1 - (mean - spread) / (mean + spread))
