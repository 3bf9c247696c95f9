"""Tiny networks and their bundles."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pytest

from unetplus_edge.architectures import UNetPlus
from unetplus_edge.bundle import Bundle, create_bundle
from unetplus_edge.files import sha256_of
from unetplus_edge.imaging import Preprocessing
from unetplus_edge.manifest import Manifest, TensorRecord
from unetplus_edge.training.recipe import Recipe
from unetplus_export.calibration import Calibration
from unetplus_export.conversion import Request

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from unetplus_edge.architectures import Architecture
    from unetplus_export.conversion import Convert, Converted

SIDE = 32
PATCHES = np.random.default_rng(5).random((6, SIDE, SIDE, 1), np.float32)

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


class NetworkMaker(Protocol):
    def __call__(self, architecture: Architecture) -> Any: ...


class BundleMaker(Protocol):
    def __call__(self, model: Any, folder: Path) -> Bundle: ...


class Halves:
    """A network, its fp16 conversions to one format, each made once, and what Keras makes of it."""

    def __init__(self, model: Any, bundle: Bundle, convert: Convert, suffix: str) -> None:
        self.model, self.patches = model, PATCHES
        calibration = Calibration(PATCHES, "random numbers", simulated=False, sha256="0" * 64)
        self.request = Request(bundle, "fp16", patch_side=SIDE, calibration=calibration)
        self._convert, self._suffix = convert, suffix
        self._made: dict[tuple[str, ...], tuple[Path, Converted]] = {}

    def convert(self, *keep: str) -> tuple[Path, Converted]:
        """Return a file that keeps some layers, and what its conversion says."""
        if keep not in self._made:
            file = self.request.bundle.path.with_name(f"{len(self._made)}{self._suffix}")
            self._made[keep] = file, self._convert(replace(self.request, keep=keep), file)
        return self._made[keep]

    def convolutions(self) -> list[str]:
        """Return the names of the layers with weights; the last one gives the answer, and has no batch norm."""
        return [
            layer.name for layer in self.model.layers if layer.name.endswith(("_conv", "_transposed", "probability"))
        ]

    def exact(self) -> NDArray[np.float32]:
        """Return what Keras answers."""
        answers: NDArray[np.float32] = self.model.predict_on_batch(PATCHES)
        return answers

    def with_a_rounded_end(self) -> NDArray[np.float32]:
        """Return what Keras answers with the weights of the last convolution rounded to float16."""
        last = self.model.get_layer("probability")
        weights = last.get_weights()
        last.set_weights([weight.astype(np.float16).astype(np.float32) for weight in weights])
        answers = self.exact()
        last.set_weights(weights)
        return answers


@pytest.fixture(scope="session")
def make_halves(
    make_network: NetworkMaker, make_bundle: BundleMaker, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[Convert, str], Halves]:
    """Makes what converts a tiny network to a format in fp16."""

    def make(convert: Convert, suffix: str) -> Halves:
        model = make_network(UNetPlus(base_filters=2, depth=2))
        return Halves(model, make_bundle(model, tmp_path_factory.mktemp("halves") / "bundle"), convert, suffix)

    return make


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
