"""Every result that the text of Long 2020 states in numbers; the cells of its tables are not known here.

Its times are in `unetplus_bench.article_figures`.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


class StatedScores(NamedTuple):
    """Scores that the article's text states for a training.

    Attributes
    ----------
    average_iou, spread
        Mean, and what it gives after "±".
    precision
        A fraction of 1.
    """

    average_iou: float
    spread: float
    precision: float


STATED_SCORES: Final[Mapping[str, StatedScores]] = MappingProxyType(
    {
        "unet_plus_plus_b16_no_l2": StatedScores(0.503, 0.217, 0.571),
        "unet_plus_plus_b8_l2": StatedScores(0.503, 0.162, 0.571),
    }
)
"""Of U-Net++ with the L2 factors that it did not choose: its tables' rows lie above these."""

STATED_LOSSES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "unet": "0.13 to 0.15",
        "unet_plus_plus": "0.17, after 5 more epochs",
        "unet_plus_tc": "0.13 to 0.15",
        "unet_plus_us": "0.13 to 0.15",
    }
)
"""Validation losses, by family; the text does not tell the widths apart."""
