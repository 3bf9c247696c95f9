"""What is shown to the networks that are timed: patches and frames of the simulated specimen, or real patches."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from unetplus_edge.datasets import open_dsb2018
from unetplus_edge.datasets.specimen import Specimen, simulate
from unetplus_edge.imaging import PatchGrid, preprocess

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from numpy.typing import NDArray

    from unetplus_edge.training.recipe import Recipe

_SPECIMENS = 8


class Material:
    """Files of patches and frames, made once each and read by the rows' processes.

    Making them takes memory and libraries that are not to be measured.

    Parameters
    ----------
    folder
        Where they are written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._frames: dict[tuple[int, int], Path] = {}
        self._patches: dict[tuple[str, int], Path] = {}

    def simulated_patches(self, recipe: Recipe, batch: int) -> Path:
        """Return a file of patches of simulated specimens, as a bundle's recipe preprocesses them.

        Parameters
        ----------
        recipe
            Whose preprocessing, and whose side of a patch.
        batch
            Of which their number is a multiple.
        """

        def made() -> NDArray[np.float32]:
            side = recipe.patch_side
            # Below 32 pixels the specimen has no nuclei.
            frames = [
                simulate(Specimen(height=max(side, 32), width=max(side, 32), seed=n)).image for n in range(_SPECIMENS)
            ]
            patches = _cut(frames, recipe)
            count = -(-len(patches) // batch) * batch
            return np.resize(patches, (count, *patches.shape[1:]))

        return self._kept(f"simulated {recipe.model_dump_json()}", batch, made)

    def test_patches(self, recipe: Recipe) -> Path:
        """Return a file of the patches of the 53 test images of the article, in order.

        Raises
        ------
        DataSetError
            If the data set is not there.
        """
        samples = open_dsb2018(labels="released").test
        return self._kept(
            f"test {recipe.model_dump_json()}", 1, lambda: _cut((sample.image() for sample in samples), recipe)
        )

    def frame(self, shape: tuple[int, int]) -> Path:
        """Return a file of a simulated frame of a height and a width."""
        if shape not in self._frames:
            path = self._folder / f"frame_{shape[0]}x{shape[1]}.npy"
            np.save(path, simulate(Specimen(height=shape[0], width=shape[1])).image)
            self._frames[shape] = path
        return self._frames[shape]

    def _kept(self, key: str, batch: int, make: Callable[[], NDArray[np.float32]]) -> Path:
        if (key, batch) not in self._patches:
            path = self._folder / f"patches_{len(self._patches)}.npy"
            np.save(path, make())
            self._patches[key, batch] = path
        return self._patches[key, batch]


def _cut(frames: Iterable[NDArray[np.generic]], recipe: Recipe) -> NDArray[np.float32]:
    return np.concatenate(
        [
            PatchGrid(frame.shape[0], frame.shape[1], recipe.patch_side).cut(preprocess(frame, recipe.preprocessing))
            for frame in frames
        ]
    )
