from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest

from unetplus_edge.errors import EngineError, InputError
from unetplus_runtime.engines.keras import KerasEngine
from unetplus_runtime.engines.litert import LiteRTEngine

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


@pytest.fixture(scope="module")
def patches() -> NDArray[np.float32]:
    """More than one batch, and no whole number of them."""
    return np.random.default_rng(0).random((11, 64, 64, 1), np.float32)


def test_the_engine_says_what_it_opened(keras_file: Path) -> None:
    import keras

    with KerasEngine(keras_file) as engine:
        info = engine.info
    assert (info.engine, info.library, info.library_version) == ("keras", "keras on tensorflow", keras.__version__)
    assert (info.file, info.device) == (keras_file, "cpu")
    assert (info.stored_precision, info.executed_precision) == ("fp32", "fp32")
    assert (info.batch, info.patch_side) == (None, 64)
    assert info.threads >= 1


def test_answers_are_those_of_the_model(keras_file: Path, patches: NDArray[np.float32]) -> None:
    import keras

    model = keras.saving.load_model(keras_file, compile=False)
    expected = np.concatenate([np.asarray(model(patch[np.newaxis], training=False)) for patch in patches])
    with KerasEngine(keras_file) as engine:
        np.testing.assert_allclose(engine.infer(patches), expected, atol=1e-6)


def test_litert_and_keras_agree(keras_file: Path, tflite_file: Path, patches: NDArray[np.float32]) -> None:
    with KerasEngine(keras_file) as keras_engine, LiteRTEngine(tflite_file) as litert_engine:
        answers = keras_engine.infer(patches)
        assert answers.std() > 0.001
        np.testing.assert_allclose(litert_engine.infer(patches), answers, atol=1e-4)


def test_answers_are_overwritten_by_the_next_call(keras_file: Path, patches: NDArray[np.float32]) -> None:
    with KerasEngine(keras_file) as engine:
        first = engine.infer(patches)
        kept = first.copy()
        engine.infer(1 - patches)
        assert not np.array_equal(first, kept)
        assert engine.infer(patches[:0]).shape == (0, 64, 64, 1)


def test_patches_of_another_size_and_a_closed_engine_are_refused(keras_file: Path) -> None:
    with KerasEngine(keras_file) as engine, pytest.raises(InputError, match="PatchGrid of side 64"):
        engine.infer(np.zeros((1, 32, 32, 1), np.float32))
    with pytest.raises(EngineError, match="is closed"):
        engine.infer(np.zeros((1, 64, 64, 1), np.float32))


@pytest.mark.parametrize("content", [b"", b"not a network" * 100], ids=["empty", "text"])
def test_a_file_that_is_no_model_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "net.keras"
    path.write_bytes(content)
    with pytest.raises(EngineError, match=r"net\.keras is no Keras model that can be loaded"):
        KerasEngine(path)


def test_networks_of_other_shapes_are_refused(tmp_path: Path) -> None:
    import keras

    for name, shape in {"fixed.keras": (32, 48, 1), "channels.keras": (32, 32, 3), "flat.keras": (32,)}.items():
        image = keras.Input(shape)
        keras.Model(image, keras.layers.ReLU()(image)).save(tmp_path / name)
        with pytest.raises(EngineError, match="this engine runs float32 networks"):
            KerasEngine(tmp_path / name)


def test_a_network_that_was_trained_with_dropout_opens(tmp_path: Path, patches: NDArray[np.float32]) -> None:
    """It keeps the states of its random numbers, which are integers, among its variables."""
    from unetplus_edge.architectures import UNetPlusPlus
    from unetplus_edge.networks import build_network

    model = build_network(UNetPlusPlus(base_filters=2, depth=2), (64, 64))
    model.save(tmp_path / "dropout.keras")
    with KerasEngine(tmp_path / "dropout.keras") as engine:
        expected = np.asarray(model(patches[:1], training=False))
        np.testing.assert_allclose(engine.infer(patches[:1]), expected, atol=1e-6)


def test_a_network_that_computes_in_bfloat16_is_refused(tmp_path: Path) -> None:
    """The checkpoint of a training is one; its bundle is not."""
    from unetplus_edge.architectures import UNetPlus
    from unetplus_edge.networks import build_network

    build_network(UNetPlus(base_filters=2, depth=2), (64, 64), "mixed_bfloat16").save(tmp_path / "mixed.keras")
    with pytest.raises(EngineError, match=r"mixed\.keras .* computes in bfloat16, float32; this engine"):
        KerasEngine(tmp_path / "mixed.keras")


def test_another_precision_or_device_is_refused(keras_file: Path) -> None:
    with pytest.raises(EngineError, match="keras has precision fp32 here, not fp16"):
        KerasEngine(keras_file, execution="fp16")
    with pytest.raises(EngineError, match="keras has device cpu here, not gpu"):
        KerasEngine(keras_file, device="gpu")


def test_threads_that_tensorflow_no_longer_takes_are_refused(keras_file: Path) -> None:
    with KerasEngine(keras_file), pytest.raises(EngineError, match="keeps its number of threads"):
        KerasEngine(keras_file, threads=len(os.sched_getaffinity(0)) + 1)


@pytest.mark.slow
def test_the_first_engine_of_a_process_sets_the_threads(keras_file: Path) -> None:
    code = """
import sys
from pathlib import Path
import unetplus_runtime
with unetplus_runtime.open_engine(Path(sys.argv[1]), threads=1) as engine:
    import tensorflow
    print(engine.info.threads, tensorflow.config.threading.get_intra_op_parallelism_threads())
"""
    command = [sys.executable, "-c", code, str(keras_file)]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout == "1 1\n"


def test_without_keras_the_error_says_what_to_install(keras_file: Path) -> None:
    code = """
import sys
from pathlib import Path
sys.modules["keras"] = None
import unetplus_runtime
try:
    unetplus_runtime.open_engine(Path(sys.argv[1]))
except unetplus_runtime.engines.EngineError as error:
    print(error)
"""
    command = [sys.executable, "-c", code, str(keras_file)]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert "is not installed; run: pip install 'unetplus-edge[train]'" in printed
