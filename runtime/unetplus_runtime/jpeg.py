"""JPEG files, and the JPEG streams inside TIFF files."""

from __future__ import annotations

import io
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO

import cv2
import numpy as np

from unetplus_edge.errors import InputError
from unetplus_edge.imaging import as_frame
from unetplus_runtime.channels import take_channel
from unetplus_runtime.pages import Plane, another_format, cut_off, damaged, read_content, require_size, unreadable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from unetplus_edge.imaging.frames import Frame
    from unetplus_runtime.pages import FrameView, Pages

_START = b"\xff\xd8"
_END, _SCAN = 0xD9, 0xDA
_FRAME_HEADERS = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
# In pixel data 0xff is followed by 0, or by one of the marks that make it robust.
_MARKER = re.compile(rb"\xff+([^\x00\x01\xff\xd0-\xd7])")


@contextmanager
def open_jpeg(path: Path, channel: str | None = None) -> Iterator[Pages]:
    """Open a JPEG file; only its headers are read. See `unetplus_runtime.readers.open_pages`."""
    try:
        with path.open("rb") as file:
            if file.read(2) != _START:
                raise another_format(path, "JPEG")
            shape = _shape(file, str(path))
    except OSError as error:
        raise unreadable(path, error) from error
    yield _Jpeg(path, shape, channel)


class _Jpeg:
    def __init__(self, path: Path, shape: tuple[int, int], channel: str | None) -> None:
        self.planes: Sequence[Plane] = (Plane("", 0),)
        self.passed_over: str | None = None
        self._path, self._shape, self._channel = path, shape, channel

    def view(self, plane: Plane) -> FrameView:
        return self.read(plane)

    def read(self, plane: Plane) -> Frame:
        content = read_content(self._path, self._shape[0] * self._shape[1])
        image = decode_jpeg(content, str(self._path))
        return as_frame(take_channel(image, self._channel, str(self._path)), str(self._path))


def decode_jpeg(content: bytes, name: str) -> NDArray[Any]:
    """Return the pixels of a JPEG stream.

    JPEG has no checksums: a stream that is cut off is refused, other damage may stay unseen.

    Parameters
    ----------
    content
        From the start of the image to its end, or further.
    name
        What to call the image in an error.

    Returns
    -------
    numpy.ndarray
        uint8, shape (height, width) or (height, width, 3), red first.

    Raises
    ------
    InputError
        If the stream is damaged, cut off, too large, or neither grey nor in colours of light.
    """
    shape = _shape(io.BytesIO(content[2:]), name)
    _require_whole(content, name)
    image: NDArray[Any] | None = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    if image is None or image.shape[:2] != shape:
        raise damaged(name)
    return image if image.ndim == 2 else image[:, :, ::-1]


def _shape(file: BinaryIO, name: str) -> tuple[int, int]:
    """Return height and width, from the headers after the start of the image."""
    while True:
        marker = _next_marker(file, name)
        header = file.read(8 if marker in _FRAME_HEADERS else 2)
        length = int.from_bytes(header[:2], "big")
        if length < 2 or marker in (_END, _SCAN):
            raise damaged(name)
        if marker in _FRAME_HEADERS:
            break
        file.seek(length - 2, io.SEEK_CUR)
    if len(header) < 8:
        raise cut_off(name, "its headers")
    depth, height, width = header[2], int.from_bytes(header[3:5], "big"), int.from_bytes(header[5:7], "big")
    require_size(name, height, width)
    if header[7] not in (1, 3):
        raise InputError(f"{name} is a JPEG image of {header[7]} inks (CMYK); save it in grey")
    if depth != 8:
        raise InputError(f"{name} is a JPEG image of {depth} bits, which is not read; save it as TIFF")
    return height, width


def _next_marker(file: BinaryIO, name: str) -> int:
    byte = file.read(1)
    if byte not in (b"\xff", b""):
        raise damaged(name)
    while byte == b"\xff":
        byte = file.read(1)
    if byte == b"":
        raise cut_off(name, "its headers")
    return byte[0]


def _require_whole(content: bytes, name: str) -> None:
    # A decoder fills what is missing with grey and says so to nobody.
    start = len(_START)
    while marker := _MARKER.search(content, start):
        if marker[1][0] == _END:
            return
        start = marker.end() + int.from_bytes(content[marker.end() : marker.end() + 2], "big")
    raise cut_off(name, f"{len(content)} bytes")
