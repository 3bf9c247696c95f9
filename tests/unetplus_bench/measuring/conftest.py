"""A tiny real network and its bundle, for measuring."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from unetplus_bench.material import Material
from unetplus_edge.architectures import UNetPlus
from unetplus_edge.bundle import Bundle, add_conversion, create_bundle, update_manifest
from unetplus_edge.files import sha256_of
from unetplus_edge.imaging import Preprocessing
from unetplus_edge.manifest import (
    ConversionRecord,
    Manifest,
    ParityRecord,
    ScoreRecord,
    TensorRecord,
    VerificationRecord,
)
from unetplus_edge.training.recipe import Recipe

if TYPE_CHECKING:
    from pathlib import Path

SIDE = 64
ARCHITECTURE = UNetPlus(base_filters=2, depth=3)
KERAS_SCORES = {"average_iou_mean": 0.8, "kaggle_score": 0.7}
DROP = {"average_iou": 0.01, "kaggle_score": 0.02, "dice": 0.0}

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


class ConversionMaker(Protocol):
    def __call__(self, bundle: Bundle, file: Path, target: str, stored: str, *tried: VerificationRecord) -> Bundle: ...


def a_manifest(keras_file: Path) -> Manifest:
    return Manifest(
        name="tiny",
        recipe=Recipe(architecture=ARCHITECTURE, patch_side=SIDE, preprocessing=Preprocessing(tv_iterations=5)),
        input=TensorRecord(name="image", shape=(None, SIDE, SIDE, 1)),
        output=TensorRecord(name="probability", shape=(None, SIDE, SIDE, 1)),
        keras_sha256=sha256_of(keras_file),
        epochs_trained=0,
        best_epoch=0,
        scores=(ScoreRecord(images="validation_images", engine="keras", precision="fp32", scores=KERAS_SCORES),),
    )


def tried(engine: Any, executed: Any, *, verified: bool = True, **facts: Any) -> VerificationRecord:
    parity = ParityRecord(patches=2, max_difference=0.3, mean_difference=0.2, flipped_per_million=9.0)
    reason = None if verified else "mean difference 0.2 is above 0.0001"
    return VerificationRecord(
        **{
            "engine": engine,
            "executed_precision": executed,
            "verified": verified,
            "reason": reason,
            "parity": parity,
            "score_drop": DROP,
            **facts,
        }
    )


def with_conversion(
    bundle: Bundle, file: Path, target: Any, stored: Any, *verifications: VerificationRecord, **facts: Any
) -> Bundle:
    record = ConversionRecord(
        file=f"exports/{file.name}",
        sha256=sha256_of(file),
        target=target,
        stored_precision=stored,
        verifications=verifications,
        **facts,
    )
    return add_conversion(bundle, file, record)


@pytest.fixture(name="tried")
def _tried() -> Any:
    """Makes the record of an engine's try at a conversion."""
    return tried


@pytest.fixture(name="with_conversion")
def _with_conversion() -> Any:
    """Adds a file to a bundle."""
    return with_conversion


@pytest.fixture
def paper_bundle(tmp_path: Path) -> Bundle:
    """A bundle whose files are none: for tests that open no engine."""
    keras_file = tmp_path / "no.keras"
    keras_file.write_bytes(b"nothing")
    return create_bundle(tmp_path / "paper", keras_file, a_manifest(keras_file))


@pytest.fixture
def paper(tmp_path: Path) -> Any:
    """Makes files that are no networks, each of another content."""

    def make(name: str) -> Path:
        file = tmp_path / name
        file.write_text(name)
        return file

    return make


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """The tiny network, untrained, with a conversion for LiteRT that really runs."""
    import keras

    from unetplus_edge.networks import build_network
    from unetplus_export.conversion import Request
    from unetplus_export.tflite import convert_tflite

    folder = tmp_path_factory.mktemp("tiny")
    keras.utils.set_random_seed(1)
    build_network(ARCHITECTURE, (SIDE, SIDE)).save(folder / "tiny.keras")
    made = create_bundle(folder / "bundle", folder / "tiny.keras", a_manifest(folder / "tiny.keras"))
    convert_tflite(Request(made, "fp32", SIDE), folder / "tiny.tflite")
    return with_conversion(made, folder / "tiny.tflite", "tflite", "fp32", tried("litert", "fp32"))


@pytest.fixture
def material(tmp_path: Path) -> Material:
    """Patches and frames in a folder of the test."""
    folder = tmp_path / "material"
    folder.mkdir()
    return Material(folder)


@pytest.fixture
def with_manifest() -> Any:
    """Changes fields of a bundle's manifest."""

    def change(bundle: Bundle, **changes: Any) -> Bundle:
        return update_manifest(bundle, bundle.manifest.model_copy(update=changes))

    return change
