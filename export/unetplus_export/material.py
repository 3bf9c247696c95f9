"""What conversions are tried on: patches to compare answers, and images with their truth to score."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from unetplus_edge.datasets import open_dsb2018
from unetplus_edge.datasets.specimen import SimulatedFrame, Specimen, simulate
from unetplus_edge.imaging import PatchGrid, preprocess

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from unetplus_edge.manifest import Manifest
    from unetplus_runtime.scoring import Labelled

_IMAGES = 32


@dataclass(frozen=True)
class Material:
    """What the Keras model and a conversion of it are both shown.

    Attributes
    ----------
    frames
        "real": patches of training images, and the validation images; "simulated": both of the
        simulated specimen.
    patches
        Preprocessed, float32 in [0, 1], shape (n, side, side, 1).
    samples
        Images with their truth.
    """

    frames: Literal["real", "simulated"]
    patches: NDArray[np.float32]
    samples: Sequence[Labelled]


@dataclass(frozen=True)
class _SimulatedSample:
    id: str
    frame: SimulatedFrame

    def image(self) -> NDArray[np.generic]:
        return self.frame.image

    def labels(self) -> NDArray[np.int32]:
        return self.frame.labels


def has_real_images() -> bool:
    """Return whether the user has said where the data set lies."""
    return bool(os.environ.get("UNETPLUS_DATA"))


def real_material(manifest: Manifest) -> Material:
    """Return patches of 32 training images, spread over the set, and the validation images.

    Raises
    ------
    DataSetError
        If the data set is not there.
    """
    # Every layout of the data set has the released labels. Of those learnt from, images alone are looked at.
    data = open_dsb2018(labels="released")
    chosen = data.learnt_from[:: max(len(data.learnt_from) // _IMAGES, 1)][:_IMAGES]
    return Material("real", _patches((sample.image() for sample in chosen), manifest), data.validation)


def simulated_material(manifest: Manifest) -> Material:
    """Return patches of 32 simulated frames, and 32 others with their truth."""
    side = max(manifest.recipe.patch_side, 32)
    frames = [simulate(Specimen(height=side, width=side, seed=seed)) for seed in range(2 * _IMAGES)]
    patches = _patches((frame.image for frame in frames[:_IMAGES]), manifest)
    samples = [_SimulatedSample(f"simulated_{number}", frame) for number, frame in enumerate(frames[_IMAGES:])]
    return Material("simulated", patches, samples)


def _patches(frames: Iterable[NDArray[np.generic]], manifest: Manifest) -> NDArray[np.float32]:
    recipe = manifest.recipe
    return np.concatenate(
        [
            PatchGrid(frame.shape[0], frame.shape[1], recipe.patch_side).cut(preprocess(frame, recipe.preprocessing))
            for frame in frames
        ]
    )
