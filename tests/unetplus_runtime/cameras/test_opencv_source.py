from __future__ import annotations

import cv2
import numpy as np
import pytest

from unetplus_edge.errors import InputError
from unetplus_runtime.cameras.opencv_source import COLOUR_TOLERANCE, pixel_bits, source_of, take_grey


@pytest.mark.parametrize(
    ("given", "address", "backend", "kind"),
    [
        (0, 0, cv2.CAP_V4L2, "uvc"),
        ("/dev/video3", 3, cv2.CAP_V4L2, "uvc"),
        ("films/day 1.avi", "films/day 1.avi", cv2.CAP_FFMPEG, "file"),
        ("RTSP://10.0.0.7/live", "RTSP://10.0.0.7/live", cv2.CAP_FFMPEG, "stream"),
        ("udp://0.0.0.0:8093", "udp://0.0.0.0:8093", cv2.CAP_FFMPEG, "stream"),
    ],
)
def test_what_a_source_is(given: int | str, address: int | str, backend: int, kind: str) -> None:
    source = source_of(given)
    assert (source.address, source.backend, source.kind) == (address, backend, kind)


def test_a_password_is_not_named() -> None:
    source = source_of("rtsp://lab:se@cret@camera.local:554/live?token=hidden")
    assert source.name == "rtsp://camera.local:554/live"
    assert source.address == "rtsp://lab:se@cret@camera.local:554/live?token=hidden"


@pytest.mark.parametrize(
    ("tag", "bits"),
    [
        (b"I420", 8),
        (b"Y800", 8),
        (b"BGRA", 8),
        (b"YUYV", 8),
        (b"Y1\0\x10", 16),
        (b"Y3\x0b\x0a", 10),
        (b"G3\0\x0c", 12),
        (b"Y16 ", 16),
        (b"Y12 ", 12),
        (b"P010", 10),
        (b"\0\0\0\0", 8),
    ],
)
def test_how_many_bits_a_pixel_format_has(tag: bytes, bits: int) -> None:
    assert pixel_bits(tag) == bits


def test_a_channel_is_taken_by_its_name() -> None:
    picture = np.zeros((8, 9, 3), np.uint8)
    picture[...] = (10, 20, 200)  # OpenCV's order: blue, green, red
    for channel, value in (("blue", 10), ("green", 20), ("red", 200)):
        assert (take_grey(picture, channel, "x") == value).all()
    grey = round(0.299 * 200 + 0.587 * 20 + 0.114 * 10)
    assert (take_grey(picture, "grey", "x") == grey).all()


def test_a_grey_picture_keeps_its_levels() -> None:
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    for picture in (levels, levels[:, :, None], np.dstack([levels] * 3)):
        np.testing.assert_array_equal(take_grey(picture, None, "x"), levels)


def test_a_coloured_picture_needs_a_channel() -> None:
    picture = np.full((40, 40, 3), 100, np.uint8)
    picture[..., 0] += COLOUR_TOLERANCE
    take_grey(picture, None, "x")
    picture[..., 0] += 1
    with pytest.raises(InputError, match="x is in colour; name the channel"):
        take_grey(picture, None, "x")


@pytest.mark.parametrize("shape", [(4, 4, 2), (4, 4, 4), (0, 4), (4,)])
def test_what_is_no_picture_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="x sent"):
        take_grey(np.zeros(shape, np.uint8), None, "x")


def test_more_than_8_bits_are_refused() -> None:
    with pytest.raises(InputError, match="8 bits"):
        take_grey(np.zeros((4, 4), np.uint16), None, "x")  # type: ignore[arg-type]
