"""PNG files."""

from __future__ import annotations

import struct
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

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

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PIXEL_CHUNKS = {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"}


@contextmanager
def open_png(path: Path, channel: str | None = None) -> Iterator[Pages]:
    """Open a PNG file; only its header is read. See `unetplus_runtime.readers.open_pages`."""
    try:
        with path.open("rb") as file:
            header = file.read(25)
    except OSError as error:
        raise unreadable(path, error) from error
    if header[:8] != _SIGNATURE or header[12:16] != b"IHDR" or len(header) < 25:
        raise another_format(path, "PNG")
    width, height, depth = struct.unpack(">IIB", header[16:25])
    require_size(path, height, width)
    if depth == 1:
        raise InputError(f"{path} holds 1-bit pixels; segment the image that it was made of")
    yield _Png(path, (height, width), channel)


class _Png:
    def __init__(self, path: Path, shape: tuple[int, int], channel: str | None) -> None:
        self.planes: Sequence[Plane] = (Plane("", 0),)
        self.passed_over: str | None = None
        self._path, self._shape, self._channel = path, shape, channel

    def view(self, plane: Plane) -> FrameView:
        return self.read(plane)

    def read(self, plane: Plane) -> Frame:
        path = self._path
        content = _pixel_chunks(path, read_content(path, self._shape[0] * self._shape[1]))
        # Decoding bytes, because OpenCV does not open every name on every system.
        image: NDArray[Any] | None = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
        if image is None or image.shape[:2] != self._shape:
            raise damaged(path)
        alpha = image.ndim == 3 and image.shape[2] == 4
        if image.ndim == 3:
            image[:, :, :3] = image[:, :, 2::-1]
        return as_frame(take_channel(image, self._channel, str(path), alpha=alpha), str(path))


def _pixel_chunks(path: Path, content: bytes) -> bytes:
    """Return what the decoder needs: no profile and no text, which may inflate to any size.

    A decoder may also return what it has of a damaged file, so the checksums are looked at here.
    Each chunk is: length, type, data, CRC.
    """
    view = memoryview(content)
    needed: list[bytes | memoryview] = [_SIGNATURE]
    start = len(_SIGNATURE)
    while True:
        end = start + 12 + int.from_bytes(view[start : start + 4], "big")
        if len(content) < max(end, start + 12):
            raise cut_off(path, f"{len(content)} bytes")
        if zlib.crc32(view[start + 4 : end - 4]) != int.from_bytes(view[end - 4 : end], "big"):
            raise damaged(path, f" at byte {start}")
        kind = bytes(view[start + 4 : start + 8])
        if kind in _PIXEL_CHUNKS:
            needed.append(view[start:end])
        if kind == b"IEND":
            return b"".join(needed)
        start = end
