"""A tiny real model, for daemons that are to suffer."""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from unetplus_bench.endurance.stage import Model, Stage
from unetplus_edge.architectures import UNetPlus
from unetplus_edge.bundle import Bundle, add_conversion, create_bundle
from unetplus_edge.files import sha256_of
from unetplus_edge.imaging import Postprocessing, Preprocessing
from unetplus_edge.manifest import ConversionRecord, Manifest, TensorRecord, VerificationRecord
from unetplus_edge.training.recipe import Recipe

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_SIDE = 64
_ARCHITECTURE = UNetPlus(base_filters=2, depth=3)

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """An untrained network that is not constant, with its conversion for LiteRT."""
    import keras

    from unetplus_edge.networks import build_network
    from unetplus_export.conversion import Request
    from unetplus_export.tflite import convert_tflite

    folder: Path = tmp_path_factory.mktemp("tiny")
    keras_file, tflite_file = folder / "tiny.keras", folder / "tiny.tflite"
    keras.utils.set_random_seed(1)
    build_network(_ARCHITECTURE, (_SIDE, _SIDE)).save(keras_file)
    manifest = Manifest(
        name="tiny",
        recipe=Recipe(architecture=_ARCHITECTURE, patch_side=_SIDE, preprocessing=Preprocessing(tv_iterations=5)),
        postprocessing=Postprocessing(min_nucleus_area=10, max_hole_area=20),
        input=TensorRecord(name="image", shape=(None, _SIDE, _SIDE, 1)),
        output=TensorRecord(name="probability", shape=(None, _SIDE, _SIDE, 1)),
        keras_sha256=sha256_of(keras_file),
        epochs_trained=0,
        best_epoch=0,
    )
    made = create_bundle(folder / "bundle", keras_file, manifest)
    convert_tflite(Request(made, "fp32", _SIDE), tflite_file)
    record = ConversionRecord(
        file="exports/tiny.tflite",
        sha256=sha256_of(tflite_file),
        target="tflite",
        stored_precision="fp32",
        verifications=(VerificationRecord(engine="litert", executed_precision="fp32", verified=True),),
    )
    return add_conversion(made, tflite_file, record)


class Play(Protocol):
    def __call__(self, part: Callable[[Stage], None], count: int, aside: str = ...) -> dict[str, Any]: ...


@pytest.fixture
def play(bundle: Bundle, tmp_path: Path) -> Play:
    """Plays a part of the endurance run a few times; returns what it has counted and measured.

    A claim on how long something takes is put `aside`: the machine may be busy with other tests.
    """

    def played(part: Callable[[Stage], None], count: int, aside: str = "") -> dict[str, Any]:
        chance = random.Random(count)  # noqa: S311 - no secret
        stage = Stage(tmp_path, Model(bundle.path, "litert", 1), count, chance, _SIDE, print)
        part(stage)
        claims = {sentence: claim for sentence, claim in stage.proof.claims.items() if sentence != aside}
        assert claims
        assert not {sentence: claim.examples for sentence, claim in claims.items() if claim.failures}
        return stage.proof.summed_up()

    return played
