from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from unetplus_edge.errors import InputError
from unetplus_runtime.pixel_size import PixelSize
from unetplus_runtime.tiff import open_tiff

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


def noise(dtype: Any, *shape: int) -> NDArray[Any]:
    return np.random.default_rng(0).integers(0, 250, shape).astype(dtype)


def read(path: Path, channel: str | None = None) -> dict[str, NDArray[Any]]:
    with open_tiff(path, channel) as pages:
        return {plane.label: pages.read(plane) for plane in pages.planes}


def read_one(path: Path, channel: str | None = None) -> NDArray[Any]:
    (frame,) = read(path, channel).values()
    return frame


INTEGERS, FLOATS = (np.uint8, np.uint16), (np.float16, np.float32, np.float64)
STORAGES: list[dict[str, Any]] = [
    {},
    {"rowsperstrip": 7},
    {"tile": (16, 32)},
    {"compression": "zlib"},
    {"compression": "zlib", "tile": (32, 16)},
]
PREDICTED: list[dict[str, Any]] = [
    {"compression": "zlib", "predictor": True, "rowsperstrip": 7},
    {"compression": "zlib", "predictor": True, "tile": (32, 16)},
]


@pytest.mark.parametrize(
    ("dtype", "options"),
    [
        *((dtype, options) for dtype in (*INTEGERS, *FLOATS) for options in STORAGES),
        *((dtype, options) for dtype in INTEGERS for options in PREDICTED),
    ],
)
@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_every_storage_has_the_same_pixels(tmp_path: Path, dtype: Any, byteorder: Any, options: dict[str, Any]) -> None:
    image = noise(dtype, 45, 67)
    tifffile.imwrite(tmp_path / "a.tif", image, byteorder=byteorder, **options)
    np.testing.assert_array_equal(read_one(tmp_path / "a.tif"), image)


