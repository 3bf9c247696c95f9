"""The constants of preprocessing, as a recipe records them."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from unetplus_edge.imaging.tv import Scheme


def _power_of_two(value: int) -> int:
    if value & (value - 1):
        raise ValueError("must be a power of two, so that equalising a block is exact")
    return value


class Preprocessing(BaseModel):
    """The constants of preprocessing: CLAHE, then total-variation denoising, on a [0, 1] scale.

    Attributes
    ----------
    clahe_tile
        Side of a CLAHE tile in pixels, a power of two.
    clahe_clip
        Clip limit of CLAHE, in units of the mean over the 256 bins of a tile; 256 is no limit.
    tv_weight
        Strength of total-variation denoising of an image in [0, 1]; 0 leaves it out.
    tv_iterations
        Iterations of the denoising; also the halo in pixels that makes a block exact.
    tv_scheme
        What an iteration is; see `unetplus_edge.imaging.tv.Scheme`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    clahe_tile: Annotated[int, Field(ge=8, le=1024), AfterValidator(_power_of_two)] = 64
    clahe_clip: Annotated[float, Field(gt=0, le=256)] = 2.0
    tv_weight: Annotated[float, Field(ge=0)] = 0.05
    tv_iterations: Annotated[int, Field(ge=0)] = 30
    tv_scheme: Scheme = "chambolle"

    @property
    def halo(self) -> int:
        """Pixels around a block that its denoised values depend on."""
        return self.tv_iterations if self.tv_weight else 0
