from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
import tifffile

from unetplus_edge.errors import InputError
from unetplus_runtime.pages import MAX_PIXELS
from unetplus_runtime.readers import READERS, open_pages

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


def noise(dtype: Any, *shape: int) -> NDArray[Any]:
    return np.random.default_rng(0).integers(0, 255 if dtype == np.uint8 else 4095, shape).astype(dtype)


def write_png(path: Path, image: NDArray[Any]) -> Path:
    path.write_bytes(cv2.imencode(".png", image)[1].tobytes())
    return path


def read_all(path: Path) -> list[NDArray[Any]]:
    with open_pages(path) as pages:
        return [pages.read(plane) for plane in pages.planes]


def read_one(path: Path) -> NDArray[Any]:
    (frame,) = read_all(path)
    return frame


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_grey_png_is_its_pixels(tmp_path: Path, dtype: Any) -> None:
    image = noise(dtype, 50, 70)
    frame = read_one(write_png(tmp_path / "a.png", image))
    np.testing.assert_array_equal(frame, image)
    assert frame.dtype == dtype


def test_names_may_hold_spaces_and_any_letters_and_suffixes_be_upper_case(tmp_path: Path) -> None:
    image = noise(np.uint8, 20, 30)
    np.testing.assert_array_equal(read_one(write_png(tmp_path / "Zellkerne 細胞核 ядро.PNG", image)), image)
    tifffile.imwrite(tmp_path / "Zellkerne 細胞核 ядро.TIF", image)
    np.testing.assert_array_equal(read_one(tmp_path / "Zellkerne 細胞核 ядро.TIF"), image)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_colour_png_with_equal_channels_is_one_of_them(tmp_path: Path, dtype: Any) -> None:
    image = noise(dtype, 20, 30)
    opaque = np.full_like(image, np.iinfo(dtype).max)
    for number, channels in enumerate([(image, image, image), (image, image, image, opaque)]):
        frame = read_one(write_png(tmp_path / f"{number}.png", np.stack(channels, axis=2)))
        np.testing.assert_array_equal(frame, image)
        assert frame.flags.c_contiguous


def test_colour_and_transparency_are_refused(tmp_path: Path) -> None:
    image = noise(np.uint8, 20, 30, 4)
    with pytest.raises(InputError, match=r"a\.png is in colour; name the channel .* --channel red, green or blue"):
        read_one(write_png(tmp_path / "a.png", image[:, :, :3]))
    with pytest.raises(InputError, match=r"b\.png has transparent pixels"):
        read_one(write_png(tmp_path / "b.png", image))


def test_a_png_that_is_cut_off_anywhere_is_refused(tmp_path: Path) -> None:
    content = write_png(tmp_path / "whole.png", noise(np.uint8, 60, 60)).read_bytes()
    for length in [*range(0, len(content), 97), len(content) - 1]:
        (tmp_path / "part.png").write_bytes(content[:length])
        with pytest.raises(InputError, match=r"part\.png (is cut off|is no PNG)"):
            read_one(tmp_path / "part.png")


def test_a_png_with_a_changed_byte_is_refused(tmp_path: Path) -> None:
    content = bytearray(write_png(tmp_path / "whole.png", noise(np.uint8, 60, 60)).read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "changed.png").write_bytes(bytes(content))
    with pytest.raises(InputError, match=r"changed\.png is damaged"):
        read_one(tmp_path / "changed.png")


def test_a_png_whose_pixels_do_not_decode_is_refused(tmp_path: Path) -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 40, 40, 8, 0, 0, 0, 0)
    content = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"no zlib stream") + chunk(b"IEND", b"")
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(InputError, match=r"a\.png is damaged"):
        read_one(tmp_path / "a.png")


def test_a_png_that_would_fill_the_memory_is_refused_by_its_header(tmp_path: Path) -> None:
    header = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", 100_000, 100_000) + b"\x08\0\0\0\0"
    (tmp_path / "bomb.png").write_bytes(header)
    with pytest.raises(InputError, match=r"bomb\.png has 100000 x 100000 pixels, more than 100,000,000"):
        read_one(tmp_path / "bomb.png")
    assert MAX_PIXELS == 100_000_000


