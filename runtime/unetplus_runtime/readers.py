"""Image files, read frame by frame: PNG and TIFF, checked before memory is taken."""

from __future__ import annotations

import struct
import zlib
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Protocol

import cv2
import numpy as np
import tifffile

from unetplus_edge.errors import InputError
from unetplus_edge.imaging import as_frame

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from numpy.typing import NDArray

    from unetplus_edge.imaging.frames import Frame

MAX_PIXELS = 100_000_000
"""Most pixels of a frame: segmenting one of this size and writing its results takes about 6 GB."""


class Pages(Protocol):
    """The frames of an open file."""

    def __len__(self) -> int:
        """Return how many frames the file holds."""
        ...

    def read(self, page: int) -> Frame:
        """Return a frame, counted from 0: uint8, uint16 or float32, shape (height, width).

        An `InputError` says why it cannot be read; other frames may be readable nevertheless.
        """
        ...


def open_pages(path: Path) -> AbstractContextManager[Pages]:
    """Open an image file; nothing but its headers is read.

    PNG: one frame; grey, or colour with equal channels and without transparency. TIFF: every page
    is a frame, and so is every slice of an ImageJ stack that is stored as one page.

    Raises
    ------
    InputError
        On entering: if the file cannot be read, is damaged or cut off, is of another format, or
        holds several channels.
    """
    return READERS[path.suffix.lower()](path)


@contextmanager
def _open_png(path: Path) -> Iterator[Pages]:
    try:
        with path.open("rb") as file:
            header = file.read(24)
    except OSError as error:
        raise _unreadable(path, error) from error
    if header[:8] != _PNG_SIGNATURE or header[12:16] != b"IHDR" or len(header) < 24:
        raise InputError(f"{path} is no PNG file, whatever its name says; save the image again")
    width, height = struct.unpack(">II", header[16:24])
    _require_size(path, height, width)
    yield _Png(path)


_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


class _Png:
    def __init__(self, path: Path) -> None:
        self._path = path

    def __len__(self) -> int:
        return 1

    def read(self, page: int) -> Frame:
        path = self._path
        try:
            content = path.read_bytes()
        except OSError as error:
            raise _unreadable(path, error) from error
        _require_whole_png(path, content)
        # Decoding bytes, because OpenCV does not open every name on every system.
        image: NDArray[Any] | None = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
        if image is None:
            raise InputError(f"{path} is damaged; copy or save the image again")
        if image.ndim == 3 and image.shape[2] == 4:
            if image[:, :, 3].min() < np.iinfo(image.dtype).max:
                raise InputError(f"{path} has transparent pixels; save the image without an alpha channel")
            image = image[:, :, :3]
        return as_frame(_one_channel(image, str(path)), str(path))


def _require_whole_png(path: Path, content: bytes) -> None:
    # A decoder may return what it has of a damaged file. Each chunk is: length, type, data, CRC.
    start = len(_PNG_SIGNATURE)
    while True:
        end = start + 12 + int.from_bytes(content[start : start + 4], "big")
        if len(content) < max(end, start + 12):
            raise InputError(f"{path} is cut off after {len(content)} bytes; copy or save the image again")
        if zlib.crc32(content[start + 4 : end - 4]) != int.from_bytes(content[end - 4 : end], "big"):
            raise InputError(f"{path} is damaged at byte {start}; copy or save the image again")
        if content[start + 4 : start + 8] == b"IEND":
            return
        start = end


@contextmanager
def _open_tiff(path: Path) -> Iterator[Pages]:
    with ExitStack() as stack:
        try:
            file = stack.enter_context(tifffile.TiffFile(path))
            pages = _Tiff(path, file)
        except InputError:
            raise
        except OSError as error:
            raise _unreadable(path, error) from error
        except Exception as error:  # a damaged file raises whatever the part of tifffile that meets it does
            raise _undecodable(str(path), error) from error
        yield pages


