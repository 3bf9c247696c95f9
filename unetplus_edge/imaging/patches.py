"""Patches: how a frame is cut for a network, and how its answers become a frame again."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

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


class PatchSpan(NamedTuple):
    """A patch along one axis.

    Attributes
    ----------
    origin
        Where it begins.
    first, end
        From where and to where its answer is taken.
    """

    origin: int
    first: int
    end: int


def patch_spans(length: int, side: int = PATCH_SIDE, halo: int | None = None) -> list[PatchSpan]:
    """Return the patches along one axis, and which part of the answer to each is taken.

    Without a halo they are those of `patch_origins`, and all of each is taken. With a halo there are
    as few as can leave that many pixels of every answer out at each end, the frame's own ends apart;
    they are spread evenly, and neighbours meet in the middle of what they share. A halo of 0 leaves
    out what can be left out with no more patches than there are without one.

    >>> [tuple(span) for span in patch_spans(600)]
    [(0, 0, 256), (256, 256, 512), (344, 344, 600)]
    >>> [tuple(span) for span in patch_spans(600, halo=0)]
    [(0, 0, 214), (172, 214, 386), (344, 386, 600)]
    >>> [tuple(span) for span in patch_spans(448, halo=32)]
    [(0, 0, 224), (192, 224, 448)]
    """
    if halo is None:
        return [PatchSpan(origin, origin, min(origin + side, length)) for origin in patch_origins(length, side)]
    if length <= side:
        return [PatchSpan(0, 0, length)]
    gaps = -(-(length - 2 * halo) // (side - 2 * halo)) - 1
    origins = [(length - side) * number // gaps for number in range(gaps + 1)]
    borders = [0, *((before + side + after) // 2 for before, after in pairwise(origins)), length]
    return [PatchSpan(origin, *part) for origin, part in zip(origins, pairwise(borders), strict=True)]


@dataclass(frozen=True)
class PatchGrid:
    """The patches of a frame of one size.

    Parameters
    ----------
    height, width
        Size of the frame in pixels.
    side
        Side of a patch in pixels.
    halo
        Least number of pixels that are left out at the edges of an answer, where another patch has
        them further inside; see `patch_spans`. None is the article's grid: the maximum of all that
        there is.

    Raises
    ------
    InputError
        If the frame or a patch has no pixels, or a halo leaves nothing of a patch.
    """

    height: int
    width: int
    side: int = PATCH_SIDE
    halo: int | None = None

    def __post_init__(self) -> None:
        if min(self.height, self.width, self.side) < 1:
            raise InputError(
                f"there are no {self.side} x {self.side} patches of a {self.height} x {self.width} frame; "
                "give sizes of at least 1 pixel"
            )
        if self.halo is not None and not 0 <= 2 * self.halo < self.side:
            raise InputError(
                f"a halo of {self.halo} pixels leaves nothing of a {self.side} x {self.side} patch; "
                f"give one of 0 to {(self.side - 1) // 2}"
            )

    @cached_property
    def spans(self) -> list[tuple[PatchSpan, PatchSpan]]:
        """Each patch along rows and along columns, row by row."""
        return [
            (down, across)
            for down in patch_spans(self.height, self.side, self.halo)
            for across in patch_spans(self.width, self.side, self.halo)
        ]

    @property
    def origins(self) -> list[tuple[int, int]]:
        """Top left corner (row, column) of each patch, row by row."""
        return [(down.origin, across.origin) for down, across in self.spans]

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
        patches = np.empty((len(self.spans), self.side, self.side, 1), np.float32)
        for number, patch in enumerate(patches):
            self.copy_patch(frame, number, patch)
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
        self._check(patches.shape, (len(self.spans), self.side, self.side, 1))
        frame = np.zeros((self.height, self.width), np.float32)
        for number, patch in enumerate(patches):
            self.add_answer(patch, number, frame)
        return frame

    def copy_patch(self, frame: NDArray[np.float32], number: int, patch: NDArray[np.float32]) -> None:
        """Write one patch of a frame, float32, into `patch`, shape (side, side, 1)."""
        down, across = self.spans[number]
        part = frame[down.origin : down.origin + self.side, across.origin : across.origin + self.side]
        if part.shape != (self.side, self.side):
            patch.fill(0)
        patch[: part.shape[0], : part.shape[1], 0] = part

    def add_answer(self, answer: NDArray[np.float32], number: int, frame: NDArray[np.float32]) -> None:
        """Take the answer to one patch, shape (side, side, 1), into a frame of zeros and of other answers."""
        down, across = self.spans[number]
        part = frame[down.first : down.end, across.first : across.end]
        taken = answer[down.first - down.origin :, across.first - across.origin :, 0]
        np.maximum(part, taken[: part.shape[0], : part.shape[1]], out=part)

    def _check(self, shape: tuple[int, ...], expected: tuple[int, ...]) -> None:
        if shape != expected:
            raise InputError(
                f"a grid for {self.height} x {self.width} frames takes shape {expected}, not {shape}: "
                "make a grid of the frame's own size"
            )
