from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile

from unetplus_edge.errors import InputError
from unetplus_runtime.ome import ome_planes
from unetplus_runtime.pages import Plane
from unetplus_runtime.pixel_size import PixelSize
from unetplus_runtime.tiff import open_tiff

if TYPE_CHECKING:
    from numpy.typing import NDArray

NAMESPACE = "http://www.openmicroscopy.org/Schemas/OME/2016-06"


def noise(*shape: int) -> NDArray[np.uint16]:
    return np.random.default_rng(0).integers(0, 4095, shape).astype(np.uint16)


def write(path: Path, stack: NDArray[Any], axes: str, **metadata: Any) -> Path:
    tifffile.imwrite(path, stack, ome=True, photometric="minisblack", metadata={"axes": axes, **metadata})
    return path


def read(path: Path, channel: str | None = None) -> dict[str, NDArray[Any]]:
    with open_tiff(path, channel) as pages:
        return {plane.label: pages.read(plane) for plane in pages.planes}


def ome(inner: str, attributes: str = "") -> str:
    return f'<?xml version="1.0"?><!-- a comment --><OME xmlns="{NAMESPACE}" {attributes}>{inner}</OME>'


def image(tiff_data: str, t: int = 1, z: int = 1, c: int = 1, order: str = "XYCZT", more: str = "") -> str:
    return (
        f'<Image><Pixels DimensionOrder="{order}" SizeX="9" SizeY="9" SizeT="{t}" SizeZ="{z}" SizeC="{c}" {more}>'
        f"{tiff_data}</Pixels></Image>"
    )


def planes(text: str, pages: int, channel: str | None = None, samples: int = 1) -> list[tuple[str, int]]:
    return [
        (plane.label, plane.page) for plane in ome_planes(Path("in/a.ome.tif"), text, [samples] * pages, channel)[0]
    ]


@pytest.mark.parametrize("axes", ["TZCYX", "TCZYX", "CTZYX", "ZCTYX"])
def test_every_time_and_height_is_a_frame_of_the_chosen_channel(tmp_path: Path, axes: str) -> None:
    stack = noise(2, 3, 4, 20, 30)
    stored = np.moveaxis(stack, (0, 1, 2), [axes.index(axis) for axis in "TZC"])
    path = write(tmp_path / "a.ome.tif", stored, axes, Channel={"Name": ["DAPI", "GFP", "Cy5", "405"]})
    for channel, index in (("gfp", 1), ("405", 3), ("3", 2)):
        frames = read(path, channel)
        assert list(frames) == ["t1_z1", "t1_z2", "t1_z3", "t2_z1", "t2_z2", "t2_z3"]
        np.testing.assert_array_equal(list(frames.values()), stack[:, :, index].reshape(6, 20, 30))


def test_a_channel_must_be_chosen_where_there_are_several(tmp_path: Path) -> None:
    path = write(tmp_path / "a.ome.tif", noise(2, 20, 30), "CYX", Channel={"Name": ["DAPI", "GFP"]})
    with pytest.raises(InputError, match=r"a\.ome\.tif holds 2 channels: 1 \(DAPI\), 2 \(GFP\); name the one"):
        read(path)
    with pytest.raises(InputError, match="has no channel Cy5; it has 2 channels"):
        read(path, "Cy5")


def test_the_only_channel_may_be_named_but_no_other(tmp_path: Path) -> None:
    stack = noise(3, 20, 30)
    path = write(tmp_path / "a.ome.tif", stack, "TYX", Channel={"Name": ["DAPI"]})
    for channel in (None, "DAPI", "1"):
        np.testing.assert_array_equal(list(read(path, channel).values()), stack)
    with pytest.raises(InputError, match="has no channel GFP; it has one channel"):
        read(path, "GFP")


def test_positions_are_told_apart(tmp_path: Path) -> None:
    positions = [noise(2, 20, 30), noise(30, 40), noise(2, 20, 30) + 1]
    with tifffile.TiffWriter(tmp_path / "a.ome.tif", ome=True) as file:
        for position, axes, size in zip(positions, ["TYX", "YX", "TYX"], [0.5, 0.25, 0.5], strict=True):
            file.write(
                position,
                photometric="minisblack",
                metadata={"axes": axes, "PhysicalSizeX": size, "PhysicalSizeY": size},
            )
    frames = read(tmp_path / "a.ome.tif")
    assert list(frames) == ["s1_t1", "s1_t2", "s2", "s3_t1", "s3_t2"]
    np.testing.assert_array_equal(frames["s2"], positions[1])
    np.testing.assert_array_equal(frames["s3_t2"], positions[2][1])
    with open_tiff(tmp_path / "a.ome.tif") as pages:
        sizes = [plane.pixel_size.micrometres for plane in pages.planes if plane.pixel_size]
    assert sizes == [0.5, 0.5, 0.25, 0.5, 0.5]


