from __future__ import annotations

import numpy as np
import pytest

from unetplus_edge.evaluation import tiled


@pytest.mark.parametrize("channels", [(), (3,)])
def test_pictures_stand_in_rows_with_white_between_and_after_them(channels: tuple[int, ...]) -> None:
    pictures = [np.full((20, 10, *channels), value, np.uint8) for value in (1, 2, 3)]
    sheet = tiled(pictures, columns=2, side=5, gap=1)
    assert sheet.shape == (13, 13, *channels)
    for value, (top, left) in zip((1, 2, 3), ((1, 1), (1, 7), (7, 1)), strict=True):
        assert (sheet[top : top + 5, left : left + 5] == value).all()
        sheet[top : top + 5, left : left + 5] = 255
    assert (sheet == 255).all()
