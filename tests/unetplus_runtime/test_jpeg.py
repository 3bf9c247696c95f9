from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
from PIL import Image

from unetplus_edge.errors import InputError
from unetplus_runtime.jpeg import decode_jpeg, open_jpeg

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


def smooth(height: int = 60, width: int = 80) -> NDArray[np.uint8]:
    """An image that JPEG changes little."""
    y, x = np.mgrid[:height, :width]
    image: NDArray[np.uint8] = (120 + 60 * np.sin(y / 9) + 50 * np.cos(x / 11)).astype(np.uint8)
    return image


def encoded(image: Image.Image, **options: Any) -> bytes:
    content = io.BytesIO()
    image.save(content, "JPEG", quality=98, **options)
    return content.getvalue()


def read(path: Path, channel: str | None = None) -> NDArray[Any]:
    with open_jpeg(path, channel) as pages:
        (plane,) = pages.planes
        return pages.read(plane)


@pytest.mark.parametrize("progressive", [False, True])
def test_a_grey_jpeg_is_nearly_its_pixels(tmp_path: Path, progressive: bool) -> None:
    image = smooth()
    (tmp_path / "a.jpg").write_bytes(encoded(Image.fromarray(image), progressive=progressive))
    frame = read(tmp_path / "a.jpg")
    assert frame.dtype == np.uint8
    np.testing.assert_allclose(frame.astype(int), image.astype(int), atol=4)


def test_a_grey_image_saved_in_colour_is_grey(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(encoded(Image.fromarray(smooth()).convert("RGB")))
    np.testing.assert_allclose(read(tmp_path / "a.jpg").astype(int), smooth().astype(int), atol=4)


def test_a_channel_of_a_colour_jpeg_is_taken(tmp_path: Path) -> None:
    planes = [smooth(), smooth()[::-1], np.zeros_like(smooth())]
    (tmp_path / "a.jpg").write_bytes(encoded(Image.fromarray(np.stack(planes, axis=2)), subsampling=0))
    with pytest.raises(InputError, match=r"a\.jpg is in colour"):
        read(tmp_path / "a.jpg")
    for channel, plane in zip(("red", "2", "blue"), planes, strict=True):
        np.testing.assert_allclose(read(tmp_path / "a.jpg", channel).astype(int), plane.astype(int), atol=8)


@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_that_is_cut_off_anywhere_is_refused(progressive: bool) -> None:
    content = encoded(Image.fromarray(smooth()), progressive=progressive)
    for length in [*range(2, len(content) - 2, 61), len(content) - 2, len(content) - 1]:
        with pytest.raises(InputError, match=r"a\.jpg is (cut off|damaged)"):
            decode_jpeg(content[:length], "a.jpg")


def test_a_preview_inside_is_not_taken_for_the_end() -> None:
    preview = encoded(Image.fromarray(smooth(20, 20)))
    content = encoded(Image.fromarray(smooth()))
    described = content[:2] + b"\xff\xe1" + (len(preview) + 2).to_bytes(2, "big") + preview + content[2:]
    assert decode_jpeg(described, "a.jpg").shape == (60, 80)
    with pytest.raises(InputError, match="cut off"):
        decode_jpeg(described[:-300], "a.jpg")


def test_what_follows_the_image_is_passed_over() -> None:
    content = encoded(Image.fromarray(smooth()))
    np.testing.assert_array_equal(decode_jpeg(content + b"notes" * 10, "a.jpg"), decode_jpeg(content, "a.jpg"))


def test_inks_are_refused() -> None:
    content = encoded(Image.merge("CMYK", [Image.fromarray(smooth())] * 4))
    with pytest.raises(InputError, match=r"a\.jpg is a JPEG image of 4 inks \(CMYK\); save it in grey"):
        decode_jpeg(content, "a.jpg")


def test_twelve_bits_are_refused() -> None:
    content = bytearray(encoded(Image.fromarray(smooth())))
    content[content.index(b"\xff\xc0") + 4] = 12
    with pytest.raises(InputError, match="of 12 bits"):
        decode_jpeg(bytes(content), "a.jpg")


def test_a_jpeg_that_would_fill_the_memory_is_refused_by_its_header() -> None:
    content = bytearray(encoded(Image.fromarray(smooth())))
    at = content.index(b"\xff\xc0") + 5
    content[at : at + 4] = (60_000).to_bytes(2, "big") * 2
    with pytest.raises(InputError, match="60000 x 60000 pixels"):
        decode_jpeg(bytes(content), "a.jpg")


def test_what_cannot_be_decoded_is_damaged() -> None:
    content = encoded(Image.fromarray(smooth()))
    tables = content.index(b"\xff\xc4")
    with pytest.raises(InputError, match=r"a\.jpg is damaged"):
        decode_jpeg(content[: tables + 2] + b"\x00\x01" + content[tables + 4 :], "a.jpg")
    lossless = content.replace(b"\xff\xc0", b"\xff\xc3", 1)
    with pytest.raises(InputError, match=r"a\.jpg is damaged"):
        decode_jpeg(lossless, "a.jpg")


def test_opencv_agrees(tmp_path: Path) -> None:
    (tmp_path / "a.jpeg").write_bytes(encoded(Image.fromarray(smooth())))
    np.testing.assert_array_equal(read(tmp_path / "a.jpeg"), cv2.imread(str(tmp_path / "a.jpeg"), cv2.IMREAD_GRAYSCALE))
