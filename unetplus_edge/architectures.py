"""The networks by name: which one, how wide, how deep. No framework is imported here."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from unetplus_edge.errors import InputError


class _Architecture(BaseModel):
    """What all three networks have in common.

    Attributes
    ----------
    base_filters
        Filters of the first level, B in the article (Long 2020); level i has B * 2**(i - 1).
    depth
        Number of levels, N in the article. Sides of patches are multiples of 2**(depth - 1).
    l2
        Factor of the L2 penalty on convolution kernels, lambda in the article.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    base_filters: Annotated[int, Field(ge=1)] = 16
    depth: Annotated[int, Field(ge=2, le=8)] = 5
    l2: Annotated[float, Field(ge=0)] = 0.0

    def filters(self, level: int) -> int:
        """Return the number of filters of a level, counted from 1."""
        return int(self.base_filters * 2 ** (level - 1))

    @property
    def side_multiple(self) -> int:
        """The number that both sides of an input must be multiples of."""
        return int(2 ** (self.depth - 1))


class UNet(_Architecture):
    """U-Net (Ronneberger 2015) with batch norm: the article's baseline."""

    kind: Literal["unet"] = "unet"

    @property
    def name(self) -> str:
        """The name of the network, as commands and file names spell it."""
        return f"unet_b{self.base_filters}"


class UNetPlusPlus(_Architecture):
    """U-Net++ (Zhou 2018), output of the deepest path, no deep supervision.

    Attributes
    ----------
    variant
        "published": no batch norm, ELU, dropout 0.5 after each convolution, he_normal, as in the
        code that its authors published; "controlled": batch norm and ReLU, no dropout, as the
        other networks here.
    """

    kind: Literal["unet_plus_plus"] = "unet_plus_plus"
    variant: Literal["published", "controlled"] = "published"

    @property
    def name(self) -> str:
        """The name of the network, as commands and file names spell it."""
        suffix = "" if self.variant == "published" else "_controlled"
        return f"unet_plus_plus{suffix}_b{self.base_filters}"


class UNetPlus(_Architecture):
    """U-Net+ (Long 2020), the light network that this project exists for.

    Attributes
    ----------
    upsampling
        "transposed": 3x3 transposed convolutions (T.C. in the article); "nearest": repeated
        pixels (U.S. in the article).
    """

    kind: Literal["unet_plus"] = "unet_plus"
    upsampling: Literal["transposed", "nearest"] = "transposed"

    @property
    def name(self) -> str:
        """The name of the network, as commands and file names spell it."""
        suffix = {"transposed": "tc", "nearest": "us"}[self.upsampling]
        return f"unet_plus_{suffix}_b{self.base_filters}"


Architecture = Annotated[UNet | UNetPlusPlus | UNetPlus, Field(discriminator="kind")]

_FAMILIES: dict[str, UNet | UNetPlusPlus | UNetPlus] = {
    "unet": UNet(),
    "unet_plus_plus": UNetPlusPlus(),
    "unet_plus_plus_controlled": UNetPlusPlus(variant="controlled"),
    "unet_plus_tc": UNetPlus(),
    "unet_plus_us": UNetPlus(upsampling="nearest"),
}


def architecture_from_name(name: str) -> UNet | UNetPlusPlus | UNetPlus:
    """Return the architecture that a name such as `unet_plus_tc_b8` stands for.

    Raises
    ------
    InputError
        If no network has this name.

    Examples
    --------
    >>> architecture_from_name("unet_plus_us_b16").upsampling
    'nearest'
    """
    match = re.fullmatch(r"(\w+)_b([1-9]\d*)", name)
    if match is None or match[1] not in _FAMILIES:
        families = ", ".join(f"{family}_bN" for family in _FAMILIES)
        raise InputError(f"{name} is no network; use one of {families}, N being the filters of the first level")
    return _FAMILIES[match[1]].model_copy(update={"base_filters": int(match[2])})
