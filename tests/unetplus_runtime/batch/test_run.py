"""What a run over many files leaves, and what it refuses."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile

from unetplus_edge.errors import OutputError
from unetplus_runtime.batch import segment_files
from unetplus_runtime.plan import make_plan
from unetplus_runtime.run_record import RECORD
from unetplus_runtime.segmenter import Segmenter

if TYPE_CHECKING:
    from pathlib import Path

    from unetplus_edge.bundle import Bundle


def test_a_damaged_file_does_not_stop_the_others(
    images: Path, tmp_path: Path, segmenter: Segmenter, results: Any
) -> None:
    ticks: list[int] = []
    plan = make_plan([images], tmp_path / "out")
    outcome = segment_files(plan, segmenter, done=lambda: ticks.append(1))
    kinds = ("labels.tif", "nuclei.csv", "overlay.png")
    assert results.names(tmp_path / "out") == [
        *(f"{name}_{kind}" for name in "ac" for kind in kinds),
        "summary.csv",
        RECORD,
    ]
    assert [row.id for row in outcome.rows] == ["a", "c"]
    assert [(row["nuclei"], row["mean_area"], row["page"]) for row in results.summary(tmp_path / "out")] == [
        ("1", "100", "1"),
        ("1", "100", "1"),
    ]
    assert len(outcome.refused) == 1
    assert len(ticks) == len(plan.frames) == 2


def test_a_damaged_page_does_not_stop_the_others(tmp_path: Path, segmenter: Segmenter) -> None:
    stack = np.zeros((3, 64, 64), np.float32)
    stack[1, 0, 0] = np.nan
    tifffile.imwrite(tmp_path / "a.tif", stack, photometric="minisblack")
    outcome = segment_files(make_plan([tmp_path / "a.tif"], tmp_path / "out"), segmenter)
    assert [row.page for row in outcome.rows] == [1, 3]
    (refusal,) = outcome.refused
    assert "a.tif, page 2 has 1 pixels that are NaN" in refusal


def test_a_file_that_vanishes_after_the_plan_is_refused(images: Path, tmp_path: Path, segmenter: Segmenter) -> None:
    plan = make_plan([images], tmp_path / "out")
    (images / "a.tif").unlink()
    outcome = segment_files(plan, segmenter)
    assert [row.id for row in outcome.rows] == ["c"]
    assert any("a.tif cannot be read" in refusal for refusal in outcome.refused)


def test_equal_names_in_two_folders_have_two_results(tmp_path: Path, segmenter: Segmenter, results: Any) -> None:
    for folder in ("day1", "day2"):
        (tmp_path / folder).mkdir()
        tifffile.imwrite(tmp_path / folder / "a.tif", np.zeros((64, 64), np.uint8))
    plan = make_plan([tmp_path / "day1" / "a.tif", tmp_path / "day2" / "a.tif"], tmp_path / "out")
    segment_files(plan, segmenter)
    assert [name for name in results.names(tmp_path / "out") if "labels" in name] == [
        "day1/a_labels.tif",
        "day2/a_labels.tif",
    ]


def test_results_are_replaced_when_asked(images: Path, tmp_path: Path, segmenter: Segmenter) -> None:
    out = tmp_path / "out"
    (images / "b.png").unlink()
    segment_files(make_plan([images], out), segmenter)
    (out / "a_labels.tif").write_text("old")
    with pytest.raises(OutputError, match="and 6 more results exist already"):
        make_plan([images], out)
    segment_files(make_plan([images], out, overwrite=True), segmenter)
    assert tifffile.imread(out / "a_labels.tif").max() == 1


def test_results_are_never_taken_for_images(images: Path, segmenter: Segmenter) -> None:
    out = images / "out"
    segment_files(make_plan([images], out), segmenter)
    assert len(make_plan([images], out, overwrite=True).frames) == 2
    with pytest.raises(OutputError, match="is the folder of the images"):
        make_plan([images], images)


def test_nothing_segmented_leaves_nothing(tmp_path: Path, segmenter: Segmenter) -> None:
    (tmp_path / "b.png").write_bytes(b"no image")
    outcome = segment_files(make_plan([tmp_path / "b.png"], tmp_path / "out"), segmenter)
    assert (outcome.rows, len(outcome.refused)) == ([], 1)
    assert not (tmp_path / "out").exists()


def test_frames_that_cannot_be_read_leave_no_folder(tmp_path: Path, segmenter: Segmenter) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.full((64, 64), np.nan, np.float32))
    outcome = segment_files(make_plan([tmp_path / "a.tif"], tmp_path / "out"), segmenter)
    assert len(outcome.refused) == 1
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_written_is_an_error(images: Path, tmp_path: Path, segmenter: Segmenter) -> None:
    (tmp_path / "out").write_text("in the way")
    with pytest.raises(OutputError, match="cannot be written"):
        segment_files(make_plan([images], tmp_path / "out"), segmenter)


def test_the_size_of_a_pixel_comes_from_the_file_or_the_caller(
    tmp_path: Path, segmenter: Segmenter, results: Any
) -> None:
    image = np.zeros((64, 64), np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", image, imagej=True, resolution=(2, 2), metadata={"unit": "um"})
    tifffile.imwrite(tmp_path / "b.tif", image, imagej=True, resolution=(2, 4), metadata={"unit": "um"})
    tifffile.imwrite(tmp_path / "c.tif", image)
    images = [tmp_path / f"{name}.tif" for name in "abc"]
    segment_files(make_plan(images, tmp_path / "out"), segmenter)
    assert [(row["pixel_size"], row["pixel_size_from"]) for row in results.summary(tmp_path / "out")] == [
        ("0.5", "ImageJ"),
        ("", "ImageJ: not square, 0.5 x 0.25 um"),
        ("", ""),
    ]
    for name, area in (("a", "25"), ("b", None), ("c", None)):
        with (tmp_path / "out" / f"{name}_nuclei.csv").open(newline="") as file:
            (row,) = csv.DictReader(file)
        assert row.get("area_um2") == area
    segment_files(make_plan(images, tmp_path / "told"), segmenter, pixel_size=2.0)
    assert {(row["pixel_size"], row["pixel_size_from"]) for row in results.summary(tmp_path / "told")} == {
        ("2", "--pixel-size")
    }


def test_a_frame_that_needs_too_much_memory_is_refused_alone(
    images: Path, tmp_path: Path, plain_bundle: Bundle, map_engine: Any
) -> None:
    class Small(map_engine):  # type: ignore[misc]
        def infer(self, patches: Any) -> Any:
            if patches.any():
                raise MemoryError
            return patches

    tifffile.imwrite(images / "d.tif", np.arange(4096, dtype=np.uint16).reshape(64, 64))
    outcome = segment_files(make_plan([images], tmp_path / "out"), Segmenter(plain_bundle, Small()))
    assert [row.id for row in outcome.rows] == ["a", "c"]
    assert "d needs more memory than there is; cut it into smaller frames" in outcome.refused
