"""What OpenCV is given to open, and what it says of it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

import cv2
import numpy as np

from unetplus_edge.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

SCHEMES = ("rtsp", "rtsps", "http", "https", "udp", "tcp")
"""Of URLs that are streams; everything else is the path of a file."""

COLOUR_TOLERANCE = 16
"""Grey levels by which channels of a grey picture may differ because it was compressed in colour."""

_SPARSE = 4  # every so many pixels are looked at to see whether a picture is in colour

# As FFmpeg and V4L2 call formats of more than 8 bits; besides these, FFmpeg's end on their depth as a number.
_DEEP = {
    **dict.fromkeys((b"RGB0", b"BGR0", b"RBA@", b"BRA@", b"P016", b"P216", b"Y16 ", b"BYR2", b"RG16", b"Y216"), 16),
    **dict.fromkeys((b"Y14 ", b"RG14", b"BG14", b"GB14", b"GR14"), 14),
    **dict.fromkeys((b"P012", b"Y12 ", b"RG12", b"BG12", b"GB12", b"BA12"), 12),
    **dict.fromkeys((b"P010", b"P210", b"Y10 ", b"v210", b"Y210", b"RG10", b"BG10", b"GB10", b"BA10"), 10),
}
_DEPTHS = (9, 10, 12, 14, 16)

_LOSSLESS = ("ffv1", "hfyu", "ffvh", "yuyv", "uyvy", "grey", "y800", "i420", "nv12", "raw", "png")
_LOSSY = (
    "mjpg",
    "jpeg",
    "h264",
    "avc1",
    "hevc",
    "hev1",
    "hvc1",
    "mp4v",
    "fmp4",
    "xvid",
    "mpg1",
    "mpg2",
    "vp80",
    "vp90",
)


class Source(NamedTuple):
    """Something to open.

    Attributes
    ----------
    address
        As `cv2.VideoCapture` takes it.
    backend
        Which of OpenCV's backends opens it.
    name
        For a person: no password and no query of a URL.
    kind
        What it is.
    advice
        What to do if it does not open.
    """

    address: int | str
    backend: int
    name: str
    kind: str
    advice: str

    @property
    def is_file(self) -> bool:
        """Whether it waits to be read, and ends."""
        return self.kind == "file"


def source_of(given: int | str) -> Source:
    """Return what an index, a path or a URL stands for.

    Examples
    --------
    >>> source_of("rtsp://lab:secret@10.0.0.7:554/live?key=1").name
    'rtsp://10.0.0.7:554/live'
    >>> source_of("/dev/video2").address, source_of("film.avi").kind
    (2, 'file')
    """
    device = re.fullmatch(r"/dev/video(\d+)", given) if isinstance(given, str) else None
    if device is not None:
        given = int(device[1])
    if isinstance(given, int):
        advice = "plug it in, and see what is there: unetplus-runtime cameras"
        return Source(given, cv2.CAP_V4L2, f"UVC camera {given}", "uvc", advice)
    parts = urlsplit(given)
    if parts.scheme.lower() in SCHEMES:
        name = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
        return Source(given, cv2.CAP_FFMPEG, name, "stream", "check that it runs, its address and its password")
    return Source(given, cv2.CAP_FFMPEG, given, "file", "convert it to a video that FFmpeg reads")


def pixel_bits(tag: bytes) -> int:
    r"""Return how many bits a channel has in a pixel format, by its four letters.

    >>> pixel_bits(b"Y1\0\x10"), pixel_bits(b"Y16 "), pixel_bits(b"I420")
    (16, 16, 8)
    """
    return tag[3] if tag[3] in _DEPTHS else _DEEP.get(tag, 8)


def is_lossy(codec: str) -> bool | None:
    """Return whether a codec, by its lower-case name, loses some of the picture; None where that is not known.

    >>> is_lossy("mjpg"), is_lossy("ffv1"), is_lossy("")
    (True, False, None)
    """
    return False if codec in _LOSSLESS else True if codec in _LOSSY else None


def four_letters(value: float) -> bytes:
    """Return what a property of OpenCV stands for that is a number made of four letters.

    >>> four_letters(cv2.VideoWriter_fourcc(*"MJPG"))
    b'MJPG'
    """
    return (int(value) & 0xFFFFFFFF).to_bytes(4, "little")


def take_grey(picture: NDArray[np.uint8], channel: str | None, name: str) -> NDArray[np.uint8]:
    """Return one channel of a picture.

    Parameters
    ----------
    picture
        Shape (height, width), or (height, width, 3) in the order blue, green, red.
    channel
        "red", "green", "blue", "grey" (0.299 red + 0.587 green + 0.114 blue); or None, where they
        differ by no more than `COLOUR_TOLERANCE`.
    name
        What to call the picture in an error.

    Returns
    -------
    numpy.ndarray
        uint8, shape (height, width), contiguous.

    Raises
    ------
    InputError
        If it is in colour and no channel was named; or it is no picture of 8 bits.
    """
    if picture.dtype != np.uint8 or picture.ndim not in (2, 3) or picture.size == 0:
        raise InputError(f"{name} sent {picture.dtype} pixels of shape {picture.shape}; its pictures must have 8 bits")
    if picture.ndim == 2:
        return picture
    if picture.shape[2] == 1:
        return np.ascontiguousarray(picture[:, :, 0])
    if picture.shape[2] != 3:
        raise InputError(f"{name} sent pictures of {picture.shape[2]} channels; it must have 1 or 3")
    if channel in ("red", "green", "blue"):
        return np.ascontiguousarray(picture[:, :, ("blue", "green", "red").index(channel)])
    if channel is None:
        sparse = picture[::_SPARSE, ::_SPARSE].astype(np.int16)
        if np.ptp(sparse, axis=2).max() > COLOUR_TOLERANCE:
            raise InputError(f"{name} is in colour; name the channel with the nuclei: red, green, blue or grey")
    grey: NDArray[np.uint8] = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)  # type: ignore[assignment]
    return grey
