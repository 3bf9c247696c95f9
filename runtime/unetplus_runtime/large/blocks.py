"""How a large frame is cut into blocks."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from unetplus_edge.errors import InputError


@dataclass(frozen=True)
class Block:
    """A part of a frame.

    Attributes
    ----------
    row, column
        Its place among the blocks, from 0.
    rows, columns
        Its pixels.
    """

    row: int
    column: int
    rows: slice
    columns: slice

    @property
    def name(self) -> str:
        """What its files are called."""
        return f"{self.row}_{self.column}"

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.rows.stop - self.rows.start, self.columns.stop - self.columns.start


@dataclass(frozen=True)
class BlockGrid:
    """The blocks of a frame of one size, side by side; those at the far edges may be smaller.

    Parameters
    ----------
    height, width
        Size of the frame in pixels.
    side
        Side of a block in pixels.

    Raises
    ------
    InputError
        If one of them is less than 1.
    """

    height: int
    width: int
    side: int

    def __post_init__(self) -> None:
        if min(self.height, self.width, self.side) < 1:
            raise InputError(
                f"there are no {self.side} x {self.side} blocks of a {self.height} x {self.width} frame; "
                "give sizes of at least 1 pixel"
            )

    @property
    def down(self) -> int:
        """Number of rows of blocks."""
        return -(-self.height // self.side)

    @property
    def across(self) -> int:
        """Number of blocks in a row."""
        return -(-self.width // self.side)

    @cached_property
    def blocks(self) -> list[Block]:
        """All blocks, row by row."""
        return [self.at(row, column) for row in range(self.down) for column in range(self.across)]

    def at(self, row: int, column: int) -> Block:
        """Return the block at a place."""
        top, left = row * self.side, column * self.side
        return Block(
            row,
            column,
            slice(top, min(top + self.side, self.height)),
            slice(left, min(left + self.side, self.width)),
        )

    def touching(self, rows: slice, columns: slice) -> list[Block]:
        """Return the blocks that hold pixels of a part of the frame."""
        return [
            self.at(row, column)
            for row in range(rows.start // self.side, -(-rows.stop // self.side))
            for column in range(columns.start // self.side, -(-columns.stop // self.side))
        ]

    def around(self, rows: slice, columns: slice, margin: int) -> tuple[slice, slice]:
        """Return a part of the frame with as many pixels around it as the frame has, up to a margin."""
        return (
            slice(max(rows.start - margin, 0), min(rows.stop + margin, self.height)),
            slice(max(columns.start - margin, 0), min(columns.stop + margin, self.width)),
        )


def inside(part: slice, whole: slice) -> slice:
    """Return where a part lies in a whole that begins elsewhere than at 0.

    >>> inside(slice(12, 15), slice(10, 20))
    slice(2, 5, None)
    """
    return slice(part.start - whole.start, part.stop - whole.start)
