"""From a frame to its nuclei by all the cores there are: buffers, lanes of the engine, and streams of frames."""

from unetplus_runtime.pipeline.grids import DEFAULT_GRID, GRIDS, HALO, PATCH_GRIDS, GridName, halo_of, require_grid
from unetplus_runtime.pipeline.order import in_order
from unetplus_runtime.pipeline.pool import LanePool
from unetplus_runtime.pipeline.result import Result
from unetplus_runtime.pipeline.station import Station

__all__ = [
    "DEFAULT_GRID",
    "GRIDS",
    "HALO",
    "PATCH_GRIDS",
    "GridName",
    "LanePool",
    "Result",
    "Station",
    "halo_of",
    "in_order",
    "require_grid",
]
