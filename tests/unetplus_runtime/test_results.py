from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
import tifffile

from unetplus_edge.errors import OutputError
from unetplus_runtime.results import (
    SummaryRow,
    write_labels,
    write_picture,
    write_summary,
    write_table,
    write_text,
)

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


@pytest.fixture
def labels() -> NDArray[np.int32]:
    image = np.zeros((40, 50), np.int32)
    image[5:15, 5:15] = 1
    image[20:30, 30:50] = 2
    return image


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_labels_are_read_back_as_uint16(tmp_path: Path, labels: NDArray[np.int32]) -> None:
    write_labels(tmp_path / "a_labels.tif", labels)
    with tifffile.TiffFile(tmp_path / "a_labels.tif") as file:
        image = file.asarray()
        assert file.is_imagej
        assert file.pages[0].compression == tifffile.COMPRESSION.ADOBE_DEFLATE
    assert image.dtype == np.uint16
    np.testing.assert_array_equal(image, labels)


@pytest.mark.parametrize(("highest", "dtype"), [(65_535, np.uint16), (65_536, np.uint32)])
def test_labels_past_65535_are_written_as_uint32(tmp_path: Path, highest: int, dtype: Any) -> None:
    labels = np.array([[0, 1], [2, highest]], np.int32)
    write_labels(tmp_path / "a_labels.tif", labels, pixel_size=0.5)
    image = tifffile.imread(tmp_path / "a_labels.tif")
    assert image.dtype == dtype
    np.testing.assert_array_equal(image, labels)


@pytest.mark.parametrize("highest", [2, 70_000])
def test_labels_carry_the_pixel_size(tmp_path: Path, highest: int) -> None:
    write_labels(tmp_path / "a_labels.tif", np.array([[0, highest]], np.int32), pixel_size=0.25)
    with tifffile.TiffFile(tmp_path / "a_labels.tif") as file:
        pixels, per = file.pages[0].tags["XResolution"].value
        imagej = file.imagej_metadata
        unit = file.pages[0].tags["ResolutionUnit"].value
    if highest == 2:
        assert imagej["unit"] == "um"
        assert pixels / per == pytest.approx(4)
    else:
        assert unit == tifffile.RESUNIT.CENTIMETER
        assert pixels / per == pytest.approx(40_000)


def test_an_empty_label_image_is_written(tmp_path: Path) -> None:
    write_labels(tmp_path / "a_labels.tif", np.zeros((3, 4), np.int32))
    assert not tifffile.imread(tmp_path / "a_labels.tif").any()


def test_a_picture_keeps_its_colours(tmp_path: Path) -> None:
    picture = np.zeros((10, 12, 3), np.uint8)
    picture[:, :4, 0] = 255
    picture[:, 4:8, 1] = 200
    write_picture(tmp_path / "a.png", picture)
    read = cv2.imdecode(np.fromfile(tmp_path / "a.png", np.uint8), cv2.IMREAD_COLOR)
    np.testing.assert_array_equal(read[:, :, ::-1], picture)


def test_the_summary_has_a_row_a_frame(tmp_path: Path) -> None:
    write_summary(
        tmp_path,
        [
            SummaryRow("a", "in/a, b.png", 1, 0.25, "OME-XML", 40, 50, 2, 150.5, 0.0125),
            SummaryRow("b", "in/b.png", 1, None, None, 40, 50, 0, None, 0.01),
        ],
    )
    first, second = read_csv(tmp_path / "summary.csv")
    assert first == {
        "id": "a",
        "file": "in/a, b.png",
        "page": "1",
        "pixel_size": "0.25",
        "pixel_size_from": "OME-XML",
        "height": "40",
        "width": "50",
        "nuclei": "2",
        "mean_area": "150.5",
        "seconds": "0.0125",
    }
    assert second["mean_area"] == ""


def test_cells_of_a_table(tmp_path: Path) -> None:
    write_table(tmp_path / "a.csv", ["x", "y"], [{"y": 1 / 3, "x": True}, {"y": None, "x": 'ä, "b"'}])
    assert (tmp_path / "a.csv").read_text(encoding="utf-8") == 'x,y\n1,0.3333333\n"ä, ""b""",\n'


def test_a_name_that_is_no_unicode_is_written_nevertheless(tmp_path: Path) -> None:
    write_table(tmp_path / "a.csv", ["x"], [{"x": "\udcff.png"}])
    assert (tmp_path / "a.csv").read_text(encoding="utf-8") == "x\n\\udcff.png\n"


def test_what_cannot_be_written_is_refused_and_nothing_is_left(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="cannot be written"):
        write_text(tmp_path / "file" / "a.txt", "text")
    (tmp_path / "folder.txt").mkdir()
    with pytest.raises(OutputError, match=r"folder\.txt cannot be written"):
        write_text(tmp_path / "folder.txt", "text")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder.txt"]


def test_an_error_in_the_middle_keeps_the_old_file(tmp_path: Path) -> None:
    write_text(tmp_path / "a.csv", "old")

    def rows() -> Any:
        yield {"x": 1}
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_table(tmp_path / "a.csv", ["x"], rows())
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]
    assert (tmp_path / "a.csv").read_text() == "old"
