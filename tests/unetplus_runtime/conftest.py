"""A tiny real network and its bundle, and the smallest engines that can be."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
import pytest

from unetplus_edge.architectures import UNetPlus
from unetplus_edge.bundle import Bundle, add_conversion, create_bundle
from unetplus_edge.files import sha256_of
from unetplus_edge.imaging import Postprocessing, Preprocessing
from unetplus_edge.manifest import ConversionRecord, Manifest, TensorRecord, VerificationRecord
from unetplus_edge.training.recipe import Recipe
from unetplus_export.conversion import Request
from unetplus_export.tflite import convert_tflite
from unetplus_runtime.engines import EngineInfo

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self

    from numpy.typing import NDArray

SIDE = 64
ARCHITECTURE = UNetPlus(base_filters=2, depth=3)

_DEADLINE = 180.0  # seconds

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


class Wait(Protocol):
    def __call__(self, condition: Callable[[], object], what: str = ...) -> None: ...


class BundleMaker(Protocol):
    def __call__(self, keras_file: Path, tflite_file: Path | None = None, *, verified: bool = True) -> Bundle: ...


class MapEngine:
    """Answers every call with the patches that it was made with, whatever it is asked."""

    def __init__(self, answers: NDArray[np.float32] | None = None) -> None:
        self.info = EngineInfo("keras", "none", "0", Path("none"), "fp32", "fp32", "cpu", 1, None, SIDE)
        self.closed = False
        self._answers = answers

    def infer(self, patches: NDArray[np.float32]) -> NDArray[np.float32]:
        return patches if self._answers is None else self._answers

    def close(self) -> None:
        self.closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


@pytest.fixture(scope="session")
def wait() -> Wait:
    """Waits for something that will happen however slow the machine is."""

    def until(condition: Callable[[], object], what: str = "what was waited for") -> None:
        deadline = time.monotonic() + _DEADLINE
        while not condition():
            assert time.monotonic() < deadline, f"{what} did not happen in {_DEADLINE:g} s"
            time.sleep(0.01)

    return until


@pytest.fixture(scope="session")
def map_engine() -> type[MapEngine]:
    """An engine whose answers are known: what it is made with, or else what goes in."""
    return MapEngine


@pytest.fixture(scope="session")
def keras_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny network, untrained but not constant."""
    import keras

    from unetplus_edge.networks import build_network

    keras.utils.set_random_seed(1)
    path = tmp_path_factory.mktemp("keras") / "tiny.keras"
    build_network(ARCHITECTURE, (SIDE, SIDE)).save(path)
    return path


@pytest.fixture(scope="session")
def tflite_file(make_bundle: BundleMaker, keras_file: Path) -> Path:
    """Its conversion in fp32, one patch a call."""
    path = keras_file.with_name("tiny.tflite")
    convert_tflite(Request(make_bundle(keras_file), "fp32", SIDE), path)
    return path


@pytest.fixture(scope="session")
def make_bundle(tmp_path_factory: pytest.TempPathFactory) -> BundleMaker:
    """Makes a bundle of a Keras file, which may be any file where Keras is not to open it."""

    def make(keras_file: Path, tflite_file: Path | None = None, *, verified: bool = True) -> Bundle:
        manifest = Manifest(
            name="tiny",
            recipe=Recipe(architecture=ARCHITECTURE, patch_side=SIDE, preprocessing=Preprocessing(tv_iterations=5)),
            postprocessing=Postprocessing(min_nucleus_area=10, max_hole_area=20),
            input=TensorRecord(name="image", shape=(None, SIDE, SIDE, 1)),
            output=TensorRecord(name="probability", shape=(None, SIDE, SIDE, 1)),
            keras_sha256=sha256_of(keras_file),
            epochs_trained=0,
            best_epoch=0,
        )
        bundle = create_bundle(tmp_path_factory.mktemp("bundles") / "tiny", keras_file, manifest)
        if tflite_file is None:
            return bundle
        record = ConversionRecord(
            file="exports/tiny.tflite",
            sha256=sha256_of(tflite_file),
            target="tflite",
            stored_precision="fp32",
            verifications=(
                VerificationRecord(
                    engine="litert",
                    executed_precision="fp32",
                    verified=verified,
                    reason=None if verified else "mean difference 0.2 is above 0.0001",
                ),
            ),
        )
        return add_conversion(bundle, tflite_file, record)

    return make


@pytest.fixture(scope="session")
def bundle(make_bundle: BundleMaker, keras_file: Path, tflite_file: Path) -> Bundle:
    """The tiny network with its verified conversion."""
    return make_bundle(keras_file, tflite_file)


@pytest.fixture
def plain_bundle(make_bundle: BundleMaker, tmp_path: Path) -> Bundle:
    """A bundle whose Keras model is nothing that Keras opens: for tests that bring their own engine."""
    file = tmp_path / "no.keras"
    file.write_bytes(b"nothing")
    return make_bundle(file)


@pytest.fixture(scope="session")
def frame() -> NDArray[np.uint16]:
    """Bright discs on a noisy ground, 12 bits in uint16."""
    rng = np.random.default_rng(5)
    image = rng.normal(300, 20, (150, 201))
    y, x = np.mgrid[:150, :201]
    for top, left, radius in rng.uniform((10, 10, 5), (140, 190, 14), (12, 3)):
        image[np.hypot(y - top, x - left) < radius] += 1500
    return np.clip(image, 0, 4095).astype(np.uint16)
