"""Images, read frame by frame and checked before memory is taken: PNG, JPEG, TIFF and OME-Zarr."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING, Protocol

from unetplus_edge.errors import InputError
from unetplus_runtime.jpeg import open_jpeg
from unetplus_runtime.ome_zarr import is_ome_zarr, open_ome_zarr
from unetplus_runtime.pages import unreadable
from unetplus_runtime.png import open_png
from unetplus_runtime.tiff import open_tiff

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from unetplus_runtime.pages import Pages

    class _Open(Protocol):
        def __call__(self, path: Path, channel: str | None = None) -> AbstractContextManager[Pages]: ...


READERS: dict[str, _Open] = {
    ".png": open_png,
    ".jpg": open_jpeg,
    ".jpeg": open_jpeg,
    ".tif": open_tiff,
    ".tiff": open_tiff,
}
"""By suffix, in lower case; OME-Zarr images are folders, see `unetplus_runtime.ome_zarr.is_ome_zarr`."""

KINDS = "PNG, JPEG, TIFF or OME-Zarr"
"""What these are called together."""


def open_pages(path: Path, channel: str | None = None) -> AbstractContextManager[Pages]:
    """Open an image file; nothing but its headers is read.

    PNG and JPEG: one frame. TIFF: every page is a frame, but for reduced copies of others. Where
    OME-XML or ImageJ describes the file, every time and height of every series is a frame, the
    channel apart; so it is where tifffile has written down the axes. OME-Zarr: every time and height of every
    series, at full resolution.

    Parameters
    ----------
    path
        The file, whose suffix is one of `READERS`, or the folder of an OME-Zarr image.
    channel
        Name or number (from 1) of the channel with the nuclei. By default a file must have one
        channel, or colours that are all equal. Of several series, those that have not the channel are
        passed over where another one has it.

    Raises
    ------
    InputError
        If the file cannot be read, is damaged or cut off, is of another format, or has not the
        channel. Some of this is seen on entering the context, the rest when a frame is read.
    """
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise unreadable(path, error) from error
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):  # reading one of these may never end
        raise InputError(f"{path} is a pipe or a device; save the image to a file first")
    if is_ome_zarr(path):
        return open_ome_zarr(path, channel)
    return READERS[path.suffix.lower()](path, channel)
