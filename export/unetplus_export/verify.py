"""The proof that a conversion still segments: its answers and its scores beside the Keras model's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from unetplus_edge.evaluation import score_set
from unetplus_edge.manifest import ParityRecord, VerificationRecord
from unetplus_runtime.scoring import evaluate
from unetplus_runtime.segmenter import Segmenter

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from unetplus_edge.bundle import Bundle
    from unetplus_edge.evaluation import SetScores
    from unetplus_edge.manifest import Precision
    from unetplus_export.material import Material
    from unetplus_runtime.engines import Engine, EngineInfo

MAX_DROP = 0.005
"""By how much average IOU and Kaggle score may fall, where nothing else is asked for."""


@dataclass(frozen=True)
class Limits:
    """What a conversion may change.

    Attributes
    ----------
    max_difference
        Largest absolute difference of probability; None for no limit.
    flipped_per_million
        Pixels per million that may change sides of the threshold; None for no limit.
    max_drop
        By how much average IOU and Kaggle score may each be below the Keras model's; None for no
        limit.
    """

    max_difference: float | None = None
    flipped_per_million: float | None = None
    max_drop: float | None = None


def limits_of(stored: Precision, executed: Precision, max_drop: float = MAX_DROP) -> Limits:
    """Return the limits for weights in one precision and computation in another: those of the coarser."""
    if {stored, executed} & {"int8", "bf16"}:
        return Limits(max_drop=max_drop)
    if {stored, executed} & {"fp16", "tf32"}:
        return Limits(max_difference=5e-3, flipped_per_million=200)
    return Limits(max_difference=1e-4)


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


def score_drop(reference: SetScores, found: SetScores) -> dict[str, float]:
    """Return by how much scores are below the Keras model's; negative where they are above."""
    return {
        "average_iou": (reference.average_iou_mean or 0.0) - (found.average_iou_mean or 0.0),
        "kaggle_score": reference.kaggle_score - found.kaggle_score,
        "dice": reference.dice - found.dice,
    }


class Verifier:
    """The Keras model's answers and scores, and what is made of a conversion's beside them.

    Parameters
    ----------
    bundle
        Whose Keras model is the reference.
    reference
        That model, opened; it is not closed.
    material
        What the model and every conversion are shown.
    max_drop
        By how much average IOU and Kaggle score may fall.
    seen
        Called after every image that was scored.
    """

    def __init__(
        self,
        bundle: Bundle,
        reference: Engine,
        material: Material,
        max_drop: float = MAX_DROP,
        seen: Callable[[], None] = lambda: None,
    ) -> None:
        self._bundle = bundle
        self._material = material
        self._max_drop = max_drop
        self._seen = seen
        self._name = reference.info.engine
        self._threshold = bundle.manifest.postprocessing.threshold
        self._answers = reference.infer(material.patches).copy()
        self._broken = _no_numbers(reference.info, self._answers)
        self._scores = None if self._broken else self._scored(reference)

    def verify(self, engine: Engine) -> VerificationRecord:
        """Return whether an engine answers in numbers and keeps the limits of its precisions.

        Parameters
        ----------
        engine
            The conversion, opened.

        Raises
        ------
        EngineError
            If the engine fails while it computes.
        """
        info = engine.info
        answers = engine.infer(self._material.patches)
        reason = self._broken or _no_numbers(info, answers)
        found = drop = None
        if reason is None and self._scores is not None:
            found = parity(self._answers, answers, self._threshold)
            drop = score_drop(self._scores, self._scored(engine))
            limits = limits_of(info.stored_precision, info.executed_precision, self._max_drop)
            reason = _past(limits, found, drop, self._name)
        return VerificationRecord(
            engine=info.engine,
            executed_precision=info.executed_precision,
            library=f"{info.library} {info.library_version}",
            frames=self._material.frames,
            verified=reason is None,
            reason=reason,
            parity=found,
            score_drop=drop,
        )

    def _scored(self, engine: Engine) -> SetScores:
        segmenter = Segmenter(self._bundle, engine, grid="article")
        return score_set([scores for _, scores in evaluate(segmenter, self._material.samples, lambda *_: self._seen())])


def _no_numbers(info: EngineInfo, answers: NDArray[np.float32]) -> str | None:
    wrong = np.count_nonzero(~np.isfinite(answers))
    return f"{info.engine} answers {wrong} of {answers.size} pixels with NaN or infinity" if wrong else None


def _past(limits: Limits, found: ParityRecord, drop: dict[str, float], reference: str) -> str | None:
    """Return which limit is not kept, in one sentence."""
    if limits.max_difference is not None and found.max_difference > limits.max_difference:
        return f"it differs from {reference} by {found.max_difference:.2g}, more than {limits.max_difference:.0e}"
    if limits.flipped_per_million is not None and found.flipped_per_million > limits.flipped_per_million:
        return (
            f"{found.flipped_per_million:.0f} pixels per million change sides of the threshold, "
            f"more than {limits.flipped_per_million:.0f}"
        )
    for name in ("average_iou", "kaggle_score"):
        if limits.max_drop is not None and drop[name] > limits.max_drop:
            score = name.replace("_", " ")
            return f"its {score} is {drop[name]:.4f} below that of {reference}, more than {limits.max_drop}"
    return None
