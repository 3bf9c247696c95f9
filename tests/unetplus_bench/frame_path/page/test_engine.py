from __future__ import annotations

from typing import Any

from unetplus_bench.frame_path.page.engine import grids, lanes
from unetplus_runtime.pipeline import DEFAULT_GRID, GRIDS


def test_lanes_show_both_ways_with_the_clocks_and_the_cores_ratio(made_results: Any) -> None:
    text = lanes(made_results())
    assert "| openvino model\\_int8.xml | 200 | 150 | 0.75 | 0.60 | yes |" in text
    assert "16 patches at a time, medians of 20 rounds." in text


def test_answers_that_differ_are_told(made_results: Any) -> None:
    text = lanes(made_results(lanes={"answers_are_the_same": {"openvino model_int8.xml": False}}))
    assert "| 0.60 | no |" in text


def test_grids_show_scores_seams_and_times(made_results: Any) -> None:
    text = grids(made_results())
    assert "| 60 validation images that are larger than a patch | Kaggle score |" in text
    assert "| `halo` | 0.6000 | 0.7500 | 0.8000 | 1,234 |" in text
    assert "| 1024 x 1024 | 100 (16) | 102 (16) | 130 (25) | 90 (1) |" in text
    assert "| time to `article`, median over the sizes | 1.00 | 1.02 | 1.30 | 0.90 |" in text


def test_the_best_grid_is_told_with_and_without_the_one_that_few_engines_take(made_results: Any) -> None:
    text = grids(made_results())
    assert "`whole` has the highest mean Kaggle score" in text
    assert "of those with patches, which every engine takes, `spread`" in text


def test_the_default_grid_is_marked(made_results: Any) -> None:
    text = grids(made_results())
    marked = [grid for grid in GRIDS if f"`{grid}`, the default" in text]
    assert marked == [DEFAULT_GRID]