class _Tiff:
    def __init__(self, path: Path, file: tifffile.TiffFile) -> None:
        self._path, self._file = path, file
        self._require_whole()
        series = file.series[0]
        sizes = dict(zip(series.axes, series.shape, strict=True))
        if sizes.get("C", 1) > 1:
            raise InputError(f"{path} holds {sizes['C']} channels; save the one with the nuclei as a file of its own")
        # ImageJ stores a stack of more than 4 GB as one page, which the others follow undescribed.
        stacked = len(file.pages) == 1 and len(sizes) > 2 and "S" not in sizes
        self._stack: Any = series if stacked else None
        self._count = len(file.pages) if self._stack is None else int(np.prod(series.shape[:-2]))
        if file.is_imagej and file.imagej_metadata.get("images", 1) > self._count:
            raise InputError(f"{path} is cut off after page {self._count}; copy or save it again")

    def __len__(self) -> int:
        return self._count

    def read(self, page: int) -> Frame:
        name = str(self._path) if self._count == 1 else f"{self._path}, page {page + 1}"
        try:
            image = self._read_page(page, name) if self._stack is None else self._read_slice(page, name)
        except InputError:
            raise
        except Exception as error:
            raise _undecodable(name, error) from error
        return as_frame(_one_channel(image, name), name)

    def _require_whole(self) -> None:
        # tifffile ends the list of pages where a file is cut off, and says so in its log alone. The
        # directory of the last page must say that it is the last.
        kind, handle = self._file.tiff, self._file.filehandle
        start = self._file.pages[-1].offset
        handle.seek(start)
        (tags,) = struct.unpack(kind.tagnoformat, handle.read(kind.tagnosize))
        handle.seek(start + kind.tagnosize + tags * kind.tagsize)
        if any(handle.read(kind.offsetsize)):
            raise InputError(f"{self._path} is cut off after page {len(self._file.pages)}; copy or save it again")

    def _read_page(self, number: int, name: str) -> NDArray[Any]:
        page = self._file.pages[number]
        kind = page.keyframe  # tifffile keeps what pages have in common at the first of them
        _require_size(name, kind.imagelength, kind.imagewidth)
        size = self._file.filehandle.size
        if any(start + count > size for start, count in zip(page.dataoffsets, page.databytecounts, strict=True)):
            raise InputError(f"{name} is cut off; copy or save the image again")
        if kind.compression in _DECODED_BY_OPENCV:
            return self._decode_by_opencv(number)
        image: NDArray[Any] = page.asarray()
        # Colour planes that follow each other, as rows x columns x channels.
        return np.moveaxis(image, 0, 2) if kind.axes == "SYX" else image

    def _decode_by_opencv(self, number: int) -> NDArray[Any]:
        content = np.fromfile(self._path, np.uint8)
        _, images = cv2.imdecodemulti(content, cv2.IMREAD_UNCHANGED, range=(number, number + 1))
        if not images:
            raise ValueError("its compressed pixels cannot be decoded")
        return images[0]

    def _read_slice(self, number: int, name: str) -> NDArray[Any]:
        stack = self._stack
        _require_size(name, *stack.shape[-2:])
        if stack.dataoffset is None:
            raise ValueError("its slices are not contiguous")
        shape = stack.shape[-2:]
        pixels = int(np.prod(shape))
        dtype = stack.dtype.newbyteorder(self._file.byteorder)
        offset = stack.dataoffset + number * pixels * dtype.itemsize
        with self._path.open("rb") as file:
            file.seek(offset)
            content = file.read(pixels * dtype.itemsize)
        return np.frombuffer(content, dtype).reshape(shape)


# tifffile decodes these only with another large package; OpenCV brings its own decoders.
_DECODED_BY_OPENCV = {tifffile.COMPRESSION.LZW, tifffile.COMPRESSION.JPEG}


def _require_size(name: object, height: int, width: int) -> None:
    if height * width > MAX_PIXELS:
        raise InputError(
            f"{name} has {height} x {width} pixels, more than {MAX_PIXELS:,} in a frame; cut it into smaller frames"
        )


def _one_channel(image: NDArray[Any], name: str) -> NDArray[Any]:
    if image.ndim != 3:
        return image
    if (image != image[:, :, :1]).any():
        raise InputError(f"{name} is in colour; choose the channel with the nuclei and save it as a grey image")
    return np.ascontiguousarray(image[:, :, 0])


def _unreadable(path: Path, error: OSError) -> InputError:
    return InputError(f"{path} cannot be read ({error.strerror or error}); check the path and its permissions")


def _undecodable(name: str, error: Exception) -> InputError:
    return InputError(f"{name} cannot be decoded ({error}); copy the image again, or save it without compression")


READERS: dict[str, Callable[[Path], AbstractContextManager[Pages]]] = {
    ".png": _open_png,
    ".tif": _open_tiff,
    ".tiff": _open_tiff,
}
"""How files are opened, by their suffix in lower case."""
