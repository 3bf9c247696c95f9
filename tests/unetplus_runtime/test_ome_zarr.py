from __future__ import annotations

import json
import sys
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import zarr
from ome_zarr.format import FormatV04, FormatV05

from unetplus_edge.errors import InputError
from unetplus_runtime.inputs import find_images, frames_of
from unetplus_runtime.ome_zarr import is_ome_zarr, open_ome_zarr
from unetplus_runtime.pixel_size import PixelSize
from unetplus_runtime.readers import open_pages
from unetplus_runtime.run_record import stamp_of

with warnings.catch_warnings():
    # The library warns of its own class while it is imported.
    warnings.filterwarnings("ignore", "Call to deprecated class Scaler", DeprecationWarning)
    from ome_zarr.writer import write_image

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

FORMATS = [FormatV04(), FormatV05()]


def noise(*shape: int, dtype: Any = np.uint16) -> NDArray[Any]:
    return np.random.default_rng(0).integers(0, 255, shape).astype(dtype)


def write(path: Path, image: NDArray[Any], axes: str, fmt: Any = FORMATS[0], scale: float | None = None) -> Path:
    """Written by the library that users write with, two levels."""
    write_image(
        image,
        zarr.open_group(path, mode="w", zarr_format=fmt.zarr_format),
        fmt=fmt,
        axes=axes,
        scale_factors=[2],
        scale=None if scale is None else dict.fromkeys("yx", scale),
        axes_units=None if scale is None else dict.fromkeys("yx", "nanometer"),
        storage_options={"chunks": tuple(min(7, length) for length in image.shape)},
    )
    return path


