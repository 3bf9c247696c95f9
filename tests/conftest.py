"""What all tests share: the data sets, folders with little room, and a tiny real network with its bundle."""

from __future__ import annotations

import os
import subprocess
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Protocol

import pytest

from unetplus_edge.architectures import UNetPlus
from unetplus_edge.bundle import Bundle, add_conversion, create_bundle
from unetplus_edge.files import sha256_of
from unetplus_edge.imaging import Postprocessing, Preprocessing
from unetplus_edge.manifest import ConversionRecord, Manifest, TensorRecord, VerificationRecord
from unetplus_edge.training.recipe import Recipe

if TYPE_CHECKING:
    from collections.abc import Iterator

SIDE = 64
ARCHITECTURE = UNetPlus(base_filters=2, depth=3)

# As unetplus-train has it, so that a process that a test starts computes as the test's own does.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Tiny networks take JAX a minute to compile well, and run for milliseconds.
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true")


class BundleMaker(Protocol):
    def __call__(self, keras_file: Path, tflite_file: Path | None = None, *, verified: bool = True) -> Bundle: ...


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The folder with the real data sets, where the environment names one."""
    value = os.environ.get("UNETPLUS_DATA")
    if not value:
        pytest.skip("UNETPLUS_DATA is not set: the data sets are not part of the project")
    return Path(value)


class Places:
    """Places with little room, or with rights of others."""

    @staticmethod
    @contextmanager
    def mounted(folder: Path, options: str) -> Iterator[None]:
        folder.mkdir()
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", folder], capture_output=True, check=False)
        if done.returncode:
            pytest.skip(f"mounting is not permitted here: {done.stderr.decode().strip()}")
        try:
            yield
        finally:
            subprocess.run(["umount", folder], check=True)

    @staticmethod
    @contextmanager
    def as_nobody() -> Iterator[None]:
        """Take away the rights of the superuser, to whom no file is closed."""
        if os.geteuid() != 0:
            yield
            return
        os.seteuid(65534)
        try:
            yield
        finally:
            os.seteuid(0)


@pytest.fixture(scope="session")
def places() -> type[Places]:
    """Makes them for the length of a block."""
    return Places


@pytest.fixture
def open_folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that everyone may use, which pytest's own are not."""
    with TemporaryDirectory() as name:
        Path(name).chmod(0o777)
        with monkeypatch.context() as context:
            context.chdir(name)
            yield Path(name)


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
    from unetplus_export.conversion import Request
    from unetplus_export.tflite import convert_tflite

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
