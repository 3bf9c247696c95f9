"""Each format is read back by a library that its users use."""

from __future__ import annotations

import csv
import json
import sys
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest
import roifile
import shapely
import tifffile
import zarr
from skimage.draw import polygon2mask

from unetplus_edge.errors import OutputError
from unetplus_edge.evaluation import outline_overlay
from unetplus_runtime.formats import FORMATS, max_name, require_formats, result_paths, write_results
from unetplus_runtime.ome import ome_planes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from unetplus_runtime.formats import Segmented

    MakeSegmented = Callable[..., Segmented]


@pytest.fixture
def two() -> NDArray[np.int32]:
    image = np.zeros((40, 50), np.int32)
    image[5:15, 5:15] = 1
    image[20:30, 30:50] = 2
    return image


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def written(folder: Path, segmented: Segmented, name: str) -> Path:
    write_results(folder, "a", segmented, [name])
    (path,) = folder.iterdir()
    assert path.name == f"a{FORMATS[name].ending}"
    return path


def test_a_frame_has_three_results_by_default(
    tmp_path: Path, two: NDArray[np.int32], make_segmented: MakeSegmented
) -> None:
    segmented = make_segmented(two, 0.5)
    write_results(tmp_path / "out", "day 1/a", segmented)
    paths = result_paths(tmp_path / "out", "day 1/a")
    assert [path.name for path in paths] == ["a_labels.tif", "a_overlay.png", "a_nuclei.csv"]
    assert sorted(path.name for path in (tmp_path / "out" / "day 1").iterdir()) == sorted(path.name for path in paths)
    np.testing.assert_array_equal(tifffile.imread(paths[0]), two)
    overlay = cv2.imdecode(np.fromfile(paths[1], np.uint8), cv2.IMREAD_COLOR)
    np.testing.assert_array_equal(overlay[:, :, ::-1], outline_overlay(segmented.frame, two))
    first, second = read_csv(paths[2])
    assert (first["label"], first["area"], first["touches_border"]) == ("1", "100", "0")
    assert (second["label"], second["area"], second["touches_border"]) == ("2", "200", "1")
    assert float(second["area_um2"]) == 50
    assert float(first["intensity_mean"]) == pytest.approx(segmented.frame[5:15, 5:15].mean(), rel=1e-6)


@pytest.mark.parametrize("name", FORMATS)
def test_a_frame_without_nuclei_is_written(tmp_path: Path, make_segmented: MakeSegmented, name: str) -> None:
    written(tmp_path, make_segmented(np.zeros((8, 9), np.int32)), name)


def test_a_table_without_nuclei_has_its_columns(tmp_path: Path, make_segmented: MakeSegmented) -> None:
    path = written(tmp_path, make_segmented(np.zeros((8, 8), np.int32)), "csv")
    assert path.read_text().startswith("label,area,")
    assert read_csv(path) == []


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "ome-zarr"])
def test_the_same_nuclei_make_the_same_file(
    tmp_path: Path, labels: NDArray[np.int32], make_segmented: MakeSegmented, name: str
) -> None:
    first, second = (written(tmp_path / part, make_segmented(labels, 0.5), name) for part in ("x", "y"))
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize("name", FORMATS)
def test_a_result_is_replaced_as_a_whole(tmp_path: Path, make_segmented: MakeSegmented, name: str) -> None:
    write_results(tmp_path, "a", make_segmented(np.ones((8, 9), np.int32)), [name])
    path = written(tmp_path, make_segmented(np.zeros((4, 5), np.int32)), name)
    write_results(tmp_path / "b", "a", make_segmented(np.zeros((4, 5), np.int32)), [name])
    if path.is_file():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()
    else:
        assert zarr.open_array(path / "0", mode="r").shape == (4, 5)


