"""The pyramid of a large label image."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from unetplus_runtime.large.work import WorkFolder


def fill_pyramid(levels: list[Any], work: WorkFolder) -> None:
    """Fill each level with every second pixel of every second row of the one before.

    A chunk at a time, so that four chunks are in memory.

    Parameters
    ----------
    levels
        `zarr.Array`s, the first of which is filled.
    work
        Knows which others are filled already, and is told.
    """
    for number, (above, level) in enumerate(pairwise(levels), start=1):
        if work.has_level(number):
            continue
        height, width = level.shape
        down, across = level.chunks
        for top in range(0, height, down):
            for left in range(0, width, across):
                part = above[2 * top : 2 * (top + down), 2 * left : 2 * (left + across)][::2, ::2]
                if part.any():
                    level[top : top + down, left : left + across] = part
        work.add_level(number)