@pytest.mark.parametrize(
    "compression",
    [
        cv2.IMWRITE_TIFF_COMPRESSION_LZW,
        cv2.IMWRITE_TIFF_COMPRESSION_ADOBE_DEFLATE,
        cv2.IMWRITE_TIFF_COMPRESSION_PACKBITS,
    ],
)
@pytest.mark.parametrize(
    ("dtype", "predictor"),
    [(np.uint8, 1), (np.uint8, 2), (np.uint16, 1), (np.uint16, 2), (np.float32, 1), (np.float32, 2), (np.float32, 3)],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_what_libtiff_writes_is_read(
    tmp_path: Path, dtype: Any, compression: int, predictor: int, channels: int
) -> None:
    image = noise(dtype, 45, 67, channels)
    options = [cv2.IMWRITE_TIFF_COMPRESSION, compression, cv2.IMWRITE_TIFF_PREDICTOR, predictor]
    assert cv2.imwrite(str(tmp_path / "a.tif"), image, options)
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert file.pages[0].compression == compression
    np.testing.assert_array_equal(read_one(tmp_path / "a.tif", "1"), image[:, :, -1])  # OpenCV has blue first


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("storage", [{}, {"tile": (16, 16)}, {"compression": "zlib", "rowsperstrip": 9}], ids=str)
def test_channels_may_be_interleaved_or_follow_each_other(tmp_path: Path, planar: Any, storage: dict[str, Any]) -> None:
    image = noise(np.uint16, 5, 40, 33)
    stored = image if planar == "separate" else np.moveaxis(image, 0, 2)
    tifffile.imwrite(
        tmp_path / "a.tif", stored, photometric="minisblack", planarconfig=planar, metadata=None, **storage
    )
    with pytest.raises(InputError, match=r"a\.tif holds 5 channels; name the one"):
        read(tmp_path / "a.tif")
    for number in range(5):
        np.testing.assert_array_equal(read_one(tmp_path / "a.tif", str(number + 1)), image[number])


@pytest.mark.parametrize("photometric", ["minisblack", "rgb", "ycbcr"])
def test_jpeg_inside_is_read(tmp_path: Path, photometric: str) -> None:
    y, x = np.mgrid[:60, :80]
    image = (120 + 60 * np.sin(y / 9) + 50 * np.cos(x / 11)).astype(np.uint8)
    if photometric == "minisblack":
        picture = Image.fromarray(image)
    else:
        picture = Image.fromarray(np.stack([image, image[::-1], np.full_like(image, 90)], axis=2))
        picture = picture.convert("YCbCr") if photometric == "ycbcr" else picture
    picture.save(tmp_path / "a.tif", compression="jpeg", quality=98)
    channel = None if photometric == "minisblack" else "red"
    np.testing.assert_allclose(read_one(tmp_path / "a.tif", channel).astype(int), image.astype(int), atol=12)


def test_zero_may_be_white(tmp_path: Path) -> None:
    image = noise(np.uint16, 20, 30)
    tifffile.imwrite(tmp_path / "a.tif", 65535 - image, photometric="miniswhite")
    np.testing.assert_array_equal(read_one(tmp_path / "a.tif"), image)


@pytest.mark.parametrize("grey", [True, False])
def test_a_palette_is_its_colours(tmp_path: Path, grey: bool) -> None:
    index = noise(np.uint8, 20, 30)
    ramp = np.arange(256, dtype=np.uint16) * 257
    palette = np.stack([ramp[::-1], ramp[::-1], ramp[::-1] if grey else ramp])
    tifffile.imwrite(tmp_path / "a.tif", index, photometric="palette", colormap=palette)
    if grey:
        np.testing.assert_array_equal(read_one(tmp_path / "a.tif"), 255 - index)
    else:
        with pytest.raises(InputError, match="is in colour"):
            read(tmp_path / "a.tif")
        np.testing.assert_array_equal(read_one(tmp_path / "a.tif", "blue"), index)


def test_a_palette_of_imagej_is_passed_over(tmp_path: Path) -> None:
    index = noise(np.uint8, 20, 30)
    palette = np.zeros((3, 256), np.uint16)
    tifffile.imwrite(
        tmp_path / "a.tif", index, photometric="palette", colormap=palette, description="ImageJ=1.53t\n", metadata=None
    )
    np.testing.assert_array_equal(read_one(tmp_path / "a.tif"), index)


def test_opacity_is_passed_over(tmp_path: Path) -> None:
    grey = noise(np.uint8, 20, 30)
    image = np.stack([grey, np.full_like(grey, 255)], axis=2)
    tifffile.imwrite(tmp_path / "a.tif", image, photometric="minisblack", extrasamples=["unassalpha"], metadata=None)
    np.testing.assert_array_equal(read_one(tmp_path / "a.tif"), grey)


@pytest.mark.parametrize("mode", ["CMYK", "LAB"])
def test_what_is_no_light_is_refused(tmp_path: Path, mode: str) -> None:
    Image.merge(mode, [Image.fromarray(noise(np.uint8, 20, 30))] * len(mode)).save(tmp_path / "a.tif")
    with pytest.raises(InputError, match=r"a\.tif holds (SEPARATED|CIELAB) pixels; save it in grey or as RGB"):
        read(tmp_path / "a.tif")


def test_packed_bits_are_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", noise(np.uint16, 20, 30))
    with tifffile.TiffFile(tmp_path / "a.tif", mode="r+") as file:
        file.pages[0].tags["BitsPerSample"].overwrite(12)
    with pytest.raises(InputError, match=r"a\.tif holds packed 12-bit pixels"):
        read(tmp_path / "a.tif")
    Image.fromarray(noise(np.uint8, 20, 30) > 100).save(tmp_path / "b.tif")
    with pytest.raises(InputError, match=r"b\.tif holds bool pixels"):
        read(tmp_path / "b.tif")


def test_a_volume_in_one_page_is_refused(tmp_path: Path) -> None:
    tifffile.imwrite(
        tmp_path / "a.tif", noise(np.uint8, 16, 32, 32), volumetric=True, photometric="minisblack", tile=(16, 16, 16)
    )
    with pytest.raises(InputError, match=r"a\.tif is a volume of 16 slices"):
        read(tmp_path / "a.tif")


@pytest.mark.parametrize(
    ("tag", "value", "sentence"),
    [
        ("TileWidth", 2**30, "a tile of .* pixels, more than"),
        ("SamplesPerPixel", 60_000, "ends too early"),
        ("ImageLength", 2**31, "pixels, more than"),
        ("ImageLength", 0, "0 x 64 pixels"),
        ("ImageLength", 4096, "is damaged"),
        ("Predictor", 77, "its predictor is 77"),
        ("TileByteCounts", 2**31, "is cut off"),
    ],
)
def test_a_header_that_lies_is_refused(tmp_path: Path, tag: str, value: int, sentence: str) -> None:
    tifffile.imwrite(tmp_path / "a.tif", noise(np.uint8, 64, 64), tile=(64, 64), compression="zlib", predictor=True)
    with tifffile.TiffFile(tmp_path / "a.tif", mode="r+") as file:
        file.pages[0].tags[tag].overwrite(value)
    with pytest.raises(InputError, match=sentence):
        read(tmp_path / "a.tif")


def test_damaged_lzw_is_refused(tmp_path: Path) -> None:
    Image.fromarray(noise(np.uint8, 60, 60)).save(tmp_path / "a.tif", compression="tiff_lzw")
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        start = file.pages[0].dataoffsets[0]
    with (tmp_path / "a.tif").open("rb+") as raw:
        raw.seek(start + 200)
        raw.write(b"\xff" * 100)
    with pytest.raises(InputError, match=r"a\.tif cannot be decoded: its LZW stream is damaged"):
        read(tmp_path / "a.tif")


def test_reduced_copies_are_no_frames(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(noise(np.uint8, 40, 40), metadata=None)
        file.write(noise(np.uint8, 10, 10), subfiletype=1, metadata=None)
        file.write(noise(np.uint8, 30, 30), metadata=None)
    assert {label: frame.shape for label, frame in read(tmp_path / "a.tif").items()} == {
        "page1": (40, 40),
        "page3": (30, 30),
    }


@pytest.mark.parametrize("kind", [{"imagej": True}, {}], ids=["ImageJ", "tifffile"])
@pytest.mark.parametrize("storage", [{}, {"truncate": True}, {"compression": "zlib"}], ids=str)
def test_a_hyperstack_has_a_frame_a_time_and_height(
    tmp_path: Path, kind: dict[str, Any], storage: dict[str, Any]
) -> None:
    stack = noise(np.uint16, 2, 3, 4, 20, 30)
    tifffile.imwrite(tmp_path / "a.tif", stack, metadata={"axes": "TZCYX"}, photometric="minisblack", **kind, **storage)
    with pytest.raises(InputError, match=r"a\.tif holds 4 channels; name the one"):
        read(tmp_path / "a.tif")
    with pytest.raises(InputError, match=r"a\.tif has no channel 5; it has 4 channels"):
        read(tmp_path / "a.tif", "5")
    frames = read(tmp_path / "a.tif", "3")
    assert list(frames) == ["t1_z1", "t1_z2", "t1_z3", "t2_z1", "t2_z2", "t2_z3"]
    np.testing.assert_array_equal(list(frames.values()), stack[:, :, 2].reshape(6, 20, 30))


def test_axes_are_found_in_what_older_versions_wrote(tmp_path: Path) -> None:
    stack = noise(np.uint16, 2, 3, 20, 30)
    description = json.dumps({"axes": "ZCYX", "shape": stack.shape})
    tifffile.imwrite(tmp_path / "a.tif", stack, photometric="minisblack", description=description, metadata=None)
    np.testing.assert_array_equal(list(read(tmp_path / "a.tif", "2").values()), stack[:, 1])


def test_the_order_of_imagej_is_followed(tmp_path: Path) -> None:
    stack = noise(np.uint8, 2, 3, 20, 30)
    description = "ImageJ=1.53t\nimages=6\nchannels=2\nslices=3\nhyperstack=true\norder=zct\n"
    tifffile.imwrite(tmp_path / "a.tif", stack, photometric="minisblack", description=description, metadata=None)
    frames = read(tmp_path / "a.tif", "2")
    assert list(frames) == ["z1", "z2", "z3"]
    np.testing.assert_array_equal(list(frames.values()), stack[1])


def test_channels_alone_give_one_frame(tmp_path: Path) -> None:
    stack = noise(np.uint16, 3, 20, 30)
    tifffile.imwrite(tmp_path / "a.tif", stack, imagej=True, metadata={"axes": "CYX"})
    np.testing.assert_array_equal(read_one(tmp_path / "a.tif", "2"), stack[1])


def test_colour_in_an_imagej_stack_is_chosen_by_name(tmp_path: Path) -> None:
    stack = noise(np.uint8, 2, 20, 30, 3)
    tifffile.imwrite(tmp_path / "a.tif", stack, imagej=True, metadata={"axes": "TYXS"})
    frames = read(tmp_path / "a.tif", "green")
    np.testing.assert_array_equal(list(frames.values()), stack[:, :, :, 1])


def test_pages_without_description_are_frames_whatever_they_are(tmp_path: Path) -> None:
    stack = noise(np.uint8, 3, 20, 30)
    tifffile.imwrite(tmp_path / "a.tif", stack, photometric="minisblack", metadata=None)
    assert list(read(tmp_path / "a.tif")) == list(read(tmp_path / "a.tif", "1")) == ["page1", "page2", "page3"]
    with pytest.raises(InputError, match=r"a\.tif, page 1 has no channel 2; it has one channel"):
        read(tmp_path / "a.tif", "2")


@pytest.mark.parametrize(
    "description",
    [
        "ImageJ=1.53t\nimages=1000000000\nslices=1000000000\n",
        "ImageJ=1.53t\nimages=70\nchannels=7\nslices=10\n",
        json.dumps({"shape": [10**9, 20, 30], "axes": "TYX", "truncated": True}),
    ],
)
def test_pages_that_are_claimed_alone_are_refused(tmp_path: Path, description: str) -> None:
    tifffile.imwrite(tmp_path / "a.tif", noise(np.uint8, 20, 30), description=description, metadata=None)
    with pytest.raises(InputError, match=r"a\.tif (is cut off after page 1|claims 1,000,000,000 pages)"):
        read(tmp_path / "a.tif", "1")


@pytest.mark.parametrize("description", ['{"shape": 7}', '{"shape": [2, 20', '{"shape": [0, 3], "axes": "YX"}'])
def test_a_description_that_is_none_is_passed_over(tmp_path: Path, description: str) -> None:
    image = noise(np.uint8, 20, 30)
    tifffile.imwrite(tmp_path / "a.tif", image, description=description, metadata=None)
    np.testing.assert_array_equal(read_one(tmp_path / "a.tif"), image)


@pytest.mark.parametrize(
    ("resolution", "unit", "expected"),
    [
        ((4, 4), "micron", PixelSize(0.25, "ImageJ")),
        ((4, 4), "um", PixelSize(0.25, "ImageJ")),
        ((0.004, 0.004), "nm", PixelSize(0.25, "ImageJ")),
        ((4, 2), "um", PixelSize(None, "ImageJ: not square, 0.25 x 0.5 um")),
        ((72, 72), "inch", None),
        ((1, 1), "pixel", None),
    ],
)
def test_imagej_knows_the_size_of_a_pixel(
    tmp_path: Path, resolution: tuple[float, float], unit: str, expected: PixelSize | None
) -> None:
    tifffile.imwrite(
        tmp_path / "a.tif", noise(np.uint16, 20, 30), imagej=True, resolution=resolution, metadata={"unit": unit}
    )
    with open_tiff(tmp_path / "a.tif") as pages:
        found = pages.planes[0].pixel_size
    if expected is None or found is None:
        assert found is expected
    else:
        assert found.micrometres == pytest.approx(expected.micrometres)
        assert found.source == expected.source


def test_the_resolution_of_other_programs_is_that_of_a_printer(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", noise(np.uint16, 20, 30), resolution=(300, 300), resolutionunit="INCH")
    with open_tiff(tmp_path / "a.tif") as pages:
        assert pages.planes[0].pixel_size is None


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"rowsperstrip": 5},
        {"tile": (16, 32)},
        {"tile": (32, 16), "compression": "zlib", "predictor": True},
        {"rowsperstrip": 7, "compression": "zlib"},
        {"byteorder": ">"},
    ],
)
@pytest.mark.parametrize("region", [np.s_[3:40, 5:60], np.s_[16:32, 32:48], np.s_[0:51, 0:73], np.s_[50:51, 72:73]])
def test_a_part_of_a_page_is_the_part_of_the_whole(tmp_path: Path, options: dict[str, Any], region: Any) -> None:
    image = np.random.default_rng(1).integers(0, 60_000, (51, 73)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", image, **options)
    with open_tiff(tmp_path / "a.tif") as pages:
        view = pages.view(pages.planes[0])
        assert view.shape == (51, 73)
        np.testing.assert_array_equal(view[region], image[region])


@pytest.mark.parametrize("planar", ["CONTIG", "SEPARATE"])
def test_a_channel_of_a_part_is_read(tmp_path: Path, planar: str) -> None:
    image = np.random.default_rng(1).integers(0, 255, (3, 40, 50)).astype(np.uint8)
    stored = image if planar == "SEPARATE" else np.ascontiguousarray(np.moveaxis(image, 0, 2))
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="rgb", planarconfig=planar, tile=(16, 16))
    with open_tiff(tmp_path / "a.tif", "green") as pages:
        np.testing.assert_array_equal(pages.view(pages.planes[0])[7:33, 10:49], image[1, 7:33, 10:49])


