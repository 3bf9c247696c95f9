"""The reader of the 2018 Data Science Bowl, on folders of tiny images in both layouts."""

from __future__ import annotations

import csv
from contextlib import contextmanager
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from unetplus_edge.datasets import open_dsb2018, read_kaggle
from unetplus_edge.errors import DataSetError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from unetplus_edge.datasets.dsb2018 import Labels

_NUCLEI = np.zeros((8, 9), np.int32)
_NUCLEI[1:3, 1:3], _NUCLEI[4:7, 5:8] = 1, 2
_FLUORESCENCE = np.where(_NUCLEI > 0, 200, 10).astype(np.uint8)
_BRIGHTFIELD = np.where(_NUCLEI > 0, 40, 230).astype(np.uint8)
_STAINED = np.dstack([_BRIGHTFIELD, _FLUORESCENCE, _BRIGHTFIELD])
_GREEN = np.dstack([np.zeros_like(_FLUORESCENCE), _FLUORESCENCE, np.zeros_like(_FLUORESCENCE)])


def _write(path: Path, image: NDArray[np.integer]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image)


@contextmanager
def _without(path: Path) -> Iterator[None]:
    """Take a file or folder of the shared folders away for a while."""
    away = path.with_name(f"{path.name}.away")
    path.rename(away)
    try:
        yield
    finally:
        away.rename(path)


@contextmanager
def _rewritten(path: Path, content: str) -> Iterator[None]:
    before = path.read_bytes()
    path.write_text(content)
    try:
        yield
    finally:
        path.write_bytes(before)


@pytest.fixture(scope="module")
def indexed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The layout with index.csv: 546 training images, 541 with corrected labels, and 53 test images."""
    folder = tmp_path_factory.mktemp("data") / "dsb2018"
    ids = [("train", f"{number:03d}") for number in range(546)] + [("test", f"t{number:02d}") for number in range(53)]
    for split, image_id in ids:
        _write(folder / split / "images" / f"{image_id}.png", _FLUORESCENCE)
        _write(folder / split / "labels" / f"{image_id}.png", _NUCLEI.astype(np.uint16))
        if split == "train" and image_id >= "005":
            _write(folder / split / "labels_fixed" / f"{image_id}.png", _NUCLEI.astype(np.uint16) * 7)
    with (folder / "index.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerows([("id", "split", "height"), *((image_id, split, 8) for split, image_id in reversed(ids))])
    return folder


def _write_kaggle(folder: Path, count: int, others: int) -> None:
    for number in range(count + others):
        entry = folder / f"{number:03d}"
        if number < count:
            channels = [_FLUORESCENCE] * 3 + [np.full_like(_FLUORESCENCE, 255)]
            image = np.dstack(channels) if number % 2 else _FLUORESCENCE
        else:
            image = [_STAINED, _GREEN, _BRIGHTFIELD, np.dstack([_BRIGHTFIELD] * 3)][number % 4]
        _write(entry / "images" / f"{entry.name}.png", image)
        for nucleus in (1, 2):
            _write(entry / "masks" / f"{nucleus}.png", (np.equal(_NUCLEI, nucleus) * 255).astype(np.uint8))


@pytest.fixture(scope="module")
def kaggle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The public download: 670 training and 65 test images, 546 and 53 of them of fluorescence."""
    folder = tmp_path_factory.mktemp("kaggle")
    _write_kaggle(folder / "stage1_train", 546, 124)
    _write_kaggle(folder / "stage1_test", 53, 12)
    return folder


@pytest.mark.parametrize(("labels", "count", "factor"), [("released", 546, 1), ("fixed", 541, 7)])
def test_the_indexed_layout_gives_the_chosen_labels(indexed: Path, labels: Labels, count: int, factor: int) -> None:
    data = open_dsb2018(indexed, labels)
    assert (len(data.training), len(data.test)) == (count, 53)
    for sample, truth in ((data.training[-1], _NUCLEI * factor), (data.test[0], _NUCLEI)):
        np.testing.assert_array_equal(sample.image(), _FLUORESCENCE)
        np.testing.assert_array_equal(sample.labels(), truth)
    for samples in (data.training, data.test):
        ids = [sample.id for sample in samples]
        assert ids == sorted(set(ids))


