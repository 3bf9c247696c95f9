from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
import tifffile

from unetplus_edge.evaluation import outline_overlay
from unetplus_runtime.configuration import Recording
from unetplus_runtime.readers import open_pages
from unetplus_runtime.records.files import is_ours, remove_files, write_frame
from unetplus_runtime.segmenter import Segmenter

if TYPE_CHECKING:
    from pathlib import Path

RUN = "20260517T134500Z-0b5c7a52"
NAME = f"frames/{RUN}/0-000000/0-0000000001.tif"


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("size", [0.325, None])
def test_a_recorded_frame_is_read_without_loss(tmp_path: Path, dtype: type, size: float | None) -> None:
    rng = np.random.default_rng(1)
    frame: Any = (rng.random((40, 50)) * 250).astype(dtype)
    write_frame(tmp_path / "a.tif", frame, size)
    with open_pages(tmp_path / "a.tif", None) as pages:
        (plane,) = pages.planes
        array = pages.read(plane)
    assert array.dtype == dtype
    assert np.array_equal(array, frame)
    if size is None:
        assert plane.pixel_size is None
    else:
        assert plane.pixel_size is not None
        assert plane.pixel_size.micrometres == pytest.approx(size, rel=1e-6)


def test_all_that_is_asked_for_is_recorded(
    tmp_path: Path, open_store: Any, make_frame: Any, put: Any, told: Any, result_of: Any
) -> None:
    frame = make_frame(12_345, life=2)
    with open_store(tmp_path, keep=Recording(labels=True, frames=True, overlays=True)) as store:
        put(store, frame, told)
    record = told.commits[0].record
    labels = result_of(frame).labels
    assert np.array_equal(tifffile.imread(tmp_path / record.labels_file), labels)
    assert np.array_equal(tifffile.imread(tmp_path / record.frame_file), frame.array)
    picture = cv2.imread(str(tmp_path / record.overlay_file), cv2.IMREAD_COLOR_RGB)
    assert picture is not None
    assert np.array_equal(picture, outline_overlay(frame.array, labels))
    assert record.file_bytes == sum((tmp_path / file).stat().st_size for file in record.files)
    for file in record.files:
        _, run, bucket, name = file.split("/")
        assert run.endswith(record.run[:8])
        assert (bucket, name.startswith("2-0000012345")) == ("2-000001", True)


def test_what_is_recorded_of_simulated_frames_says_so_in_its_name(
    tmp_path: Path, open_store: Any, make_frame: Any, put: Any, told: Any
) -> None:
    with open_store(tmp_path, keep=Recording(labels=True, frames=True, overlays=True)) as store:
        put(store, make_frame(), told, simulated=True)
    files = told.commits[0].record.files
    assert len(files) == 3
    assert all(file.rsplit("/", 1)[1].startswith("SIMULATED_") for file in files)
    assert all(is_ours(file) for file in files)


def test_recorded_frames_give_the_same_nuclei_again(
    tmp_path: Path, open_store: Any, told: Any, plain_bundle: Any, map_engine: Any, frame: Any
) -> None:
    from unetplus_runtime.cameras import CameraFacts, Frame

    facts = CameraFacts("folder", "/images", lossless=True)
    with (
        Segmenter(plain_bundle, map_engine()) as segmenter,
        open_store(tmp_path, keep=Recording(frames=True)) as store,
    ):
        for sequence in range(3):
            array = np.roll(frame, 31 * sequence, axis=1)
            captured = Frame(array, sequence, None, 0.0, 0.0)
            result = segmenter.segment(array, 0.5)
            assert len(result.nuclei) > 3
            store.put(captured, result, facts=facts, model_hash="m", configuration_hash="c", on_commit=told)
        assert store.flush(120)
        for committed in told.commits:
            with open_pages(tmp_path / committed.record.frame_file, None) as pages:
                (plane,) = pages.planes
                assert plane.pixel_size is not None
                again = segmenter.segment(pages.read(plane), plane.pixel_size.micrometres)
            assert len(again.nuclei) == committed.record.nuclei
            assert float(again.nuclei.area.mean()) == committed.record.area_mean


@pytest.mark.parametrize(
    ("file", "ours"),
    [
        (NAME, True),
        (NAME.replace("/0-0000000001", "/SIMULATED_0-0000000001"), True),
        (NAME.replace("/0-0000000001", "/.unfinished-0-0000000001"), True),
        (NAME.replace("frames", "labels"), False),
        (NAME.replace("frames", "labels").replace(".tif", "_labels.tif"), True),
        (NAME.replace("frames", "overlays").replace(".tif", "_overlay.png"), True),
        (NAME.replace("0-0000000001", "precious"), False),
        (f"../{NAME}", False),
        (f"{NAME}/../../../../precious.tif", False),
        (f"{NAME}\n", False),
        ("records.sqlite", False),
    ],
)
def test_only_what_has_a_name_of_ours_is_ours(file: str, ours: bool) -> None:
    assert is_ours(file) is ours


def test_removing_leaves_what_is_not_ours(tmp_path: Path) -> None:
    folder = (tmp_path / NAME).parent
    folder.mkdir(parents=True)
    ours, notes, outside = tmp_path / NAME, folder / "notes.txt", tmp_path / "precious.tif"
    for path in (ours, notes, outside):
        path.touch()
    remove_files(tmp_path, [NAME, f"frames/{RUN}/0-000000/notes.txt", "precious.tif", "../gone.tif"])
    assert not ours.exists()
    assert notes.exists()
    assert outside.exists()


def test_removing_the_last_file_removes_its_folders(tmp_path: Path) -> None:
    (tmp_path / NAME).parent.mkdir(parents=True)
    (tmp_path / NAME).touch()
    remove_files(tmp_path, [NAME])
    assert [path.name for path in tmp_path.rglob("*")] == ["frames"]
