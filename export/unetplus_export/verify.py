"""The proof that a conversion still segments: its answers beside the Keras model's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from unetplus_edge.datasets import open_dsb2018, validation_images
from unetplus_edge.datasets.specimen import Specimen, simulate
from unetplus_edge.imaging import PatchGrid, preprocess
from unetplus_edge.manifest import ParityRecord, VerificationRecord

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from unetplus_edge.manifest import Manifest, Precision
    from unetplus_runtime.engines import Engine

MAX_DIFFERENCE: dict[Precision, float] = {"fp32": 1e-4}
"""Largest absolute difference of probability that a precision may cause."""

_IMAGES = 32


def training_patches(manifest: Manifest) -> NDArray[np.float32]:
    """Return preprocessed patches of real images that the model was trained on.

    Returns
    -------
    numpy.ndarray
        float32 in [0, 1], shape (n, side, side, 1): of 32 images, spread over the training set.

    Raises
    ------
    DataSetError
        If the data set is not there.
    """
    # Only images are looked at, and every layout of the data set has the released labels.
    samples = [sample for sample in open_dsb2018(labels="released").training if sample.id not in validation_images()]
    chosen = samples[:: max(len(samples) // _IMAGES, 1)][:_IMAGES]
    return _patches((sample.image() for sample in chosen), manifest)


def simulated_patches(manifest: Manifest) -> NDArray[np.float32]:
    """Return preprocessed patches of simulated frames, as `training_patches` does of real ones."""
    side = manifest.recipe.patch_side
    specimens = (Specimen(height=max(side, 32), width=max(side, 32), seed=seed) for seed in range(_IMAGES))
    return _patches((simulate(specimen).image for specimen in specimens), manifest)


def parity(reference: NDArray[np.float32], answers: NDArray[np.float32], threshold: float) -> ParityRecord:
    """Return how far answers are from those of the Keras model.

    Parameters
    ----------
    reference, answers
        Probabilities, float32, finite, shape (n, side, side, 1).
    threshold
        Above it a pixel is nucleus.

    Examples
    --------
    >>> reference = np.array([0.2, 0.49, 0.9, 0.6], np.float32).reshape(1, 2, 2, 1)
    >>> found = parity(reference, reference + np.float32(0.02), threshold=0.5)
    >>> found.flipped_per_million, round(found.max_difference, 6)
    (250000.0, 0.02)
    """
    difference = np.abs(answers.astype(np.float64) - reference)
    flipped = np.count_nonzero((answers > threshold) != (reference > threshold))
    return ParityRecord(
        patches=len(reference),
        max_difference=float(difference.max()),
        mean_difference=float(difference.mean()),
        flipped_per_million=1e6 * flipped / reference.size,
    )


def verify(reference: Engine, engine: Engine, patches: NDArray[np.float32], threshold: float) -> VerificationRecord:
    """Return whether an engine answers in numbers and keeps the limit of its precision.

    Parameters
    ----------
    reference
        The Keras model, opened.
    engine
        The conversion, opened.
    patches
        What both are asked, shape (n, side, side, 1).
    threshold
        Above it a pixel is nucleus.
    """
    info = engine.info
    expected, answers = reference.infer(patches), engine.infer(patches)
    reason = next(
        (
            f"{name} answers {np.count_nonzero(~np.isfinite(given))} of {given.size} pixels with NaN or infinity"
            for name, given in ((reference.info.engine, expected), (info.engine, answers))
            if not np.isfinite(given).all()
        ),
        None,
    )
    found = None if reason else parity(expected, answers, threshold)
    limit = MAX_DIFFERENCE[info.executed_precision]
    if found and found.max_difference > limit:
        reason = f"it differs from {reference.info.engine} by {found.max_difference:.2g}, more than {limit:.0e}"
    return VerificationRecord(
        engine=info.engine,
        executed_precision=info.executed_precision,
        verified=reason is None,
        reason=reason,
        parity=found,
    )


def _patches(frames: Iterable[NDArray[np.generic]], manifest: Manifest) -> NDArray[np.float32]:
    recipe = manifest.recipe
    return np.concatenate(
        [
            PatchGrid(frame.shape[0], frame.shape[1], recipe.patch_side).cut(preprocess(frame, recipe.preprocessing))
            for frame in frames
        ]
    )