def test_a_part_of_a_damaged_file_is_read_where_it_is_sound(tmp_path: Path) -> None:
    image = np.random.default_rng(1).integers(0, 255, (64, 64)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", image, tile=(32, 32), compression="zlib")
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        last = file.pages[0].dataoffsets[-1]
    content = bytearray((tmp_path / "a.tif").read_bytes())
    content[last + 2 : last + 40] = bytes(38)
    (tmp_path / "a.tif").write_bytes(content)
    with open_tiff(tmp_path / "a.tif") as pages:
        view = pages.view(pages.planes[0])
        np.testing.assert_array_equal(view[0:64, 0:32], image[:, :32])
        with pytest.raises(InputError, match=r"a\.tif cannot be decoded"):
            view[0:64, 0:64]


def test_a_page_of_more_pixels_than_a_frame_may_have_is_read_in_parts(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        tile = np.full((1024, 1024), 7, np.uint8)
        file.write((tile for _ in range(121)), shape=(11_000, 11_000), dtype=np.uint8, tile=(1024, 1024), compression=8)
    with open_tiff(tmp_path / "a.tif") as pages:
        (plane,) = pages.planes
        assert plane.is_large
        assert (pages.view(plane)[10_000:11_000, 5_000:5_010] == 7).all()
        with pytest.raises(InputError, match="more than 100,000,000 in a frame"):
            pages.read(plane)
