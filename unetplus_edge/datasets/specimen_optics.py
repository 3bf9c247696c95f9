"""How microscope and camera see the nuclei of a simulated specimen."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from unetplus_edge.datasets.specimen_drawing import chromatin_sheet, draw, frame_labels
from unetplus_edge.datasets.specimen_nuclei import appearance

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from unetplus_edge.datasets.specimen_conditions import Specimen
    from unetplus_edge.datasets.specimen_nuclei import Population

_NEAR_BLUR, _FAR_BLUR = 3.0, 12.0  # sigmas of the halo, in units of the core's
_NEAR_SHARE, _FAR_SHARE = 0.55, 0.45  # of the light in it
_NORMAL_ELECTRONS = 10.0


class Microscope:
    """Optics and camera of a specimen, with all that stays the same from frame to frame.

    Parameters
    ----------
    specimen
        Conditions as they stand: `variation` is not looked at.
    """

    def __init__(self, specimen: Specimen) -> None:
        self._specimen = specimen
        rng = np.random.default_rng([specimen.seed, 2])
        # as far beyond the frame as light glows into it; halos are computed on an eighth of each side
        self._pad = _eights(2.5 * _FAR_BLUR * specimen.psf_sigma)
        self._canvas = _eights(specimen.height + 2 * self._pad), _eights(specimen.width + 2 * self._pad)
        self._chromatin = chromatin_sheet(specimen, rng)
        self._illumination = _illumination(specimen, rng)

    def expose(self, population: Population, index: int) -> tuple[NDArray[Any], NDArray[np.int32]]:
        """Return the image of a population and its label image.

        Parameters
        ----------
        population
            The nuclei as they are now.
        index
            Number of the frame: each has noise of its own.

        Returns
        -------
        image
            uint8, or uint16 for more than 8 bits, shape (height, width).
        labels
            int32, same shape; 0 = background, else the id of the uppermost nucleus.
        """
        specimen, pad = self._specimen, self._pad
        bodies = np.concatenate([population.debris, appearance(population.nuclei)])
        drawing = draw(bodies, population.positions(bodies) + pad, self._chromatin, self._canvas)
        labels = frame_labels(drawing, bodies["id"], (pad, pad), (specimen.height, specimen.width))
        light = self._spread(drawing.light, self._haze(population))
        return self._read_out(light, np.random.default_rng([specimen.seed, 3, index])), labels

    def _haze(self, population: Population) -> NDArray[np.float32]:
        """Return the light of nuclei far out of focus, on an eighth of each side of the canvas."""
        hazy = population.hazy
        variance = hazy["blur"] ** 2 + hazy["area"] / (4 * np.pi)
        at = population.positions(hazy) + self._pad
        # Gaussians are separable: all of them together are one product of two matrices
        down, across = (
            np.exp(-((np.arange(3.5, side, 8)[:, None] - at[:, axis]) ** 2) / (2 * variance))
            for axis, side in enumerate(self._canvas)
        )
        return np.asarray((down * hazy["brightness"] * hazy["area"] / (2 * np.pi * variance)) @ across.T, np.float32)

    def _spread(self, light: NDArray[np.float32], haze: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the light that reaches the frame: core, halo and haze."""
        specimen, pad = self._specimen, self._pad
        height, width = light.shape
        half = cv2.resize(light, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
        eighth = cv2.resize(half, (width // 8, height // 8), interpolation=cv2.INTER_AREA)
        far = cv2.GaussianBlur(eighth, (0, 0), _FAR_BLUR * specimen.psf_sigma / 8)
        far = (_FAR_SHARE * specimen.glow) * far + haze
        near = cv2.GaussianBlur(half, (0, 0), _NEAR_BLUR * specimen.psf_sigma / 2)
        near = (_NEAR_SHARE * specimen.glow) * near + cv2.resize(far, (width // 2, height // 2))
        whole = cv2.resize(near, (width, height))
        frame = slice(pad, pad + specimen.height), slice(pad, pad + specimen.width)
        return np.asarray((1 - specimen.glow) * light[frame] + whole[frame], np.float32)

    def _read_out(self, light: NDArray[np.float32], rng: np.random.Generator) -> NDArray[Any]:
        """Return what the camera makes of the light."""
        specimen = self._specimen
        electrons = (light + np.float32(specimen.background)) * self._illumination
        electrons *= np.float32(specimen.full_well)
        read_noise = np.float32(specimen.read_noise)
        noise = rng.standard_normal(electrons.shape, np.float32)
        if electrons.min() >= _NORMAL_ELECTRONS:
            # a grey level is many electrons: so many are as good as normal, and one draw serves for both noises
            electrons += np.sqrt(electrons + read_noise**2) * noise
        else:
            electrons = rng.poisson(np.maximum(electrons, 0)).astype(np.float32) + read_noise * noise
        top = 2**specimen.bit_depth - 1
        electrons *= np.float32(top / specimen.full_well)
        electrons -= np.float32(specimen.black_level * top)
        grey = np.clip(np.rint(electrons), 0, top)
        return np.asarray(grey, np.uint8 if specimen.bit_depth == 8 else np.uint16)


def _eights(length: float) -> int:
    """Return the next multiple of 8."""
    return 8 * math.ceil(length / 8)


def _illumination(specimen: Specimen, rng: np.random.Generator) -> NDArray[np.float32]:
    """Return a paraboloid whose top, 1, lies off centre; its darkest corner is 1 - unevenness."""
    losses = []
    for side in (specimen.height, specimen.width):
        top = rng.uniform(0.3, 0.7) * (side - 1)
        losses.append(((np.arange(side) - top) / max(top, side - 1 - top)) ** 2 / 2)
    return np.asarray(1 - specimen.unevenness * (losses[0][:, None] + losses[1]), np.float32)
