from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile

from unetplus_edge.errors import EngineError, InputError, OutputError
from unetplus_runtime.batch import make_plan, segment_files
from unetplus_runtime.segmenter import Segmenter

if TYPE_CHECKING:
    from pathlib import Path

    from unetplus_edge.bundle import Bundle


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Three images; the second is damaged."""
    folder = tmp_path / "images"
    folder.mkdir()
    for name in ("a", "c"):
        tifffile.imwrite(folder / f"{name}.tif", np.zeros((64, 64), np.uint8))
    (folder / "b.png").write_bytes(b"no image")
    return folder


@pytest.fixture
def segmenter(plain_bundle: Bundle, map_engine: Any) -> Segmenter:
    """Finds one nucleus of 100 pixels in every frame of 64 x 64."""
    answers = np.zeros((1, 64, 64, 1), np.float32)
    answers[0, 10:20, 10:20] = 1
    return Segmenter(plain_bundle, map_engine(answers))


def names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def summary(folder: Path) -> list[dict[str, str]]:
    with (folder / "summary.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_plan_lists_frames_and_what_cannot_be_opened(images: Path, tmp_path: Path) -> None:
    tifffile.imwrite(images / "d.tif", np.zeros((3, 64, 64), np.uint16), photometric="minisblack")
    plan = make_plan([images], tmp_path / "out")
    assert plan.frame_count == 5
    assert [frame.id for _, frames in plan.files for frame in frames] == ["a", "c", "d_page1", "d_page2", "d_page3"]
    (refusal,) = plan.refused
    assert "b.png is no PNG file" in refusal
    assert not (tmp_path / "out").exists()


def test_a_damaged_file_does_not_stop_the_others(images: Path, tmp_path: Path, segmenter: Segmenter) -> None:
    ticks: list[int] = []
    plan = make_plan([images], tmp_path / "out")
    outcome = segment_files(plan, segmenter, done=lambda: ticks.append(1))
    kinds = ("labels.tif", "nuclei.csv", "overlay.png")
    assert names(tmp_path / "out") == [*(f"{name}_{kind}" for name in "ac" for kind in kinds), "summary.csv"]
    assert [row.id for row in outcome.rows] == ["a", "c"]
    assert [(row["nuclei"], row["mean_area"], row["page"]) for row in summary(tmp_path / "out")] == [
        ("1", "100", "1"),
        ("1", "100", "1"),
    ]
    assert len(outcome.refused) == 1
    assert len(ticks) == plan.frame_count == 2


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


def test_equal_names_in_two_folders_have_two_results(tmp_path: Path, segmenter: Segmenter) -> None:
    for folder in ("day1", "day2"):
        (tmp_path / folder).mkdir()
        tifffile.imwrite(tmp_path / folder / "a.tif", np.zeros((64, 64), np.uint8))
    plan = make_plan([tmp_path / "day1" / "a.tif", tmp_path / "day2" / "a.tif"], tmp_path / "out")
    segment_files(plan, segmenter)
    assert [name for name in names(tmp_path / "out") if "labels" in name] == ["day1/a_labels.tif", "day2/a_labels.tif"]


@pytest.mark.parametrize("existing", ["a_labels.tif", "c_overlay.png", "a_nuclei.csv", "summary.csv"])
def test_results_that_exist_are_kept(images: Path, tmp_path: Path, existing: str) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / existing).write_text("precious")
    with pytest.raises(OutputError, match=f"{existing} exists already; replace with --overwrite"):
        make_plan([images], out)
    assert names(out) == [existing]


def test_results_are_replaced_when_asked(images: Path, tmp_path: Path, segmenter: Segmenter) -> None:
    out = tmp_path / "out"
    segment_files(make_plan([images], out), segmenter)
    (out / "a_labels.tif").write_text("old")
    with pytest.raises(OutputError, match="and 6 more results exist already"):
        make_plan([images], out)
    segment_files(make_plan([images], out, overwrite=True), segmenter)
    assert tifffile.imread(out / "a_labels.tif").max() == 1


def test_results_of_other_images_are_left_alone(images: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "z_labels.tif").write_text("of another run")
    assert make_plan([images], tmp_path / "out").frame_count == 2


def test_results_are_never_taken_for_images(images: Path, segmenter: Segmenter) -> None:
    out = images / "out"
    segment_files(make_plan([images], out), segmenter)
    assert make_plan([images], out, overwrite=True).frame_count == 2
    with pytest.raises(OutputError, match="is the folder of the images"):
        make_plan([images], images)


def test_pages_and_files_of_one_name_are_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((2, 64, 64), np.uint8), photometric="minisblack")
    tifffile.imwrite(tmp_path / "a_page1.tif", np.zeros((64, 64), np.uint8))
    with pytest.raises(InputError, match="2 images would all be called a_page1"):
        make_plan([tmp_path], tmp_path / "out")


@pytest.mark.parametrize("error", [KeyboardInterrupt, EngineError("the device is gone")])
def test_a_run_that_is_broken_off_leaves_complete_results_and_their_summary(
    images: Path, tmp_path: Path, segmenter: Segmenter, error: Any
) -> None:
    def stop_after_one() -> None:
        raise error

    with pytest.raises((KeyboardInterrupt, EngineError)):
        segment_files(make_plan([images], tmp_path / "out"), segmenter, done=stop_after_one)
    assert names(tmp_path / "out") == ["a_labels.tif", "a_nuclei.csv", "a_overlay.png", "summary.csv"]
    assert [row["id"] for row in summary(tmp_path / "out")] == ["a"]


def test_nothing_segmented_leaves_nothing(tmp_path: Path, segmenter: Segmenter) -> None:
    (tmp_path / "b.png").write_bytes(b"no image")
    outcome = segment_files(make_plan([tmp_path / "b.png"], tmp_path / "out"), segmenter)
    assert (outcome.rows, len(outcome.refused)) == ([], 1)
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_written_is_an_error(images: Path, tmp_path: Path, segmenter: Segmenter) -> None:
    (tmp_path / "out").write_text("in the way")
    with pytest.raises(OutputError, match="cannot be written"):
        segment_files(make_plan([images], tmp_path / "out"), segmenter)
