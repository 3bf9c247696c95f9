from __future__ import annotations

import numpy as np

from unetplus_bench.frame_path.steady import Mosaic
from unetplus_bench.grids import best_of, near_seams


def test_a_part_of_a_mosaic_is_that_of_the_tiled_frame() -> None:
    tile = np.arange(12, dtype=np.uint8).reshape(3, 4)
    frame = np.tile(tile, (6, 5))[:17, :17]
    part = Mosaic(tile, 17)[2:11, 5:17]
    np.testing.assert_array_equal(part, frame[2:11, 5:17])


def test_pixels_near_seams_are_those_beside_the_borders_of_patches() -> None:
    near = near_seams((300, 64), 100)
    assert near[84:116].all()
    assert near[184:216].all()
    assert not near[:84].any()
    assert not near[116:184].any()
    assert not near[216:].any()


def test_the_best_grid_is_the_most_accurate_that_takes_no_longer() -> None:
    times = {"article": [1.0, 2.0, 4.0], "spread": [1.02, 2.02, 4.1], "halo": [1.5, 3.0, 6.0]}
    scores = [{name: {"kaggle_score": score} for name, score in (("article", 0.5), ("spread", 0.6), ("halo", 0.7))}]
    assert best_of(times, scores) == "spread"
