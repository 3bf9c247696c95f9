"""How a frame is cut for the engine: the choices, and which of them is taken where none is named."""

from __future__ import annotations

from typing import Literal, get_args

from unetplus_edge.errors import InputError

GridName = Literal["article", "spread", "halo", "whole"]
"""How a frame is cut.

"article": patches side by side; those at the far edges overlap others, and the maximum counts (Long
2020). "spread": as many patches, spread evenly, and of what they share each has its half. "halo": the
same, with as many patches as it takes that nothing counts that is nearer than `HALO` to the edge of a
patch. "whole": not at all, for engines that take frames of any size, in the memory that it takes.
"""

GRIDS: tuple[GridName, ...] = get_args(GridName)

HALO = 16
"""Pixels left out at the edges of each answer, with the grid "halo"."""

DEFAULT_GRID: GridName = "spread"
"""For running. On a frame whose sides are multiples of the patch's it is the article's grid.

`benchmarks/unetplus_bench/grids.py` measures scores and times of all.
"""


_HALOS: dict[GridName, int | None] = {"article": None, "spread": 0, "halo": HALO}

PATCH_GRIDS: tuple[GridName, ...] = tuple(_HALOS)
"""Those that have patches, which every engine takes."""


def halo_of(grid: GridName) -> int | None:
    """Return the halo of a grid's patches, as `unetplus_edge.imaging.PatchGrid` takes it.

    Raises
    ------
    InputError
        If the grid has no patches, or is none.
    """
    require_grid(grid)
    if grid not in _HALOS:
        raise InputError(
            f"the grid {grid} has no patches, and the frame is cut into blocks; ask for one of {', '.join(PATCH_GRIDS)}"
        )
    return _HALOS[grid]


def require_grid(grid: GridName) -> None:
    """Refuse what is no grid.

    Raises
    ------
    InputError
        If it is none.
    """
    if grid not in GRIDS:
        raise InputError(f"{grid} is no way to cut frames; ask for one of {', '.join(GRIDS)}")
