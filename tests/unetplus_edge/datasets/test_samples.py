"""Images and truths as they lie on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from unetplus_edge.datasets import Sample, content_hash
from unetplus_edge.errors import DataSetError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_GREY = np.arange(6 * 9, dtype=np.uint8).reshape(6, 9)
_LABELS = np.zeros((6, 9), np.int32)
_LABELS[0:2, 1:4] = 1
_LABELS[3:5, 1:4] = 2
_LABELS[4:6, 7:9] = 300


def _write(path: Path, image: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image)
    return path


def _sample(folder: Path, name: str = "a") -> Sample:
    image = _write(folder / "images" / f"{name}.png", _GREY)
    return Sample(name, image, _write(folder / "labels" / f"{name}.png", _LABELS.astype(np.uint16)))


@pytest.mark.parametrize("channels", ["grey", "rgb", "rgba"])
def test_an_image_is_one_grey_channel(tmp_path: Path, channels: str) -> None:
    stacked = {
        "grey": _GREY,
        "rgb": np.dstack([_GREY] * 3),
        "rgba": np.dstack([_GREY] * 3 + [np.full_like(_GREY, 255)]),
    }
    image = Sample("a", _write(tmp_path / "a.png", stacked[channels]), tmp_path).image()
    assert image.dtype == np.uint8
    assert image.flags.c_contiguous
    np.testing.assert_array_equal(image, _GREY)


def test_an_image_of_16_bits_is_refused(tmp_path: Path) -> None:
    sample = Sample("a", _write(tmp_path / "a.png", _GREY.astype(np.uint16) * 257), tmp_path)
    with pytest.raises(DataSetError, match=r"a\.png holds uint16 pixels"):
        sample.image()


def test_a_label_image_keeps_its_ids(tmp_path: Path) -> None:
    labels = _sample(tmp_path).labels()
    assert labels.dtype == np.int32
    np.testing.assert_array_equal(labels, _LABELS)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_masks_become_one_label_image(tmp_path: Path, channels: int) -> None:
    for name, number in (("a", 300), ("b", 1), ("c", 2)):
        mask = (np.equal(_LABELS, number) * 255).astype(np.uint8)
        _write(tmp_path / "masks" / f"{name}.png", mask if channels == 1 else np.dstack([mask] * channels))
    labels = Sample("x", tmp_path / "x.png", tmp_path / "masks").labels()
    assert labels.dtype == np.int32
    # Numbered in the order of the files' names.
    np.testing.assert_array_equal(labels, np.select([_LABELS == 300, _LABELS == 1, _LABELS == 2], [1, 2, 3], 0))


def test_where_masks_overlap_the_last_one_counts(tmp_path: Path) -> None:
    _write(tmp_path / "masks" / "a.png", np.array([[255, 255, 0]], np.uint8))
    _write(tmp_path / "masks" / "b.png", np.array([[0, 255, 255]], np.uint8))
    np.testing.assert_array_equal(Sample("x", tmp_path, tmp_path / "masks").labels(), [[1, 2, 2]])


def test_masks_of_different_shapes_are_refused(tmp_path: Path) -> None:
    _write(tmp_path / "masks" / "a.png", np.zeros((3, 4), np.uint8))
    _write(tmp_path / "masks" / "b.png", np.zeros((4, 3), np.uint8))
    with pytest.raises(DataSetError, match=r"b\.png has shape \(4, 3\), other masks of the image \(3, 4\)"):
        Sample("x", tmp_path, tmp_path / "masks").labels()


def test_a_folder_without_masks_is_refused(tmp_path: Path) -> None:
    (tmp_path / "masks").mkdir()
    with pytest.raises(DataSetError, match="holds no mask"):
        Sample("x", tmp_path, tmp_path / "masks").labels()


_DAMAGE: dict[str, Callable[[Path], object]] = {
    "missing": lambda path: path.unlink(),
    "empty": lambda path: path.write_bytes(b""),
    "cut off": lambda path: path.write_bytes(path.read_bytes()[:-30]),
    "a changed byte": lambda path: path.write_bytes(path.read_bytes()[:50] + b"XX" + path.read_bytes()[52:]),
    "no image": lambda path: path.write_text("<html>404</html>"),
    "a folder": lambda path: path.rename(path.with_suffix(".away")).with_suffix(".png").mkdir(),
}


@pytest.mark.parametrize("damage", _DAMAGE.values(), ids=_DAMAGE)
@pytest.mark.parametrize("kind", ["images", "labels"])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, damage: Callable[[Path], object], kind: str) -> None:
    sample = _sample(tmp_path)
    damage(tmp_path / kind / "a.png")
    with pytest.raises(DataSetError, match=rf"{kind}/a\.png.*(no readable image|holds no mask)|{kind}/a.png holds"):
        _ = sample.image() if kind == "images" else sample.labels()


_RUNS = """ImageId,EncodedPixels,Height,Width,Usage
other,1 1,6,9,Public
a,7 2 13 2 19 2,6,9,Private
a,10 2 16 2 22 2,6,9,Private
a,47 2 53 2,6,9,Private
"""


def test_run_lengths_go_down_the_columns_from_1(tmp_path: Path) -> None:
    table = tmp_path / "stage1_solution.csv"
    table.write_text(_RUNS)
    labels = Sample("a", tmp_path / "a.png", table).labels()
    assert labels.dtype == np.int32
    assert labels.flags.c_contiguous
    np.testing.assert_array_equal(labels, np.where(_LABELS == 300, 3, _LABELS))


@pytest.mark.parametrize(
    "content",
    ["", "ImageId,EncodedPixels,Height,Width\nb,1 1,6,9\n", "id\na\n", _RUNS + "a,1 2 3,6,9,Private\n", "\xff\xfe"],
    ids=["empty", "another image", "other columns", "half a run", "no text"],
)
def test_a_table_without_the_run_lengths_of_the_image_is_refused(tmp_path: Path, content: str) -> None:
    table = tmp_path / "stage1_solution.csv"
    table.write_bytes(content.encode("latin-1"))
    with pytest.raises(DataSetError, match=r"solution\.csv holds no run lengths of image a"):
        Sample("a", tmp_path / "a.png", table).labels()


def test_the_hash_knows_every_byte_and_id_but_no_order(tmp_path: Path) -> None:
    samples = [_sample(tmp_path, name) for name in "abc"]
    whole = content_hash(samples)
    assert len(whole) == 64
    assert content_hash(reversed(samples)) == whole
    assert content_hash(samples[:2]) != whole
    assert content_hash([*samples[:2], Sample("d", samples[2].image_path, samples[2].label_path)]) != whole
    for path in (samples[1].image_path, samples[1].label_path):
        before = path.read_bytes()
        path.write_bytes(before + b"\x00")
        assert content_hash(samples) != whole
        path.write_bytes(before)
    assert content_hash(samples) == whole


def test_the_hash_knows_every_mask(tmp_path: Path) -> None:
    image = _write(tmp_path / "x.png", _GREY)
    for name in "ab":
        _write(tmp_path / "masks" / f"{name}.png", _GREY)
    sample = Sample("x", image, tmp_path / "masks")
    before = content_hash([sample])
    (tmp_path / "masks" / "b.png").unlink()
    assert content_hash([sample]) != before