@pytest.fixture
def slide(tmp_path: Path) -> Path:
    """Two channels at two heights, with the label in colour before and the whole glass in grey behind it."""
    rng = np.random.default_rng(1)
    with tifffile.TiffWriter(tmp_path / "slide.ome.tif", ome=True) as file:
        file.write(rng.integers(0, 255, (9, 8, 3), np.uint8), photometric="rgb", metadata={"axes": "YXS"})
        file.write(
            noise(2, 2, 20, 30),
            photometric="minisblack",
            metadata={"axes": "ZCYX", "Channel": {"Name": ["GFP", "DAPI"]}},
        )
        file.write(noise(7, 6), photometric="minisblack", metadata={"axes": "YX"})
    return tmp_path / "slide.ome.tif"


def test_series_without_the_channel_are_passed_over(slide: Path) -> None:
    stack = noise(2, 2, 20, 30)
    for channel, index in (("DAPI", 1), ("gfp", 0)):
        frames = read(slide, channel)
        assert list(frames) == ["s2_z1", "s2_z2"]
        np.testing.assert_array_equal(list(frames.values()), stack[:, index])
    with open_tiff(slide, "DAPI") as pages:
        assert pages.passed_over == f"series 1, 3 of {slide}, without a channel DAPI"
    with open_tiff(slide, "1") as pages:
        assert pages.passed_over is None


def test_a_colour_or_a_number_is_looked_for_in_every_series(slide: Path) -> None:
    assert list(read(slide, "blue")) == ["s1"]
    assert list(read(slide, "2")) == ["s1", "s2_z1", "s2_z2"]
    assert list(read(slide, "1")) == ["s1", "s2_z1", "s2_z2", "s3"]


def test_a_channel_of_no_series_is_refused_with_all_that_there_are(slide: Path) -> None:
    there = (
        r"3 channels: 1 \(red\), 2 \(green\), 3 \(blue\), in other series 2 channels: 1 \(GFP\), 2 \(DAPI\), "
        "in other series one channel"
    )
    with pytest.raises(InputError, match=rf"slide\.ome\.tif has no channel Cy5; it has {there}$"):
        read(slide, "Cy5")
    with pytest.raises(InputError, match=rf"slide\.ome\.tif holds {there}; name the one with the nuclei by --channel"):
        read(slide)


def test_a_grey_image_beside_one_in_colour_asks_for_the_choice(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.ome.tif", ome=True) as file:
        file.write(noise(20, 30), photometric="minisblack", metadata={"axes": "YX", "Channel": {"Name": ["DAPI"]}})
        file.write(np.zeros((9, 8, 3), np.uint8), photometric="rgb", metadata={"axes": "YXS"})
    with pytest.raises(InputError, match="holds one channel, in other series 3 channels"):
        read(tmp_path / "a.ome.tif")
    assert list(read(tmp_path / "a.ome.tif", "DAPI")) == ["s1"]


def test_colour_samples_are_chosen_by_name(tmp_path: Path) -> None:
    stack = np.random.default_rng(0).integers(0, 255, (2, 20, 30, 3)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "a.ome.tif", stack, ome=True, photometric="rgb", metadata={"axes": "TYXS"})
    np.testing.assert_array_equal(list(read(tmp_path / "a.ome.tif", "blue").values()), stack[..., 2])
    with pytest.raises(InputError, match="is in colour"):
        read(tmp_path / "a.ome.tif")


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({"PhysicalSizeX": 0.325, "PhysicalSizeY": 0.325}, PixelSize(0.325, "OME-XML")),
        (
            {
                "PhysicalSizeX": 325.0,
                "PhysicalSizeXUnit": "nm",
                "PhysicalSizeY": 0.325,
                "PhysicalSizeYUnit": "\N{MICRO SIGN}m",
            },
            PixelSize(0.325, "OME-XML"),
        ),
        (
            {"PhysicalSizeX": 0.5, "PhysicalSizeY": 0.25},
            PixelSize(None, "OME-XML: not square, 0.5 x 0.25 um"),
        ),
        ({"PhysicalSizeX": 1.0, "PhysicalSizeXUnit": "pixel"}, None),
        ({}, None),
    ],
)
def test_the_size_of_a_pixel_is_read(tmp_path: Path, metadata: dict[str, Any], expected: PixelSize | None) -> None:
    path = write(tmp_path / "a.ome.tif", noise(20, 30), "YX", **metadata)
    with open_tiff(path) as pages:
        assert pages.planes == [Plane("", 0, expected, (20, 30))]


