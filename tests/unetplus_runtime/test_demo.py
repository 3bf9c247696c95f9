from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
from click.testing import CliRunner
from rich.console import Console

from unetplus_edge.datasets.specimen import Specimen, simulate
from unetplus_edge.evaluation import tiled
from unetplus_runtime import Segmenter
from unetplus_runtime.command import main
from unetplus_runtime.demo import count_table, demo_frames, save_pictures, stage_table

if TYPE_CHECKING:
    from pathlib import Path

    from unetplus_edge.bundle import Bundle


def test_the_demo_counts_what_was_simulated_and_what_was_found(bundle: Bundle) -> None:
    with Segmenter(bundle) as segmenter:
        frames = list(demo_frames(segmenter, frames=2, side=96, seed=7))
        for frame in frames:
            simulated = simulate(Specimen(height=96, width=96, seed=frame.seed))
            assert frame.true == len(set(simulated.labels.ravel().tolist()) - {0})
            assert frame.found == segmenter.segment(simulated.image).labels.max()
    assert [frame.seed for frame in frames] == [7, 8]


def test_pictures_are_the_overlays_and_all_of_them_on_one_sheet(bundle: Bundle, tmp_path: Path) -> None:
    with Segmenter(bundle) as segmenter:
        frames = list(demo_frames(segmenter, frames=2, side=64, seed=0))
    sheet, *single = save_pictures(frames, tmp_path / "new")
    read = [cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB) for path in single]
    assert all(np.array_equal(picture, frame.overlay) for picture, frame in zip(read, frames, strict=True))
    assert np.array_equal(cv2.cvtColor(cv2.imread(str(sheet)), cv2.COLOR_BGR2RGB), tiled(read, columns=2, side=300))


def test_tables_show_totals_and_the_mean_of_each_stage(bundle: Bundle) -> None:
    with Segmenter(bundle) as segmenter:
        frames = list(demo_frames(segmenter, frames=2, side=64, seed=0))
    console = Console(width=120)
    with console.capture() as captured:
        console.print(count_table(frames, "counts"), stage_table(frames))
    text = captured.get()
    (total,) = [line.split("│") for line in text.splitlines() if "all" in line]
    assert [int(total[2]), int(total[3])] == [sum(f.true for f in frames), sum(f.found for f in frames)]
    assert f"{500 * (frames[0].timings['engine'] + frames[1].timings['engine']):.1f}" in text


def test_the_command_says_which_picture_to_open(bundle: Bundle, tmp_path: Path) -> None:
    arguments = ["demo", "--bundle", str(bundle.path), "--frames", "1", "--side", "64", "--out", str(tmp_path / "demo")]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    assert str(tmp_path / "demo" / "demo.png") in result.output.replace("\n", "")
    assert (tmp_path / "demo" / "seed0_overlay.png").is_file()
