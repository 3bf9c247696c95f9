from __future__ import annotations

from typing import Any

from unetplus_bench.frame_path.page.preprocessing import beside_scikit_image, distances, scores, times
from unetplus_edge.zoo import DEFAULT, find_bundle


def test_times_are_shown_by_scheme_depth_side_and_threads(made_results: Any) -> None:
    assert times(made_results()).splitlines() == [
        "| ms a patch, median | 256 x 256, 1 thread | 256 x 256, 2 threads "
        "| 4096 x 4096, 1 thread | 4096 x 4096, 2 threads |",
        "| --- | ---: | ---: | ---: | ---: |",
        "| chambolle 30, 8 bits | 4.00 | 2.00 | 4.00 | 2.00 |",
        "| chambolle 30, 16 bits | 4.05 | 2.05 | 4.05 | 2.05 |",
        "| primal\\_dual 12, 8 bits | 0.80 | 0.40 | 0.80 | 0.40 |",
        "| primal\\_dual 12, 16 bits | 0.85 | 0.45 | 0.85 | 0.45 |",
        "| chambolle 30, 8 bits, a frame on each thread | - | 1.90 | - | - |",
        "| primal\\_dual 12, 8 bits, a frame on each thread | - | 0.30 | - | - |",
    ]


def test_ratios_to_scikit_image_are_of_the_times_that_were_taken_in_turns_with_it(made_results: Any) -> None:
    text = beside_scikit_image(made_results())
    assert "| primal\\_dual 12 with CLAHE, 8 bits, 2 threads | 1.00 | 30.0 | 6.0 |" in text
    assert "| chambolle 30 with CLAHE, 8 bits, 1 thread | 4.00 | 7.5 | 1.5 |" in text
    assert "| OpenCV CLAHE alone, 16 bits | 5.00 | - | - |" in text


def test_distances_are_of_what_was_timed_and_of_the_fewest_iterations_that_are_enough(made_results: Any) -> None:
    lines = distances(made_results()).splitlines()
    assert "| scikit-image | 2.00 | 4.00 |" in lines
    assert "| chambolle 30 | 1.50 | 3.00 |" in lines
    assert "| chambolle 45 | 1.20 | 2.40 |" in lines
    assert "| primal\\_dual 16 | 1.40 | 2.80 |" in lines
    assert "| iterations of primal\\_dual that come as near as scikit-image | 16 | more than were tried |" in lines


def test_scores_stand_beside_those_of_the_model_as_it_was_trained(made_results: Any) -> None:
    text = scores(made_results())
    assert "| as trained | 0.600 | +0.000 | 0.750 | 0.800 |" in text
    assert "| primal\\_dual 12 | 0.598 | -0.002 | 0.750 | 0.800 |" in text


def test_scores_say_what_the_shipped_model_is_run_with(made_results: Any) -> None:
    shipped = find_bundle(DEFAULT).manifest.recipe.preprocessing
    assert f"with `{shipped.tv_scheme}` and {shipped.tv_iterations} iterations" in scores(made_results())
