"""How well a file segments on an engine, by what its bundle's manifest says: speed is not shown without it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from unetplus_bench.results import AccuracyRecord
from unetplus_edge.manifest import PlanRecord

if TYPE_CHECKING:
    from collections.abc import Mapping

    from unetplus_edge.manifest import ConversionRecord, Manifest, VerificationRecord


def verification_of(manifest: Manifest, sha256: str, engine: str, executed: str) -> VerificationRecord | None:
    """Return what the manifest says of a file on an engine that computes in a precision, or None.

    Parameters
    ----------
    manifest
        Of the file's bundle.
    sha256
        Of the file.
    engine
        Its name.
    executed
        As the open engine reports it.
    """
    converted = [
        record
        for conversion in manifest.conversions
        if conversion.sha256 == sha256
        for record in conversion.verifications
    ]
    built = [plan.verification for plan in manifest.plans if plan.sha256 == sha256]
    return next(
        (record for record in (*converted, *built) if (record.engine, record.executed_precision) == (engine, executed)),
        None,
    )


def accuracy_of_file(
    manifest: Manifest, sha256: str, engine: str, stored: str, executed: str
) -> tuple[AccuracyRecord, ...]:
    """Return the scores of a file on the validation images.

    They are those that the manifest has for the engine and the precision, or the Keras model's less
    the drop that was measured for the file on the same images. Scores do not tell files apart that
    compute alike, so a file that is widened for computing has the drop alone.

    Parameters
    ----------
    manifest
        Of the file's bundle.
    sha256
        Of the file.
    engine
        Its name.
    stored, executed
        Precisions, as the open engine reports them.

    Returns
    -------
    tuple of AccuracyRecord
        One, or none where it was never scored.
    """
    is_keras = sha256 == manifest.keras_sha256
    if is_keras or stored == executed:
        found = _scores(manifest, "keras" if is_keras else engine, executed)
        if found is not None:
            return (accuracy_record("validation_images", found),)
    verification = verification_of(manifest, sha256, engine, executed)
    reference = _scores(manifest, "keras", "fp32")
    # A drop on simulated frames is none on these images.
    if verification is None or verification.score_drop is None or verification.frames != "real" or reference is None:
        return ()
    drop = verification.score_drop
    return (
        AccuracyRecord(
            images="validation_images",
            average_iou=reference["average_iou_mean"] - drop["average_iou"],
            kaggle_score=reference["kaggle_score"] - drop["kaggle_score"],
        ),
    )


def accuracy_record(images: str, scores: Mapping[str, float]) -> AccuracyRecord:
    """Return scores by name, as `unetplus_edge.evaluation` has them, as a row of a result does."""
    return AccuracyRecord.model_validate(
        {"images": images, "average_iou": scores["average_iou_mean"], "kaggle_score": scores["kaggle_score"]}
    )


def refused(record: ConversionRecord | PlanRecord, engine: str) -> str | None:
    """Return why a file was tried on an engine and does not segment as it should, or None.

    What could not be tried where it was verified is not refused: it may be run here.
    """
    tried = (record.verification,) if isinstance(record, PlanRecord) else record.verifications
    return next(
        (
            f"it is not verified: {one.reason}"
            for one in tried
            if one.engine == engine and not one.verified and one.parity is not None
        ),
        None,
    )


def _scores(manifest: Manifest, engine: str, precision: str) -> dict[str, float] | None:
    for record in manifest.scores:
        if (record.images, record.engine, record.precision) == ("validation_images", engine, precision):
            scores = {name: value for name, value in record.scores.items() if value is not None}
            return scores if {"average_iou_mean", "kaggle_score"} <= scores.keys() else None
    return None