def test_the_folder_is_found_by_the_environment(indexed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNETPLUS_DATA", str(indexed.parent))
    assert open_dsb2018() == open_dsb2018(indexed)


@pytest.mark.parametrize("value", [None, ""])
def test_without_the_variable_the_error_says_what_to_set(value: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    if value is None:
        monkeypatch.delenv("UNETPLUS_DATA", raising=False)
    else:
        monkeypatch.setenv("UNETPLUS_DATA", value)
    with pytest.raises(DataSetError, match="set UNETPLUS_DATA to the folder that holds dsb2018/"):
        open_dsb2018()


@pytest.mark.parametrize(
    "missing", ["train/images/200.png", "train/labels/545.png", "test/images/t07.png", "test/labels/t52.png"]
)
@pytest.mark.parametrize("labels", ["released", "fixed"])
def test_a_missing_file_is_named_with_where_to_get_it(indexed: Path, missing: str, labels: Labels) -> None:
    with _without(indexed / missing), pytest.raises(DataSetError, match=rf"1 files are missing.*{missing}.*BBBC038"):
        open_dsb2018(indexed, labels)


def test_corrected_labels_come_whole_or_not_at_all(indexed: Path) -> None:
    with _without(indexed / "train" / "labels_fixed" / "100.png"):
        with pytest.raises(DataSetError, match="labels_fixed holds 540 corrected label images of 541"):
            open_dsb2018(indexed, "fixed")
        assert len(open_dsb2018(indexed, "released").training) == 546
    with _without(indexed / "train" / "labels_fixed"), pytest.raises(DataSetError, match="choose the released labels"):
        open_dsb2018(indexed, "fixed")


@pytest.mark.parametrize(
    ("split", "found"), [("train", "545 training and 53 test"), ("test", "546 training and 52 test")]
)
def test_another_number_of_images_is_refused(indexed: Path, split: str, found: str) -> None:
    index = indexed / "index.csv"
    lines = index.read_text().splitlines()
    lines.remove(next(line for line in lines if f",{split}," in line))
    with _rewritten(index, "\n".join(lines)), pytest.raises(DataSetError, match=f"{found} images in grey.*546 and 53"):
        open_dsb2018(indexed, "released")


@pytest.mark.parametrize("content", ["name,part\na,train\n", "id,split\na\n", ""])
def test_a_damaged_index_is_refused(indexed: Path, content: str) -> None:
    refused = pytest.raises(DataSetError, match=r"index\.csv|files are missing|0 training")
    with _rewritten(indexed / "index.csv", content), refused:
        open_dsb2018(indexed, "released")


@pytest.mark.parametrize("folder", ["absent", ""])
def test_a_folder_without_the_data_set_is_refused_with_where_to_get_it(tmp_path: Path, folder: str) -> None:
    with pytest.raises(DataSetError, match=r"BBBC038.*stage1_train"):
        open_dsb2018(tmp_path / folder)


def test_of_the_public_download_the_fluorescence_images_are_taken(kaggle: Path) -> None:
    data = open_dsb2018(kaggle, "released")
    assert [sample.id for sample in data.training] == [f"{number:03d}" for number in range(546)]
    assert [sample.id for sample in data.test] == [f"{number:03d}" for number in range(53)]
    for sample in (data.training[0], data.training[1], data.test[-1]):
        np.testing.assert_array_equal(sample.image(), _FLUORESCENCE)
        np.testing.assert_array_equal(sample.labels(), _NUCLEI)


def test_the_public_download_has_no_corrected_labels(kaggle: Path) -> None:
    with pytest.raises(DataSetError, match="choose the released ones"):
        open_dsb2018(kaggle, "fixed")


@pytest.mark.parametrize("part", ["stage1_train/000/images", "stage1_train/000/masks", "stage1_test/010/masks"])
def test_an_entry_without_its_image_or_masks_is_named(kaggle: Path, part: str) -> None:
    entry = part.rpartition("/")[0]
    with _without(kaggle / part), pytest.raises(DataSetError, match=rf"{entry} lacks its image or its masks.*BBBC038"):
        open_dsb2018(kaggle, "released")


def test_the_public_download_needs_both_parts(kaggle: Path) -> None:
    with _without(kaggle / "stage1_test"), pytest.raises(DataSetError, match=r"stage1_test is no folder.*BBBC038"):
        open_dsb2018(kaggle, "released")


def test_an_image_too_few_is_refused(kaggle: Path) -> None:
    image = kaggle / "stage1_test" / "000" / "images" / "000.png"
    before = image.read_bytes()
    _write(image, _STAINED)
    try:
        with pytest.raises(DataSetError, match="546 training and 52 test images in grey"):
            open_dsb2018(kaggle, "released")
    finally:
        image.write_bytes(before)


def test_an_image_that_cannot_be_read_is_named(kaggle: Path) -> None:
    image = kaggle / "stage1_train" / "003" / "images" / "003.png"
    with _rewritten(image, "no image"), pytest.raises(DataSetError, match=r"003\.png is no readable image"):
        open_dsb2018(kaggle, "released")


def test_the_competition_s_solution_takes_the_place_of_the_test_masks(tmp_path: Path) -> None:
    _write_kaggle(tmp_path / "stage1_test", 2, 0)
    with_masks = [sample.labels() for sample in read_kaggle(tmp_path / "stage1_test")]
    rows = ["ImageId,EncodedPixels,Height,Width,Usage"]
    for name in ("000", "001"):
        for path in sorted((tmp_path / "stage1_test" / name / "masks").glob("*.png")):
            mask = np.asarray(cv2.imread(str(path), cv2.IMREAD_UNCHANGED))
            down_the_columns = np.flatnonzero(mask.T) + 1
            rows.append(f"{name},{' '.join(f'{pixel} 1' for pixel in down_the_columns)},8,9,Public")
            path.unlink()
        (tmp_path / "stage1_test" / name / "masks").rmdir()
    with pytest.raises(DataSetError, match=r"stage1_solution\.csv"):
        read_kaggle(tmp_path / "stage1_test")
    (tmp_path / "stage1_solution.csv").write_text("\n".join(rows))
    without_masks = [sample.labels() for sample in read_kaggle(tmp_path / "stage1_test")]
    np.testing.assert_array_equal(without_masks, with_masks)


def test_the_real_data_set_is_that_of_the_article(data_root: Path) -> None:
    released, fixed = (open_dsb2018(data_root / "dsb2018", labels) for labels in ("released", "fixed"))
    assert (len(released.training), len(fixed.training)) == (546, 541)
    assert {sample.id for sample in fixed.training} < {sample.id for sample in released.training}
    assert released.test == fixed.test
    assert len(released.test) == 53
    assert sum(len(np.unique(sample.labels())) - 1 for sample in released.test) == 3083
    with (data_root / "dsb2018" / "index.csv").open(newline="") as file:
        rows = {row["id"]: row for row in csv.DictReader(file)}
    for sample in (*released.training[::20], *released.test):
        image, labels, row = sample.image(), sample.labels(), rows[sample.id]
        assert image.shape == labels.shape == (int(row["height"]), int(row["width"]))
        assert len(np.unique(labels)) - 1 == int(row["nuclei"])
