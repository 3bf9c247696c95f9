"""Measurements of each nucleus of a label image, all nuclei in one pass."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from unetplus_edge.errors import InputError
from unetplus_edge.imaging.frames import as_frame

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

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
    y, x = np.nonzero(labels)
    label, index = np.unique(labels[y, x], return_inverse=True)
    count = len(label)
    intensity = raw[y, x].astype(np.float64)

    area = np.bincount(index, minlength=count)

    def mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.bincount(index, values, minlength=count) / area

    top, left = (_extreme(np.minimum, index, values, count, labels.size) for values in (y, x))
    bottom, right = (_extreme(np.maximum, index, values, count, -1) + 1 for values in (y, x))
    centroid_y, centroid_x = mean(y.astype(np.float64)), mean(x.astype(np.float64))
    dy, dx = y - centroid_y[index], x - centroid_x[index]
    height, width = labels.shape
    return Nuclei(
        label=label.astype(np.int64),
        area=area,
        centroid_y=centroid_y,
        centroid_x=centroid_x,
        bbox_top=top,
        bbox_left=left,
        bbox_bottom=bottom,
        bbox_right=right,
        equivalent_diameter=np.sqrt(4 * area / np.pi),
        eccentricity=_eccentricity(mean(dy * dy) + 1 / 12, mean(dx * dx) + 1 / 12, mean(dy * dx)),
        intensity_mean=mean(intensity),
        intensity_min=_extreme(np.minimum, index, intensity, count, np.inf),
        intensity_max=_extreme(np.maximum, index, intensity, count, -np.inf),
        touches_border=(top == 0) | (left == 0) | (bottom == height) | (right == width),
        pixel_size=pixel_size,
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
