"""A run that was broken off, and the one that goes on where it stopped."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
import tifffile

from unetplus_edge.errors import EngineError, OutputError
from unetplus_runtime.batch import segment_files
from unetplus_runtime.plan import Plan, make_plan
from unetplus_runtime.run_record import RECORD, continued
from unetplus_runtime.segmenter import Segmenter

if TYPE_CHECKING:
    from pathlib import Path


def broken_off(plan: Plan, segmenter: Segmenter, after: int) -> None:
    """Runs a plan until some frames are done."""
    left = iter(range(after - 1))

    def stop() -> None:
        if next(left, None) is None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        segment_files(plan, segmenter, done=stop)


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
def whole(stack: Path, tmp_path: Path, segmenter: Segmenter, results: Any) -> dict[str, Any]:
    """What an unbroken run over it leaves."""
    segment_files(make_plan([stack], tmp_path / "whole"), segmenter)
    content: dict[str, Any] = results.content(tmp_path / "whole")
    return content


@pytest.mark.parametrize("error", [KeyboardInterrupt, EngineError("the device is gone")])
def test_a_run_that_is_broken_off_leaves_complete_results_and_their_summary(
    images: Path, tmp_path: Path, segmenter: Segmenter, error: Any, results: Any
) -> None:
    def stop_after_one() -> None:
        raise error

    with pytest.raises((KeyboardInterrupt, EngineError)):
        segment_files(make_plan([images], tmp_path / "out"), segmenter, done=stop_after_one)
    assert results.names(tmp_path / "out") == [
        "a_labels.tif",
        "a_nuclei.csv",
        "a_overlay.png",
        "summary.csv",
        RECORD,
    ]
    assert [row["id"] for row in results.summary(tmp_path / "out")] == ["a"]


@pytest.mark.parametrize("after", [1, 2, 3, 4, 5])
def test_a_run_that_was_broken_off_goes_on_where_it_stopped(
    stack: Path, tmp_path: Path, segmenter: Segmenter, whole: dict[str, Any], after: int, results: Any
) -> None:
    out = tmp_path / "out"
    broken_off(make_plan([stack], out), segmenter, after)
    before = {path: path.stat().st_mtime_ns for path in out.glob("*_*")}
    assert len(before) == 3 * after
    ticks: list[int] = []
    outcome = segment_files(make_plan([stack], out), segmenter, done=lambda: ticks.append(1))
    assert (outcome.kept, len(outcome.rows), len(ticks)) == (after, 5, 5)
    assert results.content(out) == whole
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_a_record_that_was_cut_anywhere_costs_no_more_than_work(
    stack: Path, tmp_path: Path, segmenter: Segmenter, whole: dict[str, Any], results: Any
) -> None:
    broken_off(make_plan([stack], tmp_path / "first"), segmenter, 3)
    record = (tmp_path / "first" / RECORD).read_bytes()
    begun = len(b"".join(record.splitlines(keepends=True)[:2]))
    for length in (begun, begun + 40, len(record) // 2, len(record) - 1, len(record)):
        out = tmp_path / str(length)
        shutil.copytree(tmp_path / "first", out)
        (out / RECORD).write_bytes(record[:length])
        segment_files(make_plan([stack], out), segmenter)
        assert results.content(out) == whole


def test_a_result_that_is_gone_is_made_again(
    stack: Path, tmp_path: Path, segmenter: Segmenter, whole: dict[str, Any], results: Any
) -> None:
    out = tmp_path / "out"
    broken_off(make_plan([stack], out), segmenter, 3)
    (out / "b_page1_overlay.png").unlink()
    assert segment_files(make_plan([stack], out), segmenter).kept == 2
    assert results.content(out) == whole


def test_a_half_file_of_a_kill_is_no_obstacle(
    stack: Path, tmp_path: Path, segmenter: Segmenter, whole: dict[str, Any], results: Any
) -> None:
    out = tmp_path / "out"
    broken_off(make_plan([stack], out), segmenter, 1)
    (out / "b_page1_labels.tif").write_bytes(b"done, but not yet in the record")
    (out / ".unfinished-b_page1_overlay.png").write_bytes(b"half")
    segment_files(make_plan([stack], out), segmenter)
    assert results.content(out) == whole


def test_a_finished_run_is_not_repeated(stack: Path, tmp_path: Path, segmenter: Segmenter) -> None:
    segment_files(make_plan([stack], tmp_path / "out"), segmenter)
    with pytest.raises(OutputError, match="exist already"):
        make_plan([stack], tmp_path / "out")


def test_images_that_are_refused_are_tried_again(
    images: Path, tmp_path: Path, segmenter: Segmenter, results: Any
) -> None:
    out = tmp_path / "out"
    assert len(segment_files(make_plan([images], out), segmenter).refused) == 1
    again = segment_files(make_plan([images], out), segmenter)
    assert (again.kept, len(again.refused)) == (2, 1)
    (images / "b.png").write_bytes(cv2.imencode(".png", np.zeros((64, 64), np.uint8))[1].tobytes())
    last = segment_files(make_plan([images], out), segmenter)
    assert (last.kept, last.refused) == (2, [])
    assert [row["id"] for row in results.summary(out)] == ["a", "b", "c"]
    assert RECORD not in results.names(out)


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
    stack: Path, tmp_path: Path, segmenter: Segmenter, make_bundle: Any, map_engine: Any, results: Any
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
    assert {row["nuclei"] for row in results.summary(out)} == {"0"}


def test_a_replacing_run_goes_on_as_well(
    stack: Path, tmp_path: Path, segmenter: Segmenter, whole: dict[str, Any], results: Any
) -> None:
    out = tmp_path / "out"
    segment_files(make_plan([stack], out), segmenter)
    (out / "c_labels.tif").write_text("old")
    broken_off(make_plan([stack], out, overwrite=True), segmenter, 2)
    assert segment_files(make_plan([stack], out), segmenter).kept == 2
    assert results.content(out) == whole


def test_two_runs_do_not_write_to_one_folder(stack: Path, tmp_path: Path, segmenter: Segmenter, results: Any) -> None:
    out = tmp_path / "out"
    first, second = make_plan([stack], out), make_plan([stack], out)
    with continued(out, first.before, {}, ["a"]), pytest.raises(OutputError, match="another run is writing to"):
        segment_files(second, segmenter)
    with pytest.raises(OutputError, match="another run has just written to"):
        segment_files(second, segmenter)
    assert results.names(out) == [RECORD]