def test_pages_lie_where_the_description_says() -> None:
    text = ome(
        image('<TiffData FirstT="1" IFD="0"/><TiffData FirstT="0" FirstC="1" IFD="3" PlaneCount="1"/>', t=2, c=2)
    )
    assert planes(text, 4, "1") == [("t2", 0)]
    assert planes(text, 4, "2") == [("t1", 3)]


def test_without_tiffdata_pages_follow_each_other() -> None:
    assert planes(ome(image("", z=2, c=2, order="XYZCT")), 4, "2") == [("z1", 2), ("z2", 3)]
    assert planes(ome(image("<TiffData/>", t=3)), 3) == [("t1", 0), ("t2", 1), ("t3", 2)]


def in_file(name: str, uuid: str, first: int) -> str:
    return f'<TiffData FirstT="{first}" IFD="0" PlaneCount="1"><UUID FileName="{name}">{uuid}</UUID></TiffData>'


def test_planes_in_another_file_of_a_set_are_that_files_frames() -> None:
    data = in_file("a.ome.tif", "urn:uuid:1", 0) + in_file("b.ome.tif", "urn:uuid:2", 1)
    assert planes(ome(image(data, t=2)), 1) == [("t1", 0)]
    renamed = in_file("x.ome.tif", "urn:uuid:1", 0) + in_file("y.ome.tif", "urn:uuid:2", 1)
    assert planes(ome(image(renamed, t=2), 'UUID="urn:uuid:2"'), 1) == [("t2", 0)]


def test_a_file_that_was_renamed_is_still_itself() -> None:
    assert planes(ome(image(in_file("before.ome.tif", "urn:uuid:1", 0))), 1) == [("", 0)]
    windows = in_file(r"C:\data\a.ome.tif", "urn:uuid:1", 0) + in_file("b.ome.tif", "urn:uuid:2", 1)
    assert planes(ome(image(windows, t=2)), 1) == [("t1", 0)]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("<OME", "is damaged or does not fit"),
        (ome(""), "is damaged or does not fit"),
        (ome("<Image/>"), "is damaged or does not fit"),
        (ome(image("", t=0)), "is damaged or does not fit"),
        (ome(image("", order="XYZ")), "is damaged or does not fit"),
        (ome(image('<TiffData FirstT="5"/>', t=2)), "is damaged or does not fit"),
        (ome(image('<TiffData IFD="-1"/>', t=2)), "is damaged or does not fit"),
        (ome(image('<TiffData IFD="x"/>', t=2)), "is damaged or does not fit"),
        (ome(image('<TiffData IFD="0" PlaneCount="9999999999999"/>', t=2)), "is damaged or does not fit"),
        (ome(image('<TiffData IFD="0" PlaneCount="9999"/>', t=10**12)), "is cut off after page 2"),
        (ome(image('<TiffData IFD="7"/>', t=9)), "is cut off after page 2"),
        ('<!DOCTYPE OME [<!ENTITY a "aaaa">]>' + ome(image("", more='Name="&a;"')), "is damaged or does not fit"),
        (ome('<BinaryOnly MetadataFile="set.companion.ome" UUID="x"/>'), "is described in set.companion.ome alone"),
        (
            ome(image(in_file("x.ome.tif", "1", 0) + in_file("y.ome.tif", "2", 1), t=2)),
            "is damaged or does not fit",
        ),
    ],
)
def test_a_description_that_does_not_fit_is_refused(text: str, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        planes(text, 2)


def test_channels_in_colour_are_refused() -> None:
    with pytest.raises(InputError, match="2 channels that are in colour themselves"):
        planes(ome(image("", c=6)), 2, "1", samples=3)


def test_a_file_that_ends_before_its_description_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.ome.tif", noise(5, 20, 30), "TYX")
    text = tifffile.tiffcomment(path)
    tifffile.imwrite(
        tmp_path / "b.ome.tif", noise(3, 20, 30), photometric="minisblack", metadata=None, description=text
    )
    with pytest.raises(InputError, match=r"b\.ome\.tif is cut off after page 3"):
        read(tmp_path / "b.ome.tif")
