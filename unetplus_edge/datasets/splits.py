"""Which images and patches are held out: committed lists, and the rules that made them."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from unetplus_edge.imaging import PatchGrid

if TYPE_CHECKING:
    from collections.abc import Iterable

    from unetplus_edge.datasets.samples import Sample

_GROUP = 5
_SEED = 2018


class PatchId(NamedTuple):
    """A grid patch of a training image: the image's id, and the patch's top left corner."""

    image: str
    top: int
    left: int


@cache
def validation_images() -> frozenset[str]:
    """Return the ids of the validation images: one in five of the 546.

    They are held out of every shipped model and used for every choice.
    """
    return frozenset(_committed("validation_images.txt"))


@cache
def article_validation_patches() -> frozenset[PatchId]:
    """Return the grid patches of the article's 8:2 split that are held out.

    The split is by patch: neighbours of a held-out patch are trained on. It serves to draw the
    article's loss curves, and chooses nothing.
    """
    rows = (line.split() for line in _committed("article_patches.txt"))
    return frozenset(PatchId(image, int(top), int(left)) for image, top, left in rows)


def choose_validation_images(samples: Iterable[Sample]) -> list[str]:
    """Return the rule's choice of validation images, as committed.

    Images in the order of their size and then of their mean brightness; out of every five in a
    row, one is drawn. So both kinds of difference are represented as in the whole.
    """

    def order(sample: Sample) -> tuple[int, int, float, str]:
        image = sample.image()
        return (image.size, image.shape[0], float(image.mean()), sample.id)

    ids = [key[-1] for key in sorted(map(order, samples))]
    rng = np.random.default_rng(_SEED)
    groups = [ids[start : start + _GROUP] for start in range(0, len(ids) - _GROUP + 1, _GROUP)]
    return sorted(group[rng.integers(_GROUP)] for group in groups)


def choose_article_patches(samples: Iterable[Sample]) -> list[PatchId]:
    """Return the rule's choice of patches for the article's split, as committed: every fifth of a shuffle."""
    patches = []
    for sample in sorted(samples, key=lambda sample: sample.id):
        patches += [PatchId(sample.id, top, left) for top, left in PatchGrid(*sample.image().shape).origins]
    order = np.random.default_rng(_SEED).permutation(len(patches))
    return sorted(patches[index] for index in order[::_GROUP])


def _committed(name: str) -> list[str]:
    text = resources.files("unetplus_edge.datasets").joinpath("splits", name).read_text()
    return text.splitlines()