@pytest.mark.parametrize("name", FORMATS)
def test_what_cannot_be_written_is_an_error_and_leaves_nothing(
    tmp_path: Path, make_segmented: MakeSegmented, name: str
) -> None:
    (tmp_path / "in the way").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        write_results(tmp_path / "in the way", "a", make_segmented(np.ones((8, 9), np.int32)), [name])
    assert [path.name for path in tmp_path.iterdir()] == ["in the way"]


def test_parquet_holds_the_table_and_what_computed_it(
    tmp_path: Path, labels: NDArray[np.int32], make_segmented: MakeSegmented
) -> None:
    segmented = make_segmented(labels, 0.25)
    table = pq.read_table(written(tmp_path, segmented, "parquet"))
    assert table.to_pylist() == list(segmented.result.nuclei.rows())
    metadata = {key.decode(): value.decode() for key, value in table.schema.metadata.items()}
    assert metadata["unetplus.model"] == "a" * 64
    assert metadata["unetplus.recipe"] == "b" * 64


def test_rois_select_exactly_the_pixels(
    tmp_path: Path, labels: NDArray[np.int32], make_segmented: MakeSegmented
) -> None:
    rois = roifile.roiread(written(tmp_path, make_segmented(labels), "rois"))
    drawn = np.zeros_like(labels)
    for roi in rois:
        inside = np.zeros(labels.shape, bool)
        for ring in roi.coordinates(multi=True):
            inside ^= polygon2mask(labels.shape, ring[:, ::-1] - 0.5)  # scikit-image has centres at whole numbers
        y, x = np.nonzero(inside)
        assert (roi.left, roi.top, roi.right, roi.bottom) == pytest.approx(
            (x.min(), y.min(), x.max() + 1, y.max() + 1), abs=1
        )
        drawn[inside] = int(roi.name)
    assert any(roi.composite for roi in rois)
    assert len(rois) == labels.max()
    np.testing.assert_array_equal(drawn, labels)


@pytest.mark.parametrize("turned", [False, True], ids=["wide", "high"])
def test_rois_past_16_bits_are_where_the_nuclei_are(
    tmp_path: Path, make_segmented: MakeSegmented, turned: bool
) -> None:
    begins = [30_000, 60_530, 60_600, 65_530, 70_000]
    labels = np.zeros((20, 70_100), np.int32)
    for number, x in enumerate(begins, start=1):
        labels[3:12, x : x + 10] = number
    labels[5, 65_533] = labels[5, 30_003] = 0  # a hole: a composite ROI
    labels[2, 70_010] = 5  # by its corner: coordinates between pixels
    image = labels.T.copy() if turned else labels
    rois = roifile.roiread(written(tmp_path, make_segmented(image), "rois"))
    assert [roi.composite for roi in rois] == [True, False, False, True, False]
    for roi, x in zip(rois, begins, strict=True):
        rings = roi.coordinates(multi=True) if roi.composite else [roi.coordinates()]
        points = np.concatenate(rings)[:, ::-1] if turned else np.concatenate(rings)
        y, right = (2, x + 11) if x == 70_000 else (3, x + 10)
        assert (points.min(axis=0).tolist(), points.max(axis=0).tolist()) == ([x, y], [right, 12])
        box = (roi.top, roi.bottom) if turned else (roi.left, roi.right)
        assert box == pytest.approx((min(x, 60_535), min(right, 60_535)), abs=1)


