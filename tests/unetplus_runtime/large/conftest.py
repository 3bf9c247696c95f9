"""Frames of several blocks, and what is found in them as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from unetplus_runtime.segmenter import Segmenter

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from unetplus_edge.bundle import Bundle


def blobs(height: int, width: int, seed: int = 0) -> NDArray[np.uint16]:
    """Touching discs, some with holes, on noise: about one for every 600 pixels."""
    rng = np.random.default_rng(seed)
    image = rng.normal(300, 15, (height, width))
    y, x = np.mgrid[-20:21, -20:21]
    for _ in range(height * width // 600):
        top, left = rng.integers(0, height), rng.integers(0, width)
        radius = rng.uniform(4, 16)
        disc = np.hypot(y, x) < radius
        if rng.random() < 0.3:
            disc &= np.hypot(y - radius / 2, x) > rng.uniform(1, 4)
        rows, columns = top + y, left + x
        inside = disc & (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
        image[rows[inside], columns[inside]] = rng.uniform(1000, 2500)
    return np.clip(image, 0, 4095).astype(np.uint16)


@pytest.fixture
def make_blobs() -> Callable[..., NDArray[np.uint16]]:
    """Makes a frame of a height and a width."""
    return blobs


class PassEngine:
    """Answers with the patches, and counts them."""

    def __init__(self, make: Any) -> None:
        self._engine = make()
        self.info = self._engine.info
        self.patches = 0

    def infer(self, patches: NDArray[np.float32]) -> NDArray[np.float32]:
        self.patches += len(patches)
        answers: NDArray[np.float32] = self._engine.infer(patches)
        return answers

    def close(self) -> None:
        self._engine.close()


@pytest.fixture
def engine(map_engine: Any) -> PassEngine:
    """An engine for which what is bright is a nucleus."""
    return PassEngine(map_engine)


@pytest.fixture
def segmenter(plain_bundle: Bundle, engine: Any) -> Segmenter:
    """Takes patches of 64 x 64; constants of the tiny bundle."""
    return Segmenter(plain_bundle, engine)