@pytest.mark.parametrize("fmt", FORMATS, ids=["0.4", "0.5"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_the_first_level_is_the_frame(tmp_path: Path, fmt: Any, dtype: Any) -> None:
    image = noise(20, 30, dtype=dtype)
    with open_pages(write(tmp_path / "a.zarr", image, "yx", fmt, scale=325)) as pages:
        (plane,) = pages.planes
        frame = pages.read(plane)
    np.testing.assert_array_equal(frame, image)
    assert frame.dtype == dtype
    assert (plane.label, plane.shape, plane.pixel_size) == ("", (20, 30), PixelSize(0.325, "OME-Zarr"))


@pytest.mark.parametrize("fmt", FORMATS, ids=["0.4", "0.5"])
def test_a_part_is_read_alone(tmp_path: Path, fmt: Any) -> None:
    image = noise(20, 30)
    path = write(tmp_path / "a.zarr", image, "yx", fmt)
    with open_pages(path) as pages:
        view = pages.view(pages.planes[0])
        assert view.shape == (20, 30)
        np.testing.assert_array_equal(view[3:18, 5:6], image[3:18, 5:6])


@pytest.mark.parametrize("fmt", FORMATS, ids=["0.4", "0.5"])
def test_times_and_heights_of_a_channel_are_frames(tmp_path: Path, fmt: Any) -> None:
    image = noise(2, 3, 2, 8, 9)
    path = write(tmp_path / "a.zarr", image, "tczyx", fmt)
    group = zarr.open_group(path)
    channels = {"omero": {"channels": [{"label": name} for name in ("GFP", "DAPI", "Cy5")]}}
    group.attrs.update({"ome": group.attrs["ome"] | channels} if fmt.version == "0.5" else channels)
    for channel in ("dapi", "2"):
        with open_ome_zarr(path, channel) as pages:
            assert [plane.label for plane in pages.planes] == ["t1_z1", "t1_z2", "t2_z1", "t2_z2"]
            for plane, place in zip(pages.planes, np.ndindex(2, 2), strict=True):
                np.testing.assert_array_equal(pages.read(plane), image[place[0], 1, place[1]])
    with (
        pytest.raises(InputError, match=r"holds 3 channels: 1 \(GFP\), 2 \(DAPI\), 3 \(Cy5\); name the one"),
        open_ome_zarr(path),
    ):
        pass


def test_a_pixel_size_may_be_a_product(tmp_path: Path) -> None:
    path = write(tmp_path / "a.zarr", noise(8, 9), "yx", scale=500)
    group = zarr.open_group(path)
    (multiscale,) = group.attrs["multiscales"]
    group.attrs["multiscales"] = [multiscale | {"coordinateTransformations": [{"type": "scale", "scale": [0.5, 0.5]}]}]
    with open_ome_zarr(path) as pages:
        assert pages.planes[0].pixel_size == PixelSize(0.25, "OME-Zarr")


def test_without_a_unit_there_is_no_pixel_size(tmp_path: Path) -> None:
    with open_ome_zarr(write(tmp_path / "a.zarr", noise(8, 9), "yx")) as pages:
        assert pages.planes[0].pixel_size is None


def test_chunks_that_are_missing_are_zeros(tmp_path: Path) -> None:
    path = write(tmp_path / "a.zarr", np.zeros((20, 30), np.uint8), "yx")
    with open_ome_zarr(path) as pages:
        assert not pages.read(pages.planes[0]).any()


def test_series_of_a_converted_file_are_frames(tmp_path: Path) -> None:
    zarr.open_group(tmp_path / "a.zarr", mode="w", zarr_format=2, attributes={"bioformats2raw.layout": 3})
    images = [noise(8, 9), noise(5, 6)]
    for number, image in enumerate(images):
        write(tmp_path / "a.zarr" / str(number), image, "yx")
    with open_ome_zarr(tmp_path / "a.zarr") as pages:
        assert [plane.label for plane in pages.planes] == ["s1", "s2"]
        for plane, image in zip(pages.planes, images, strict=True):
            np.testing.assert_array_equal(pages.read(plane), image)


@pytest.fixture
def slide(tmp_path: Path) -> Path:
    """A converted slide: two channels, the label in colour, the whole glass in a kind of numbers that no frame has."""
    zarr.open_group(tmp_path / "slide.zarr", mode="w", zarr_format=2, attributes={"bioformats2raw.layout": 3})
    series = [noise(2, 8, 9), noise(3, 5, 6), noise(3, 4, 4, dtype=np.int32)]
    for number, image in enumerate(series):
        write(tmp_path / "slide.zarr" / str(number), image, "cyx")
    channels = {"channels": [{"label": name} for name in ("GFP", "DAPI")]}
    zarr.open_group(tmp_path / "slide.zarr" / "0").attrs["omero"] = channels
    return tmp_path / "slide.zarr"


def test_series_without_the_channel_are_passed_over(slide: Path) -> None:
    with open_ome_zarr(slide, "dapi") as pages:
        (plane,) = pages.planes
        assert plane.label == "s1"
        np.testing.assert_array_equal(pages.read(plane), noise(2, 8, 9)[1])
        assert pages.passed_over == f"series 2, 3 of {slide}, without a channel dapi"


@pytest.mark.parametrize(
    ("channel", "sentence"),
    [
        ("Cy5", r"has no channel Cy5; it has 2 channels: 1 \(GFP\), 2 \(DAPI\), in other series 3 channels$"),
        (None, r"holds 2 channels: 1 \(GFP\), 2 \(DAPI\), in other series 3 channels; name the one with the nuclei"),
    ],
)
def test_where_no_series_is_meant_all_channels_are_named(slide: Path, channel: str | None, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence), open_ome_zarr(slide, channel):
        pass


def test_the_field_of_a_plate_is_named(tmp_path: Path) -> None:
    plate = tmp_path / "plate.zarr"
    zarr.open_group(plate, mode="w", zarr_format=2, attributes={"plate": {}})
    write(plate / "A" / "1" / "0", noise(8, 9), "yx")
    with pytest.raises(InputError, match="is a plate or a well; name the folders of its fields"), open_ome_zarr(plate):
        pass
    (file,) = find_images([plate / "A" / "1" / "0"]).files
    assert len(frames_of(file).sources) == 1


def test_a_folder_is_one_image_wherever_it_is_met(tmp_path: Path) -> None:
    path = write(tmp_path / "day 1" / "a.ome.zarr", noise(8, 9), "yx")
    assert is_ome_zarr(path)
    for given, image_id in ((tmp_path, "day 1/a.ome"), (path, "a.ome"), (tmp_path / "*" / "*.zarr", "a.ome")):
        assert [(file.path, file.id) for file in find_images([given]).files] == [(path, image_id)]


def test_a_chunk_that_changes_is_another_image(tmp_path: Path) -> None:
    path = write(tmp_path / "a.zarr", noise(8, 9), "yx")
    before = stamp_of(path)
    assert stamp_of(path) == before
    zarr.open_group(path)["s0"][0, 0] = 255
    assert stamp_of(path) != before


def put(path: Path, attributes: dict[str, Any]) -> None:
    path.mkdir()
    (path / ".zgroup").write_text('{"zarr_format": 2}')
    (path / ".zattrs").write_text(json.dumps(attributes))


@pytest.mark.parametrize(
    ("attributes", "sentence"),
    [
        ({}, "is no OME-Zarr image: its metadata has no multiscales"),
        ({"multiscales": []}, "is damaged"),
        ({"multiscales": [{"axes": ["y", "x"], "datasets": []}]}, "is of an NGFF version before 0.4"),
        ({"multiscales": [{"axes": [{"name": "y"}, {"name": "x"}], "datasets": [{"path": "0"}]}]}, "is damaged"),
        ({"multiscales": [{}], "image-label": {}}, "is a label image"),
    ],
)
def test_metadata_that_does_not_hold_is_refused(tmp_path: Path, attributes: dict[str, Any], sentence: str) -> None:
    put(tmp_path / "a.zarr", attributes)
    with pytest.raises(InputError, match=sentence), open_ome_zarr(tmp_path / "a.zarr"):
        pass


def test_metadata_that_is_no_json_is_refused(tmp_path: Path) -> None:
    put(tmp_path / "a.zarr", {})
    (tmp_path / "a.zarr" / ".zgroup").write_text("{")
    with pytest.raises(InputError, match="is damaged"), open_ome_zarr(tmp_path / "a.zarr"):
        pass


def test_a_damaged_chunk_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.zarr", noise(8, 9), "yx")
    chunk = next(chunk for chunk in (path / "s0").rglob("*") if chunk.is_file() and not chunk.name.startswith("."))
    chunk.write_bytes(b"no chunk")
    with open_ome_zarr(path) as pages, pytest.raises(InputError, match=r"a\.zarr is damaged"):
        pages.read(pages.planes[0])


@pytest.mark.parametrize("dtype", [np.uint32, np.int16, bool])
def test_pixels_of_another_kind_are_refused(tmp_path: Path, dtype: Any) -> None:
    path = tmp_path / "a.zarr"
    axes = [{"name": axis, "type": "space"} for axis in "yx"]
    multiscale = {"version": "0.4", "axes": axes, "datasets": [{"path": "0"}]}
    group = zarr.open_group(path, mode="w", zarr_format=2, attributes={"multiscales": [multiscale]})
    group.create_array("0", shape=(8, 9), dtype=dtype)
    with pytest.raises(InputError, match="convert them to uint8, uint16 or a floating-point type"), open_pages(path):
        pass


def test_axes_of_another_order_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.zarr", noise(8, 9), "yx")
    group = zarr.open_group(path)
    (multiscale,) = group.attrs["multiscales"]
    group.attrs["multiscales"] = [multiscale | {"axes": multiscale["axes"][::-1]}]
    with pytest.raises(InputError, match="has the axes xy; an image has t, c, z, y and x"), open_ome_zarr(path):
        pass


def test_without_zarr_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path / "a.zarr", {})
    monkeypatch.setitem(sys.modules, "zarr", None)
    with pytest.raises(InputError, match=r"without zarr: pip install 'unetplus-edge\[formats\]'"):
        open_ome_zarr(tmp_path / "a.zarr").__enter__()
