"""The trainings that show what limits U-Net+ T.C. with 16 filters, as the article trains it."""

from __future__ import annotations

from typing import Final

from unetplus_edge.training.recipe import Recipe
from unetplus_edge.training.suite import PRECISION, Member, article_suite, chosen

NETWORK: Final = "unet_plus_tc_b16"
"""The network that is trained again and again; also the name of its training in the article's suite."""


def limits_suite() -> tuple[Member, ...]:
    """Return trainings by other recipes than the article's.

    In float32 alone; and as the zoo's model began: trained without the validation images and validated
    on them, so that scores on them mean something, with a gap between nuclei that touch, on corrected
    labels, on all patches in every epoch, in larger batches, and with a second part at a lower
    learning rate.

    Examples
    --------
    >>> [member.name.removeprefix("unet_plus_tc_b16_") for member in limits_suite()]
    ['float32', 'all_patches']
    """
    (article,) = (member.recipe for member in chosen(article_suite(), [NETWORK]))
    recipes = {
        "float32": article.model_copy(update={"precision": "float32"}),
        "all_patches": Recipe(architecture=article.architecture, gap=2, epochs=16, extra_epochs=5, precision=PRECISION),
    }
    return tuple(Member(f"{NETWORK}_{change}", recipe) for change, recipe in recipes.items())
