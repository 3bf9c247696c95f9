from __future__ import annotations

import csv
import os
import shutil
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
import tifffile

from unetplus_edge.errors import EngineError, InputError, OutputError
from unetplus_runtime.batch import segment_files
from unetplus_runtime.plan import Plan, make_plan
from unetplus_runtime.run_record import RECORD, continued
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
    assert len(plan.frames) == 5
    assert [frame.id for frame in plan.frames] == ["a", "c", "d_page1", "d_page2", "d_page3"]
    (refusal,) = plan.refused
    assert "b.png is no PNG file" in refusal
    assert not (tmp_path / "out").exists()


def test_a_damaged_file_does_not_stop_the_others(images: Path, tmp_path: Path, segmenter: Segmenter) -> None:
    ticks: list[int] = []
    plan = make_plan([images], tmp_path / "out")
    outcome = segment_files(plan, segmenter, done=lambda: ticks.append(1))
    kinds = ("labels.tif", "nuclei.csv", "overlay.png")
    assert names(tmp_path / "out") == [*(f"{name}_{kind}" for name in "ac" for kind in kinds), "summary.csv", RECORD]
    assert [row.id for row in outcome.rows] == ["a", "c"]
    assert [(row["nuclei"], row["mean_area"], row["page"]) for row in summary(tmp_path / "out")] == [
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
    (images / "b.png").unlink()
    segment_files(make_plan([images], out), segmenter)
    (out / "a_labels.tif").write_text("old")
    with pytest.raises(OutputError, match="and 6 more results exist already"):
        make_plan([images], out)
    segment_files(make_plan([images], out, overwrite=True), segmenter)
    assert tifffile.imread(out / "a_labels.tif").max() == 1


def test_results_of_other_images_are_left_alone(images: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "z_labels.tif").write_text("of another run")
    assert len(make_plan([images], tmp_path / "out").frames) == 2


def test_results_are_never_taken_for_images(images: Path, segmenter: Segmenter) -> None:
    out = images / "out"
    segment_files(make_plan([images], out), segmenter)
    assert len(make_plan([images], out, overwrite=True).frames) == 2
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
    assert names(tmp_path / "out") == [
        "a_labels.tif",
        "a_nuclei.csv",
        "a_overlay.png",
        "summary.csv",
        RECORD,
    ]
    assert [row["id"] for row in summary(tmp_path / "out")] == ["a"]


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


def test_a_name_that_is_too_long_for_its_results_is_refused_before_work(tmp_path: Path) -> None:
    for length in (230, 240):
        tifffile.imwrite(tmp_path / ("x" * length + ".tif"), np.zeros((64, 64), np.uint8))
    plan = make_plan([tmp_path], tmp_path / "out")
    assert [len(frame.id) for frame in plan.frames] == [230]
    assert "has a name that is too long for those of its results; rename it" in plan.refused[0]


def test_a_folder_that_cannot_be_written_is_an_error(images: Path, tmp_path: Path, segmenter: Segmenter) -> None:
    (tmp_path / "out").write_text("in the way")
    with pytest.raises(OutputError, match="cannot be written"):
        segment_files(make_plan([images], tmp_path / "out"), segmenter)


def broken_off(plan: Plan, segmenter: Segmenter, after: int) -> None:
    """Runs a plan until some frames are done."""
    left = iter(range(after - 1))

    def stop() -> None:
        if next(left, None) is None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        segment_files(plan, segmenter, done=stop)


def content(folder: Path) -> dict[str, Any]:
    """Every file of a folder; of the summary what does not differ from run to run."""
    files: dict[str, Any] = {name: (folder / name).read_bytes() for name in names(folder) if name != "summary.csv"}
    return files | {"summary.csv": [{**row, "seconds": ""} for row in summary(folder)]}


@pytest.fixture
def stack(tmp_path: Path) -> Path:
    """A folder with one page, three pages, one page."""
    folder = tmp_path / "stack"
    folder.mkdir()
    for name, pages in (("a", 1), ("b", 3), ("c", 1)):
        pixels = np.random.default_rng(pages).integers(0, 255, (pages, 64, 64)).astype(np.uint8)
        tifffile.imwrite(folder / f"{name}.tif", pixels, photometric="minisblack")
    return folder


@pytest.fixture
def whole(stack: Path, tmp_path: Path, segmenter: Segmenter) -> dict[str, Any]:
    """What an unbroken run over it leaves."""
    segment_files(make_plan([stack], tmp_path / "whole"), segmenter)
    return content(tmp_path / "whole")


@pytest.mark.parametrize("after", [1, 2, 3, 4, 5])
def test_a_run_that_was_broken_off_goes_on_where_it_stopped(
    stack: Path, tmp_path: Path, segmenter: Segmenter, whole: dict[str, Any], after: int
) -> None:
    out = tmp_path / "out"
    broken_off(make_plan([stack], out), segmenter, after)
    before = {path: path.stat().st_mtime_ns for path in out.glob("*_*")}
    assert len(before) == 3 * after
    ticks: list[int] = []
    outcome = segment_files(make_plan([stack], out), segmenter, done=lambda: ticks.append(1))
    assert (outcome.kept, len(outcome.rows), len(ticks)) == (after, 5, 5)
    assert content(out) == whole
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_a_record_that_was_cut_anywhere_costs_no_more_than_work(
    stack: Path, tmp_path: Path, segmenter: Segmenter, whole: dict[str, Any]
) -> None:
    broken_off(make_plan([stack], tmp_path / "first"), segmenter, 3)
    record = (tmp_path / "first" / RECORD).read_bytes()
    begun = len(b"".join(record.splitlines(keepends=True)[:2]))
    for length in (begun, begun + 40, len(record) // 2, len(record) - 1, len(record)):
        out = tmp_path / str(length)
        shutil.copytree(tmp_path / "first", out)
        (out / RECORD).write_bytes(record[:length])
        segment_files(make_plan([stack], out), segmenter)
        assert content(out) == whole


def test_a_result_that_is_gone_is_made_again(
    stack: Path, tmp_path: Path, segmenter: Segmenter, whole: dict[str, Any]
) -> None:
    out = tmp_path / "out"
    broken_off(make_plan([stack], out), segmenter, 3)
    (out / "b_page1_overlay.png").unlink()
    assert segment_files(make_plan([stack], out), segmenter).kept == 2
    assert content(out) == whole


def test_a_half_file_of_a_kill_is_no_obstacle(
    stack: Path, tmp_path: Path, segmenter: Segmenter, whole: dict[str, Any]
) -> None:
    out = tmp_path / "out"
    broken_off(make_plan([stack], out), segmenter, 1)
    (out / "b_page1_labels.tif").write_bytes(b"done, but not yet in the record")
    (out / ".unfinished-b_page1_overlay.png").write_bytes(b"half")
    segment_files(make_plan([stack], out), segmenter)
    assert content(out) == whole


def test_a_finished_run_is_not_repeated(stack: Path, tmp_path: Path, segmenter: Segmenter) -> None:
    segment_files(make_plan([stack], tmp_path / "out"), segmenter)
    with pytest.raises(OutputError, match="exist already"):
        make_plan([stack], tmp_path / "out")


def test_images_that_are_refused_are_tried_again(images: Path, tmp_path: Path, segmenter: Segmenter) -> None:
    out = tmp_path / "out"
    assert len(segment_files(make_plan([images], out), segmenter).refused) == 1
    again = segment_files(make_plan([images], out), segmenter)
    assert (again.kept, len(again.refused)) == (2, 1)
    (images / "b.png").write_bytes(cv2.imencode(".png", np.zeros((64, 64), np.uint8))[1].tobytes())
    last = segment_files(make_plan([images], out), segmenter)
    assert (last.kept, last.refused) == (2, [])
    assert [row["id"] for row in summary(out)] == ["a", "b", "c"]
    assert RECORD not in names(out)


def test_images_that_were_added_are_done_too(stack: Path, tmp_path: Path, segmenter: Segmenter) -> None:
    broken_off(make_plan([stack], tmp_path / "out"), segmenter, 2)
    tifffile.imwrite(stack / "d.tif", np.zeros((64, 64), np.uint8))
    outcome = segment_files(make_plan([stack], tmp_path / "out"), segmenter)
    assert (outcome.kept, outcome.rows[-1].id) == (2, "d")


def test_results_that_the_run_has_not_begun_are_kept(stack: Path, tmp_path: Path, segmenter: Segmenter) -> None:
    broken_off(make_plan([stack], tmp_path / "out"), segmenter, 2)
    tifffile.imwrite(stack / "d.tif", np.zeros((64, 64), np.uint8))
    (tmp_path / "out" / "d_labels.tif").write_text("precious")
    with pytest.raises(OutputError, match=r"d_labels\.tif exists already"):
        make_plan([stack], tmp_path / "out")


def test_other_images_of_the_same_names_are_refused(stack: Path, tmp_path: Path, segmenter: Segmenter) -> None:
    broken_off(make_plan([stack], tmp_path / "out"), segmenter, 2)
    shutil.copytree(stack, tmp_path / "other")
    for inputs in ([tmp_path / "other"], [stack / "c.tif"]):
        with pytest.raises(OutputError, match=r"holds an unfinished run over .*, which is not among the images"):
            make_plan(inputs, tmp_path / "out")


def test_an_image_that_has_changed_is_refused(stack: Path, tmp_path: Path, segmenter: Segmenter) -> None:
    broken_off(make_plan([stack], tmp_path / "out"), segmenter, 1)
    os.utime(stack / "a.tif", ns=(1, 1))
    with pytest.raises(OutputError, match=r"a\.tif, which is not among the images, or has changed since"):
        make_plan([stack], tmp_path / "out")


def test_another_model_or_option_is_refused(
    stack: Path, tmp_path: Path, segmenter: Segmenter, make_bundle: Any, map_engine: Any
) -> None:
    out = tmp_path / "out"
    broken_off(make_plan([stack], out), segmenter, 1)
    with pytest.raises(OutputError, match=r"another --pixel-size \(None, now 0\.5\); finish it as it was begun"):
        segment_files(make_plan([stack], out), segmenter, pixel_size=0.5)
    with pytest.raises(OutputError, match=r"another --channel \(None, now 1\)"):
        segment_files(make_plan([stack], out, channel="1"), segmenter)
    (tmp_path / "other.keras").write_bytes(b"another network")
    other = Segmenter(make_bundle(tmp_path / "other.keras"), map_engine(np.zeros((1, 64, 64, 1), np.float32)))
    with pytest.raises(OutputError, match="another model"):
        segment_files(make_plan([stack], out), other)
    assert segment_files(make_plan([stack], out, overwrite=True), other).kept == 0
    assert {row["nuclei"] for row in summary(out)} == {"0"}


def test_a_replacing_run_goes_on_as_well(
    stack: Path, tmp_path: Path, segmenter: Segmenter, whole: dict[str, Any]
) -> None:
    out = tmp_path / "out"
    segment_files(make_plan([stack], out), segmenter)
    (out / "c_labels.tif").write_text("old")
    broken_off(make_plan([stack], out, overwrite=True), segmenter, 2)
    assert segment_files(make_plan([stack], out), segmenter).kept == 2
    assert content(out) == whole


def test_two_runs_do_not_write_to_one_folder(stack: Path, tmp_path: Path, segmenter: Segmenter) -> None:
    out = tmp_path / "out"
    first, second = make_plan([stack], out), make_plan([stack], out)
    with continued(out, first.before, {}, ["a"]), pytest.raises(OutputError, match="another run is writing to"):
        segment_files(second, segmenter)
    with pytest.raises(OutputError, match="another run has just written to"):
        segment_files(second, segmenter)
    assert names(out) == [RECORD]


def test_the_size_of_a_pixel_comes_from_the_file_or_the_caller(tmp_path: Path, segmenter: Segmenter) -> None:
    image = np.zeros((64, 64), np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", image, imagej=True, resolution=(2, 2), metadata={"unit": "um"})
    tifffile.imwrite(tmp_path / "b.tif", image, imagej=True, resolution=(2, 4), metadata={"unit": "um"})
    tifffile.imwrite(tmp_path / "c.tif", image)
    images = [tmp_path / f"{name}.tif" for name in "abc"]
    segment_files(make_plan(images, tmp_path / "out"), segmenter)
    assert [(row["pixel_size"], row["pixel_size_from"]) for row in summary(tmp_path / "out")] == [
        ("0.5", "ImageJ"),
        ("", "ImageJ: not square, 0.5 x 0.25 um"),
        ("", ""),
    ]
    for name, area in (("a", "25"), ("b", None), ("c", None)):
        with (tmp_path / "out" / f"{name}_nuclei.csv").open(newline="") as file:
            (row,) = csv.DictReader(file)
        assert row.get("area_um2") == area
    segment_files(make_plan(images, tmp_path / "told"), segmenter, pixel_size=2.0)
    assert {(row["pixel_size"], row["pixel_size_from"]) for row in summary(tmp_path / "told")} == {
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