def test_geojson_holds_one_valid_polygon_a_nucleus(
    tmp_path: Path, labels: NDArray[np.int32], make_segmented: MakeSegmented
) -> None:
    segmented = make_segmented(labels, 0.5)
    content = json.loads(written(tmp_path, segmented, "geojson").read_text(encoding="utf-8"))
    assert content["type"] == "FeatureCollection"
    drawn = np.zeros_like(labels)
    y, x = np.mgrid[: labels.shape[0], : labels.shape[1]]
    for feature, row in zip(content["features"], segmented.result.nuclei.rows(), strict=True):
        shape = shapely.geometry.shape(feature["geometry"])
        assert shape.is_valid
        assert all(ring[0] == ring[-1] for ring in feature["geometry"]["coordinates"])
        drawn[shapely.contains_xy(shape, x + 0.5, y + 0.5)] = row["label"]
        properties = feature["properties"]
        assert (properties["objectType"], properties["classification"]["name"]) == ("detection", "Nucleus")
        assert properties["measurements"]["Nucleus: Area \N{MICRO SIGN}m^2"] == row["area"] / 4
        assert properties["measurements"]["Nucleus: Mean"] == row["intensity_mean"]
    np.testing.assert_array_equal(drawn, labels)
    assert len({feature["id"] for feature in content["features"]}) == labels.max()


@pytest.mark.parametrize(("highest", "dtype"), [(65_535, np.uint16), (65_536, np.uint32)])
def test_ome_tiff_holds_the_labels_and_the_pixel_size(
    tmp_path: Path, two: NDArray[np.int32], make_segmented: MakeSegmented, highest: int, dtype: Any
) -> None:
    two[two == 2] = highest
    path = written(tmp_path, make_segmented(two, 0.25), "ome-tiff")
    with tifffile.TiffFile(path) as file:
        assert file.is_ome
        (series,) = file.series
        assert (series.axes, series.dtype) == ("YX", dtype)
        np.testing.assert_array_equal(series.asarray(), two)
        ((plane,), _) = ome_planes(path, file.ome_metadata, [1], None)
    assert plane.pixel_size is not None
    assert plane.pixel_size.micrometres == 0.25


@pytest.mark.parametrize("pixel_size", [None, 0.25])
def test_ome_zarr_is_read_as_labels_with_their_pyramid(
    tmp_path: Path, make_segmented: MakeSegmented, pixel_size: float | None
) -> None:
    from ome_zarr.io import parse_url
    from ome_zarr.reader import Label, Reader

    labels = np.random.default_rng(0).integers(0, 9, (1100, 30)).astype(np.int32)
    location = parse_url(written(tmp_path, make_segmented(labels, pixel_size), "ome-zarr"))
    assert location is not None
    (node,) = Reader(location)()
    assert node.load(Label) is not None
    np.testing.assert_array_equal(node.data[0].compute(), labels)
    np.testing.assert_array_equal(node.data[1].compute(), labels[::2, ::2])
    assert len(node.data) == 2
    scales = [steps[0]["scale"] for steps in node.metadata["coordinateTransformations"]]
    side = pixel_size or 1
    assert scales == [[side, side], [2 * side, 2 * side]]
    assert [axis.get("unit") for axis in node.metadata["axes"]] == [pixel_size and "micrometer"] * 2


def test_ome_zarr_follows_its_specification(
    tmp_path: Path, two: NDArray[np.int32], make_segmented: MakeSegmented
) -> None:
    from ome_zarr_models.v04 import ImageLabel

    image = ImageLabel.from_zarr(zarr.open_group(written(tmp_path, make_segmented(two, 0.25), "ome-zarr"), mode="r"))
    assert image.attributes.image_label is not None
    assert zarr.open_group(tmp_path / "a_labels.ome.zarr", mode="r").attrs["unetplus"]["model"] == "a" * 64


@pytest.mark.parametrize("name", FORMATS)
def test_the_longest_name_can_be_written(tmp_path: Path, make_segmented: MakeSegmented, name: str) -> None:
    frame_id = "x" * max_name([name])
    write_results(tmp_path, frame_id, make_segmented(np.ones((4, 4), np.int32)), [name])
    assert [path.name for path in tmp_path.iterdir()] == [f"{frame_id}{FORMATS[name].ending}"]


def test_a_format_whose_library_is_missing_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    require_formats(["tiff", "geojson"])
    with pytest.raises(OutputError, match=r"parquet results need pyarrow: pip install 'unetplus-edge\[formats\]'"):
        require_formats(["csv", "parquet"])
