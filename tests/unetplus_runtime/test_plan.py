from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile

from unetplus_edge.errors import InputError, OutputError
from unetplus_runtime.plan import make_plan

if TYPE_CHECKING:
    from pathlib import Path


def test_a_plan_lists_frames_and_what_cannot_be_opened(images: Path, tmp_path: Path) -> None:
    tifffile.imwrite(images / "d.tif", np.zeros((3, 64, 64), np.uint16), photometric="minisblack")
    plan = make_plan([images], tmp_path / "out")
    assert len(plan.frames) == 5
    assert [frame.id for frame in plan.frames] == ["a", "c", "d_page1", "d_page2", "d_page3"]
    (refusal,) = plan.refused
    assert "b.png is no PNG file" in refusal
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("existing", ["a_labels.tif", "c_overlay.png", "a_nuclei.csv", "summary.csv"])
def test_results_that_exist_are_kept(images: Path, tmp_path: Path, existing: str) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / existing).write_text("precious")
    with pytest.raises(OutputError, match=f"{existing} exists already; replace with --overwrite"):
        make_plan([images], out)
    assert [path.name for path in out.iterdir()] == [existing]


def test_results_of_other_images_are_left_alone(images: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "z_labels.tif").write_text("of another run")
    assert len(make_plan([images], tmp_path / "out").frames) == 2


def test_pages_and_files_of_one_name_are_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((2, 64, 64), np.uint8), photometric="minisblack")
    tifffile.imwrite(tmp_path / "a_page1.tif", np.zeros((64, 64), np.uint8))
    with pytest.raises(InputError, match="2 images would all be called a_page1"):
        make_plan([tmp_path], tmp_path / "out")


def test_a_name_that_is_too_long_for_its_results_is_refused_before_work(tmp_path: Path) -> None:
    for length in (230, 240):
        tifffile.imwrite(tmp_path / ("x" * length + ".tif"), np.zeros((64, 64), np.uint8))
    plan = make_plan([tmp_path], tmp_path / "out")
    assert [len(frame.id) for frame in plan.frames] == [230]
    assert "has a name that is too long for those of its results; rename it" in plan.refused[0]