def test_another_format_under_the_name_is_refused(tmp_path: Path) -> None:
    gif = b"GIF89a" + bytes(50)
    for content in (b"", gif, b"text" * 50):
        for suffix in READERS:
            path = tmp_path / f"a{suffix}"
            path.write_bytes(content)
            with pytest.raises(InputError, match=r"a\.\w+ is no (PNG|JPEG|TIFF) file, whatever its name says"):
                read_one(path)


def test_what_the_system_does_not_open_is_refused(tmp_path: Path) -> None:
    for suffix in READERS:
        with pytest.raises(InputError, match=r"a\.\w+ cannot be read \(No such file or directory\)"):
            read_one(tmp_path / f"a{suffix}")
        (tmp_path / f"b{suffix}").mkdir()
        with pytest.raises(InputError, match=r"b\.\w+ cannot be read \(Is a directory\)"):
            read_one(tmp_path / f"b{suffix}")


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64])
@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_a_tiff_is_its_pixels(tmp_path: Path, dtype: Any, byteorder: Any, compression: str | None) -> None:
    image = noise(dtype, 50, 70)
    tifffile.imwrite(tmp_path / "a.tif", image, byteorder=byteorder, compression=compression)
    frame = read_one(tmp_path / "a.tif")
    np.testing.assert_array_equal(frame, image)
    assert frame.dtype == (np.float32 if dtype == np.float64 else dtype)


@pytest.mark.parametrize(
    "options",
    [
        {"photometric": "minisblack"},
        {"photometric": "minisblack", "compression": "zlib", "tile": (16, 16)},
        {"photometric": "minisblack", "bigtiff": True},
        {"imagej": True, "metadata": {"axes": "TYX"}},
        {"imagej": True, "metadata": {"axes": "TYX"}, "truncate": True},
        {"ome": True, "metadata": {"axes": "TYX"}},
    ],
    ids=["plain", "tiles", "BigTIFF", "ImageJ", "ImageJ in one page", "OME"],
)
def test_every_page_of_a_tiff_is_a_frame(tmp_path: Path, options: dict[str, Any]) -> None:
    stack = noise(np.uint16, 5, 40, 60)
    tifffile.imwrite(tmp_path / "a.tiff", stack, **options)
    frames = read_all(tmp_path / "a.tiff")
    assert len(frames) == 5
    np.testing.assert_array_equal(frames, stack)


def test_pages_may_differ_in_size_and_type(tmp_path: Path) -> None:
    images = [noise(np.uint8, 20, 30), noise(np.uint16, 40, 10), noise(np.uint8, 20, 30)]
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        for image in images:
            file.write(image)
    for frame, image in zip(read_all(tmp_path / "a.tif"), images, strict=True):
        np.testing.assert_array_equal(frame, image)


def test_lzw_compression_is_read(tmp_path: Path) -> None:
    stack = [noise(np.uint16, 40, 60) + number for number in range(3)]
    _, content = cv2.imencodemulti(".tif", stack, [cv2.IMWRITE_TIFF_COMPRESSION, 5])
    (tmp_path / "a.tif").write_bytes(content.tobytes())
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert file.pages[0].compression == tifffile.COMPRESSION.LZW
    np.testing.assert_array_equal(read_all(tmp_path / "a.tif"), stack)


def test_a_compression_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", noise(np.uint8, 20, 20), compression="zlib")
    with tifffile.TiffFile(tmp_path / "a.tif", mode="r+") as file:
        file.pages[0].tags["Compression"].overwrite(34926)
    with pytest.raises(InputError, match=r"a\.tif is compressed by .*, which is not read; save it without"):
        read_one(tmp_path / "a.tif")


@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_a_colour_tiff_with_equal_channels_is_one_of_them(tmp_path: Path, planar: Any) -> None:
    image = noise(np.uint8, 20, 30)
    axis = 2 if planar == "contig" else 0
    equal = np.stack([image] * 3, axis=axis)
    tifffile.imwrite(tmp_path / "a.tif", equal, photometric="rgb", planarconfig=planar)
    np.testing.assert_array_equal(read_one(tmp_path / "a.tif"), image)
    tifffile.imwrite(tmp_path / "b.tif", noise(np.uint8, *equal.shape), photometric="rgb", planarconfig=planar)
    with pytest.raises(InputError, match=r"b\.tif is in colour"):
        read_one(tmp_path / "b.tif")


