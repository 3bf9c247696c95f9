"""Tiny networks and their bundles."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pytest

from unetplus_edge.architectures import UNetPlus
from unetplus_edge.bundle import Bundle, create_bundle
from unetplus_edge.files import sha256_of
from unetplus_edge.imaging import Preprocessing
from unetplus_edge.manifest import Manifest, TensorRecord
from unetplus_edge.training.recipe import Recipe

if TYPE_CHECKING:
    from pathlib import Path

    from unetplus_edge.architectures import Architecture

SIDE = 32

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


class NetworkMaker(Protocol):
    def __call__(self, architecture: Architecture) -> Any: ...


class BundleMaker(Protocol):
    def __call__(self, model: Any, folder: Path) -> Bundle: ...


@pytest.fixture(scope="session")
def manifest() -> Manifest:
    """Of a network for patches of 32 pixels."""
    architecture = UNetPlus(base_filters=2, depth=2)
    return Manifest(
        name="tiny",
        recipe=Recipe(architecture=architecture, patch_side=SIDE, preprocessing=Preprocessing(tv_iterations=2)),
        input=TensorRecord(name="image", shape=(None, SIDE, SIDE, 1)),
        output=TensorRecord(name="probability", shape=(None, SIDE, SIDE, 1)),
        keras_sha256="0" * 64,
        epochs_trained=1,
        best_epoch=1,
    )


@pytest.fixture(scope="session")
def make_network() -> NetworkMaker:
    """Makes a network none of whose weights is what it starts with, batch norms' statistics included."""

    def make(architecture: Architecture) -> Any:
        import keras

        from unetplus_edge.networks import build_network

        keras.utils.set_random_seed(7)
        rng = np.random.default_rng(7)
        model = build_network(architecture, (SIDE, SIDE))
        model.set_weights(
            [
                weight * rng.uniform(0.5, 1.5, weight.shape) + rng.uniform(0, 0.2, weight.shape)
                for weight in model.get_weights()
            ]
        )
        return model

    return make


@pytest.fixture(scope="session")
def make_bundle(manifest: Manifest, tmp_path_factory: pytest.TempPathFactory) -> BundleMaker:
    """Makes a bundle of a Keras model."""

    def make(model: Any, folder: Path) -> Bundle:
        file = tmp_path_factory.mktemp("keras") / "model.keras"
        model.save(file)
        return create_bundle(folder, file, manifest.model_copy(update={"keras_sha256": sha256_of(file)}))

    return make
