"""What a simulated specimen is, in numbers, and how each seed draws its own."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]


class Specimen(BaseModel):
    """A culture of fluorescent nuclei under a microscope, and the camera that looks at it.

    With `variation` at 1 the numbers below are what seed 0 sees; every other seed draws its own
    conditions of acquisition (magnification, density, contrast, background, focus ...) around them, so
    that a set of seeds is as varied as a collection of images from many laboratories. `variation=0`
    takes the numbers as they stand, for every seed.

    Light is measured as a fraction of full scale, the largest value that `bit_depth` can hold.

    Attributes
    ----------
    height, width
        Sides of a frame, px.
    density
        Mean number of nuclei per 10**6 px.
    area
        Median area of a nucleus, px.
    area_sigma
        Standard deviation of the logarithm of area among the nuclei of a frame.
    elongation
        Median ratio of the long axis of a nucleus to the short one, >= 1.
    irregularity
        Standard deviation of the outline around its ellipse, as a fraction of the radius.
    clustering
        Fraction of nuclei that lie against another one.
    fragments
        Fraction of nuclei that are small pieces: micronuclei and what dying cells fall into.
    contrast
        Median brightness of nuclei above background, fraction of full scale.
    brightness_sigma
        Standard deviation of the logarithm of brightness among the nuclei of a frame.
    texture
        Standard deviation of chromatin brightness inside a nucleus before blur, as a fraction of its mean.
    psf_sigma
        Standard deviation of the Gaussian point spread function in focus, px.
    defocus
        Blur that lying out of focus adds: standard deviation over nuclei of its sigma, px.
    glow
        Fraction of light that lands outside the Gaussian core, in a halo several times as wide.
    haze
        Nuclei so far out of focus that only their haze is seen, per nucleus in focus; they have no label.
    debris
        Specks of dirt and dye, per nucleus; they have no label.
    background
        Light where there is no nucleus, fraction of full scale.
    black_level
        What the camera subtracts before it cuts off at zero, fraction of full scale.
    unevenness
        Loss of illumination in the darkest corner, as a fraction of the brightest spot.
    full_well
        Electrons at full scale: shot noise is the square root of electrons. The gain of the camera is
        `(2**bit_depth - 1) / full_well` grey levels per electron.
    read_noise
        Standard deviation of the noise of read-out, electrons.
    bit_depth
        8 gives uint8; 12 and 16 give uint16, of which 12 uses values up to 4095.
    drift
        Speed of the stage in a direction that the seed draws, px per frame.
    motility
        Standard deviation of the step of a nucleus along each axis, px per frame.
    division_rate
        Divisions per nucleus and frame. As many nuclei die, so that a stream can go on for ever.
    variation
        How far seeds differ in their conditions: 0 not at all, 1 as the images of the training set do.
    seed
        Everything random follows from it.

    Examples
    --------
    >>> Specimen(seed=0).acquisition().area == Specimen().area
    True
    >>> Specimen(seed=1, variation=0).acquisition().area == Specimen().area
    True
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    height: Annotated[int, Field(ge=32, le=16384)] = 256
    width: Annotated[int, Field(ge=32, le=16384)] = 256
    density: Annotated[float, Field(ge=0, le=20000)] = 285.0
    area: Annotated[float, Field(ge=12, le=40000)] = 600.0
    area_sigma: Annotated[float, Field(ge=0, le=1)] = 0.3
    elongation: Annotated[float, Field(ge=1, le=3)] = 1.4
    irregularity: Annotated[float, Field(ge=0, le=0.2)] = 0.05
    clustering: Fraction = 0.28
    fragments: Fraction = 0.06
    contrast: Annotated[float, Field(gt=0, le=1)] = 0.18
    brightness_sigma: Annotated[float, Field(ge=0, le=1.5)] = 0.25
    texture: Annotated[float, Field(ge=0, le=1)] = 0.2
    psf_sigma: Annotated[float, Field(gt=0, le=30)] = 1.3
    defocus: Annotated[float, Field(ge=0, le=30)] = 0.5
    glow: Fraction = 0.35
    haze: Annotated[float, Field(ge=0, le=10)] = 0.6
    debris: Annotated[float, Field(ge=0, le=10)] = 0.2
    background: Fraction = 0.012
    black_level: Fraction = 0.0
    unevenness: Fraction = 0.1
    full_well: Positive = 12000.0
    read_noise: NotNegative = 8.0
    bit_depth: Literal[8, 12, 16] = 8
    drift: NotNegative = 0.3
    motility: NotNegative = 0.3
    division_rate: Fraction = 0.003
    variation: Fraction = 1.0
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0

    def acquisition(self) -> Specimen:
        """Return the specimen with the conditions that its seed has drawn; its `variation` is 0."""
        if self.variation == 0:
            return self
        drawn = {name: _bounded(name, value) for name, value in _drawn(self).items()}
        return self.model_copy(update=drawn | {"variation": 0.0})