def test_several_channels_are_refused(tmp_path: Path) -> None:
    for number, kind in enumerate(({"imagej": True}, {"ome": True})):
        path = tmp_path / f"{number}.tif"
        tifffile.imwrite(path, noise(np.uint16, 3, 2, 20, 20), metadata={"axes": "TCYX"}, **kind)
        with pytest.raises(InputError, match=r"holds 2 channels.*; name the one with the nuclei by --channel"):
            read_all(path)


def test_pixels_of_another_kind_are_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", noise(np.int32, 20, 20))
    with pytest.raises(InputError, match=r"a\.tif holds int32 pixels"):
        read_one(tmp_path / "a.tif")
    stack = np.zeros((2, 20, 20), np.float32)
    stack[1, 3, 4] = np.nan
    tifffile.imwrite(tmp_path / "b.tif", stack, photometric="minisblack")
    with pytest.raises(InputError, match=r"b\.tif, page 2 has 1 pixels that are NaN"):
        read_all(tmp_path / "b.tif")


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_a_tiff_that_is_cut_off_is_whole_or_refused(tmp_path: Path, compression: str | None) -> None:
    stack = noise(np.uint16, 3, 40, 40)
    tifffile.imwrite(tmp_path / "whole.tif", stack, photometric="minisblack", compression=compression)
    content = (tmp_path / "whole.tif").read_bytes()
    refused = 0
    for length in range(0, len(content), 113):
        (tmp_path / "part.tif").write_bytes(content[:length])
        try:
            frames = read_all(tmp_path / "part.tif")
        except InputError:
            refused += 1
        else:
            np.testing.assert_array_equal(frames, stack)
    assert refused > 0.9 * len(content) / 113


def test_an_imagej_stack_in_one_page_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    stack = noise(np.uint16, 5, 40, 60)
    tifffile.imwrite(tmp_path / "a.tif", stack, imagej=True, metadata={"axes": "TYX"}, truncate=True)
    content = (tmp_path / "a.tif").read_bytes()
    (tmp_path / "a.tif").write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match=r"a\.tif"):
        read_all(tmp_path / "a.tif")


def test_other_pages_than_the_damaged_one_are_read(tmp_path: Path) -> None:
    stack = noise(np.uint16, 3, 40, 40)
    tifffile.imwrite(tmp_path / "a.tif", stack, photometric="minisblack", compression="zlib")
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        start = file.pages[1].dataoffsets[0]
    with (tmp_path / "a.tif").open("rb+") as raw:
        raw.seek(start)
        raw.write(bytes(16))
    with open_pages(tmp_path / "a.tif") as pages:
        np.testing.assert_array_equal(pages.read(pages.planes[0]), stack[0])
        with pytest.raises(InputError, match=r"a\.tif, page 2 cannot be decoded"):
            pages.read(pages.planes[1])
        np.testing.assert_array_equal(pages.read(pages.planes[2]), stack[2])


def test_a_tiff_that_would_fill_the_memory_is_refused_by_its_header(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "bomb.tif", noise(np.uint8, 20, 20), compression="zlib")
    with tifffile.TiffFile(tmp_path / "bomb.tif", mode="r+") as file:
        for tag in ("ImageWidth", "ImageLength", "RowsPerStrip"):
            file.pages[0].tags[tag].overwrite(60_000)
    with pytest.raises(InputError, match=r"bomb\.tif has 60000 x 60000 pixels"):
        read_one(tmp_path / "bomb.tif")


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif"])
def test_a_scratched_file_is_read_or_refused(tmp_path: Path, suffix: str) -> None:
    rng = np.random.default_rng(7)
    whole = cv2.imencode(suffix, noise(np.uint8, 40, 50))[1]
    answers = {"read": 0, "refused": 0}
    for _ in range(300):
        content = whole.copy()
        content[rng.integers(0, min(len(content), 500), 2)] = rng.choice([0, 1, 127, 255], 2)
        (tmp_path / f"a{suffix}").write_bytes(content.tobytes())
        try:
            read_all(tmp_path / f"a{suffix}")
        except InputError:
            answers["refused"] += 1
        else:
            answers["read"] += 1
    assert answers["refused"] > 30


def test_an_error_of_the_caller_passes_through(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", noise(np.uint8, 20, 20))
    with pytest.raises(ZeroDivisionError), open_pages(tmp_path / "a.tif"):
        raise ZeroDivisionError
