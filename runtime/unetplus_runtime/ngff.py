"""Label images as OME-Zarr: NGFF 0.4, the version that the most viewers read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

VERSION = "0.4"
LONGEST_CHUNK = 1024
"""Most pixels along a side of a chunk; levels are added until one chunk holds the whole image."""


def level_shapes(shape: tuple[int, ...]) -> list[tuple[int, int]]:
    """Return the heights and widths of a pyramid's levels, each half of the one before.

    >>> level_shapes((3000, 1001))
    [(3000, 1001), (1500, 501), (750, 251)]
    """
    height, width = shape
    shapes = [(height, width)]
    while max(height, width) > LONGEST_CHUNK:
        height, width = -(-height // 2), -(-width // 2)
        shapes.append((height, width))
    return shapes


def create_labels(
    folder: Path,
    shape: tuple[int, ...],
    pixel_size: float | None,
    provenance: Mapping[str, str],
    chunk: int = LONGEST_CHUNK,
) -> list[Any]:
    """Make a label image of zeros, to be filled in.

    Level n holds every 2^n-th pixel of every 2^n-th row: labels have no mean. Chunks of zeros take
    no room on the disk.

    Parameters
    ----------
    folder
        The group; what is there already is replaced by arrays of zeros.
    shape
        Height and width in pixels.
    pixel_size
        Side of a pixel in micrometres; None where it is not known.
    provenance
        What computes the labels, for the group's attribute `unetplus`.
    chunk
        Side of a chunk in pixels.

    Returns
    -------
    list of zarr.Array
        The levels, uint32, from the largest on.
    """
    import zarr
    from numcodecs import Blosc

    group = zarr.open_group(folder, mode="w", zarr_format=2, attributes=_attributes(shape, pixel_size, provenance))
    return [
        group.create_array(
            str(level),
            shape=size,
            chunks=(min(chunk, size[0]), min(chunk, size[1])),
            dtype="uint32",
            fill_value=0,
            compressors=Blosc(cname="zstd", clevel=3, shuffle=Blosc.SHUFFLE),
            chunk_key_encoding={"name": "v2", "separator": "/"},
        )
        for level, size in enumerate(level_shapes(shape))
    ]


def open_labels(folder: Path) -> list[Any]:
    """Return the levels of a label image that `create_labels` has made, to go on with it."""
    import zarr

    group: Any = zarr.open_group(folder, mode="r+")
    return [group[dataset["path"]] for dataset in group.attrs["multiscales"][0]["datasets"]]


def _attributes(shape: tuple[int, ...], pixel_size: float | None, provenance: Mapping[str, str]) -> dict[str, Any]:
    unit = {} if pixel_size is None else {"unit": "micrometer"}
    side = 1.0 if pixel_size is None else pixel_size
    multiscale = {
        "version": VERSION,
        "name": "nuclei",
        "type": "nearest",
        "axes": [{"name": axis, "type": "space", **unit} for axis in "yx"],
        "datasets": [
            {"path": str(level), "coordinateTransformations": [{"type": "scale", "scale": [side * 2**level] * 2}]}
            for level in range(len(level_shapes(shape)))
        ],
    }
    return {"multiscales": [multiscale], "image-label": {"version": VERSION}, "unetplus": dict(provenance)}
