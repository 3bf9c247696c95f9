"""Which models the article's tables have, and what they are called."""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from unetplus_edge.training.suite import article_suite

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

WIDTHS: Final = (16, 8)
"""Filters of the first level, in the order of the article's Tables 1 and 2."""

FAMILIES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "unet": "U-Net",
        "unet_plus_plus": "U-Net++",
        "unet_plus_tc": "U-Net+ T.C.",
        "unet_plus_us": "U-Net+ U.S.",
    }
)
"""Rows of a table, in the article's order: start of a name, and what the article calls it."""

ABLATIONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "unet_plus_plus_b16_no_l2": "U-Net++, B=16, λ = 0",
        "unet_plus_plus_b8_l2": "U-Net++, B=8, λ = 0.0001",
        "unet_plus_plus_controlled_b8": "U-Net++, B=8, with batch norm, ReLU, no dropout, no extra epochs",
    }
)
"""Trainings beside the tables."""

OTHER_L2: Final[Mapping[int, str]] = MappingProxyType({16: "unet_plus_plus_b16_no_l2", 8: "unet_plus_plus_b8_l2"})
"""By width, the U-Net++ with the L2 factor that the article did not choose."""


def name_of(family: str, width: int) -> str:
    """Return the name of a model of a table, as `architecture_from_name` takes it."""
    return f"{family}_b{width}"


def title_of(name: str) -> str:
    """Return what a model is called.

    >>> title_of("unet_plus_tc_b8_seed2"), title_of("unet_plus_plus_b16_no_l2")
    ('U-Net+ T.C., B=8', 'U-Net++, B=16, λ = 0')
    """
    name = without_seed(name)
    if name in ABLATIONS:
        return ABLATIONS[name]
    family, width = name.rsplit("_b", 1)
    return f"{FAMILIES[family]}, B={width}"


def tabled() -> list[str]:
    """Return the names of the eight models of the tables, in the order of the article."""
    return [name_of(family, width) for width in WIDTHS for family in FAMILIES]


def trained_names(found: Sequence[str]) -> list[str]:
    """Return those names that are of trainings of the article, whatever their seed, in the order of the suite."""
    order = [member.name for member in article_suite()]
    places = {name: (seed_of(name), order.index(without_seed(name))) for name in found if without_seed(name) in order}
    return sorted(places, key=places.__getitem__)


def without_seed(name: str) -> str:
    """Return the name of the training with seed 0."""
    return re.sub(r"_seed\d+$", "", name)


def seed_of(name: str) -> int:
    """Return the seed that a name ends with, or 0."""
    found = re.search(r"_seed(\d+)$", name)
    return int(found[1]) if found else 0