# What the images of the training set (2018 Data Science Bowl, stage 1) differ by, image by image, each
# weighted by its pixels: the values at these levels of the distribution.
_LEVELS = (0.0, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1.0)
_AREA = (55, 66, 84, 125, 250, 600, 1733, 2054, 2217, 2700, 3500)  # median of a frame, px
_DENSITY = (0.08, 0.1, 0.19, 0.27, 0.5, 1, 1.42, 1.79, 2.29, 3.0, 3.3)  # over that of frames of such an area
_CONTRAST = (0.45, 0.49, 0.64, 0.69, 0.79, 1, 1.31, 2.2, 2.8, 3.4, 4)  # likewise
_GLOW = (0.14, 0.17, 0.2, 0.23, 0.28, 0.35, 0.53, 0.75, 0.84, 0.93, 0.97)
_BACKGROUND = (0.0005, 0.001, 0.003, 0.004, 0.007, 0.012, 0.042, 0.052, 0.058, 0.085, 0.12)

_DENSEST = 0.27  # of the frame inside nuclei
_CUT_OFF = 0.08  # of the images have lost their background to a black level

_PRIMES = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61)


def _drawn(specimen: Specimen) -> dict[str, float]:
    """Return the fields that seeds differ in; the first argument of a draw says which subject it is about."""

    def measured(subject: int, quantiles: tuple[float, ...]) -> float:
        logarithms = np.log(quantiles) - math.log(quantiles[_LEVELS.index(0.5)])
        return math.exp(specimen.variation * float(np.interp(_level(specimen.seed, subject), _LEVELS, logarithms)))

    def lognormal(subject: int, sigma: float) -> float:
        return math.exp(specimen.variation * sigma * NormalDist().inv_cdf(_level(specimen.seed, subject)))

    size = measured(0, _AREA)
    area = specimen.area * size
    density = specimen.density * size**-0.3 * measured(1, _DENSITY)
    background = specimen.background * measured(6, _BACKGROUND)
    densest = max(_DENSEST, specimen.density * specimen.area / 1e6)
    cut_off = background if _level(specimen.seed, 17) > 1 - _CUT_OFF else 0.0
    return {
        "area": area,
        "density": min(density, densest * 1e6 / area),
        "glow": specimen.glow * measured(2, _GLOW),
        "contrast": specimen.contrast * size**-0.33 * measured(3, _CONTRAST),
        "psf_sigma": specimen.psf_sigma * size**0.25 * lognormal(4, 0.3),
        "defocus": specimen.defocus * size**0.29 * lognormal(5, 0.5),
        "background": background,
        "full_well": specimen.full_well * lognormal(7, 0.75),
        "texture": specimen.texture * lognormal(8, 0.5),
        "clustering": specimen.clustering * lognormal(9, 0.5),
        "brightness_sigma": specimen.brightness_sigma * lognormal(10, 0.3),
        "area_sigma": specimen.area_sigma * lognormal(11, 0.3),
        "elongation": 1 + (specimen.elongation - 1) * lognormal(12, 0.35),
        "fragments": specimen.fragments * lognormal(13, 0.8),
        "haze": specimen.haze * lognormal(14, 1.2),
        "unevenness": specimen.unevenness * lognormal(15, 0.6),
        "irregularity": specimen.irregularity * lognormal(16, 0.4),
        "black_level": specimen.black_level + specimen.variation * cut_off,
    }


def _level(seed: int, subject: int) -> float:
    """Return where in its distribution a seed's draw of a subject lies, in (0, 1).

    A Kronecker sequence: the seeds 0, 1, 2 ... fall evenly over every distribution, however few there
    are, and seed 0 in the middle of each.
    """
    return min(max((0.5 + seed * math.sqrt(_PRIMES[subject])) % 1.0, 1e-3), 1 - 1e-3)


def _bounded(name: str, value: float) -> float:
    """Return the value, or the nearest one that the field allows."""
    for constraint in Specimen.model_fields[name].metadata:
        value = max(value, getattr(constraint, "ge", value))
        value = min(value, getattr(constraint, "le", value))
    return value
