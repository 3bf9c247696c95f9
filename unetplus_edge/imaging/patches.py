"""Patches: how a frame is cut for a network, and how its answers become a frame again."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from unetplus_edge.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

PATCH_SIDE = 256
"""Side of a patch in pixels, as in Long 2020."""


def patch_origins(length: int, side: int = PATCH_SIDE) -> list[int]:
    """Return where patches begin along one axis so that they cover it.

    Patches lie on a grid from 0; where `length` is no multiple of `side`, one more patch ends
    exactly at the far edge (Long 2020, "Training and validation set generation", Fig. 4c).

    >>> patch_origins(600)
    [0, 256, 344]
    >>> patch_origins(100)
    [0]
    """
    if length <= side:
        return [0]
    origins = list(range(0, length - side + 1, side))
    if origins[-1] != length - side:
        origins.append(length - side)
    return origins


@dataclass(frozen=True)
class PatchGrid:
    """The patches of a frame of one size.

    Parameters
    ----------
    height, width
        Size of the frame in pixels.
    side
        Side of a patch in pixels.

    Raises
    ------
    InputError
        If one of them is less than 1.
    """

    height: int
    width: int
    side: int = PATCH_SIDE

    def __post_init__(self) -> None:
        if min(self.height, self.width, self.side) < 1:
            raise InputError(
                f"there are no {self.side} x {self.side} patches of a {self.height} x {self.width} frame; "
                "give sizes of at least 1 pixel"
            )

    @cached_property
    def origins(self) -> list[tuple[int, int]]:
        """Top left corner (row, column) of each patch, row by row."""
        return [
            (top, left)
            for top in patch_origins(self.height, self.side)
            for left in patch_origins(self.width, self.side)
        ]

    def cut(self, frame: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the patches of a frame; a side below the patch's is continued by zeros.

        Parameters
        ----------
        frame
            float32, shape (height, width).

        Returns
        -------
        numpy.ndarray
            float32, shape (n, side, side, 1), in the order of `origins`.
        """
        self._check(frame.shape, (self.height, self.width))
        patches = np.zeros((len(self.origins), self.side, self.side, 1), np.float32)
        for patch, (top, left) in zip(patches, self.origins, strict=True):
            part = frame[top : top + self.side, left : left + self.side]
            patch[: part.shape[0], : part.shape[1], 0] = part
        return patches

    def stitch(self, patches: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the frame that patches cover; where they overlap, their maximum.

        Parameters
        ----------
        patches
            float32, 0 or more, shape (n, side, side, 1), in the order of `origins`.

        Returns
        -------
        numpy.ndarray
            float32, shape (height, width).
        """
        self._check(patches.shape, (len(self.origins), self.side, self.side, 1))
        frame = np.zeros((self.height, self.width), np.float32)
        for patch, (top, left) in zip(patches, self.origins, strict=True):
            part = frame[top : top + self.side, left : left + self.side]
            np.maximum(part, patch[: part.shape[0], : part.shape[1], 0], out=part)
        return frame

    def _check(self, shape: tuple[int, ...], expected: tuple[int, ...]) -> None:
        if shape != expected:
            raise InputError(
                f"a grid for {self.height} x {self.width} frames takes shape {expected}, not {shape}: "
                "make a grid of the frame's own size"
            )
