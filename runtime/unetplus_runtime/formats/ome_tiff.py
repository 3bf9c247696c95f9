"""Label image as OME-TIFF."""

from __future__ import annotations

import hashlib
import uuid
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile

from unetplus_runtime.results import result_file

if TYPE_CHECKING:
    from pathlib import Path

    from unetplus_runtime.formats.segmented import Segmented


def write(path: Path, segmented: Segmented) -> None:
    """Write the label image: uint16, past 65,535 uint32, zlib-compressed, with its pixel size.

    The same labels always make the same file: its UUID is that of its content.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    labels, size = segmented.result.labels, segmented.result.nuclei.pixel_size
    dtype = np.uint16 if labels.max(initial=0) <= np.iinfo(np.uint16).max else np.uint32
    pixels = np.ascontiguousarray(labels.astype(dtype))
    metadata: dict[str, Any] = {
        "axes": "YX",
        "Name": "nuclei",
        "UUID": uuid.UUID(bytes=hashlib.sha256(pixels.tobytes()).digest()[:16], version=4).urn,
    }
    if size is not None:
        metadata |= {f"PhysicalSize{axis}": size for axis in "XY"}
        metadata |= {f"PhysicalSize{axis}Unit": "\N{MICRO SIGN}m" for axis in "XY"}
    with result_file(path) as unfinished:
        tifffile.imwrite(unfinished, pixels, ome=True, compression="zlib", photometric="minisblack", metadata=metadata)
