from __future__ import annotations

import subprocess
import sys
import warnings
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from unetplus_edge.errors import EngineError, InputError
from unetplus_export.calibration import Calibration
from unetplus_export.conversion import Request
from unetplus_export.tflite import convert_tflite
from unetplus_runtime.engines.litert import LiteRTEngine

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from unetplus_edge.bundle import Bundle


@pytest.fixture(scope="module")
def patches() -> NDArray[np.float32]:
    return np.random.default_rng(0).random((5, 64, 64, 1), np.float32)


@pytest.fixture(scope="module")
def convert(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Makes a TFLite file of a function with inputs of given shapes."""
    import tensorflow

    def make(function: Callable[..., Any], *shapes: tuple[int | None, ...], dtype: str = "float32") -> Path:
        signature = [tensorflow.TensorSpec(shape, dtype) for shape in shapes]
        module = tensorflow.Module()
        traced = tensorflow.function(function, input_signature=signature).get_concrete_function()
        path = tmp_path_factory.mktemp("tflite") / "net.tflite"
        path.write_bytes(tensorflow.lite.TFLiteConverter.from_concrete_functions([traced], module).convert())
        return path

    return make


def quantised(keras_file: Path, destination: Path, precision: str, ends: str = "float32") -> Path:
    import keras
    import tensorflow

    converter = tensorflow.lite.TFLiteConverter.from_keras_model(keras.saving.load_model(keras_file, compile=False))
    converter.optimizations = [tensorflow.lite.Optimize.DEFAULT]
    if precision == "fp16":
        converter.target_spec.supported_types = [tensorflow.float16]
    else:
        rng = np.random.default_rng(0)
        converter.representative_dataset = lambda: ([rng.random((1, 64, 64, 1), np.float32)] for _ in range(3))
        converter.target_spec.supported_ops = [tensorflow.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tensorflow.dtypes.as_dtype(ends)
    destination.write_bytes(converter.convert())
    return destination


@pytest.fixture(scope="module")
def int8_file(keras_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny network in int8, float32 at its ends."""
    with warnings.catch_warnings():
        # TensorFlow's converter means statistics of an older way of quantising.
        warnings.filterwarnings("ignore", "Statistics for quantized inputs were expected", UserWarning)
        return quantised(keras_file, tmp_path_factory.mktemp("int8") / "net.tflite", "int8")


def test_the_engine_says_what_it_opened(tflite_file: Path) -> None:
    with LiteRTEngine(tflite_file, threads=2) as engine:
        info = engine.info
    assert (info.engine, info.library, info.library_version) == ("litert", "ai-edge-litert", version("ai-edge-litert"))
    assert (info.file, info.device, info.threads) == (tflite_file, "cpu", 2)
    assert (info.stored_precision, info.executed_precision) == ("fp32", "fp32")
    assert (info.batch, info.patch_side) == (1, 64)


def test_the_answer_to_a_patch_does_not_depend_on_the_others(tflite_file: Path, patches: NDArray[np.float32]) -> None:
    with LiteRTEngine(tflite_file, threads=1) as engine:
        together = engine.infer(patches).copy()
        alone = np.concatenate([engine.infer(patches[number : number + 1]).copy() for number in range(5)])
    assert together.dtype == np.float32
    assert together.std() > 0.001
    np.testing.assert_array_equal(together, alone)


def test_patches_are_not_changed_and_answers_are_overwritten(tflite_file: Path, patches: NDArray[np.float32]) -> None:
    before = patches.copy()
    with LiteRTEngine(tflite_file) as engine:
        first = engine.infer(patches)
        kept = first.copy()
        engine.infer(1 - patches)
    np.testing.assert_array_equal(patches, before)
    assert not np.array_equal(first, kept)


def test_no_patches_have_no_answers(tflite_file: Path) -> None:
    with LiteRTEngine(tflite_file) as engine:
        assert engine.infer(np.zeros((0, 64, 64, 1), np.float32)).shape == (0, 64, 64, 1)


def test_patches_of_another_size_are_refused(tflite_file: Path) -> None:
    with LiteRTEngine(tflite_file) as engine, pytest.raises(InputError, match="PatchGrid of side 64"):
        engine.infer(np.zeros((1, 32, 32, 1), np.float32))


def test_a_closed_engine_is_refused(tflite_file: Path, patches: NDArray[np.float32]) -> None:
    engine = LiteRTEngine(tflite_file)
    engine.close()
    engine.close()
    with pytest.raises(EngineError, match="is closed"):
        engine.infer(patches)


def test_a_file_for_one_patch_and_a_file_for_any_number_both_open(convert: Callable[..., Path]) -> None:
    ramp = np.linspace(0, 1, 3 * 32 * 32, dtype=np.float32).reshape(3, 32, 32, 1)
    for count in (1, None):
        with LiteRTEngine(convert(lambda x: 1.0 - x, (count, 32, 32, 1))) as engine:
            assert engine.info.patch_side == 32
            np.testing.assert_allclose(engine.infer(ramp), 1 - ramp, atol=1e-6)


def test_a_file_for_several_patches_a_call_takes_any_number(convert: Callable[..., Path]) -> None:
    ramp = np.linspace(0, 1, 7 * 32 * 32, dtype=np.float32).reshape(7, 32, 32, 1)
    with LiteRTEngine(convert(lambda x: 1.0 - x, (4, 32, 32, 1))) as engine:
        assert engine.info.batch == 4
        for count in (7, 4, 3, 0):
            np.testing.assert_allclose(engine.infer(ramp[:count]), 1 - ramp[:count], atol=1e-6)


@pytest.mark.parametrize("content", [b"", b"not a network" * 100], ids=["empty", "text"])
def test_a_file_that_is_no_network_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "net.tflite"
    path.write_bytes(content)
    with pytest.raises(EngineError, match=r"net\.tflite is no TFLite network .* unetplus-export"):
        LiteRTEngine(path)


def test_a_cut_off_network_is_refused(tmp_path: Path, tflite_file: Path) -> None:
    path = tmp_path / "net.tflite"
    path.write_bytes(tflite_file.read_bytes()[: tflite_file.stat().st_size // 2])
    with pytest.raises(EngineError, match="is no TFLite network"):
        LiteRTEngine(path)


def test_networks_of_other_shapes_are_refused(convert: Callable[..., Path]) -> None:
    odd = {
        "not square": convert(lambda x: 1.0 - x, (1, 32, 48, 1)),
        "two channels": convert(lambda x: 1.0 - x, (1, 32, 32, 2)),
        "flat": convert(lambda x: 1.0 - x, (32,)),
        "smaller output": convert(lambda x: 1.0 - x[:, ::2, ::2], (1, 32, 32, 1)),
        "two inputs": convert(lambda x, y: x - y, (1, 32, 32, 1), (1, 32, 32, 1)),
        "two outputs": convert(lambda x: (1.0 - x, x * 2.0), (1, 32, 32, 1)),
        "integers": convert(lambda x: 1 - x, (1, 32, 32, 1), dtype="int32"),
    }
    for name, path in odd.items():
        with pytest.raises(EngineError, match="where float32 patches of shape"):
            LiteRTEngine(path)
        assert name


def test_precision_is_read_from_the_file(
    keras_file: Path, int8_file: Path, tmp_path: Path, patches: NDArray[np.float32]
) -> None:
    with LiteRTEngine(quantised(keras_file, tmp_path / "half.tflite", "fp16")) as engine:
        # LiteRT widens them: the file is smaller, the arithmetic the same.
        assert (engine.info.stored_precision, engine.info.executed_precision) == ("fp16", "fp32")
    with LiteRTEngine(int8_file, execution="int8") as engine:
        assert (engine.info.stored_precision, engine.info.executed_precision) == ("int8", "int8")
        assert len(np.unique(engine.infer(patches))) <= 256
    with pytest.raises(EngineError, match="litert has precision int8 here, not fp32"):
        LiteRTEngine(int8_file, execution="fp32")


# TensorFlow's converter means statistics of an older way of quantising.
@pytest.mark.filterwarnings("ignore:Statistics for quantized inputs were expected:UserWarning")
@pytest.mark.parametrize("ends", ["int8", "uint8"])
def test_whole_numbers_at_the_ends_are_values_to_the_caller(
    keras_file: Path, int8_file: Path, tmp_path: Path, patches: NDArray[np.float32], ends: str
) -> None:
    with LiteRTEngine(int8_file) as engine:
        expected = engine.infer(patches).copy()
    with LiteRTEngine(quantised(keras_file, tmp_path / "whole.tflite", "int8", ends)) as engine:
        assert (engine.info.stored_precision, engine.info.executed_precision) == ("int8", "int8")
        found = engine.infer(patches)
    assert found.dtype == np.float32
    # One step of the sigmoid's output: the interpreter rounds halves in another way.
    np.testing.assert_allclose(found, expected, atol=1 / 256 + 1e-6)
    assert (found == expected).mean() > 0.99


def test_precision_is_that_of_most_of_the_weights(bundle: Bundle, tmp_path: Path, patches: NDArray[np.float32]) -> None:
    kept = ("c1_1_conv", "c1_2_conv", "c2_1_conv", "d1_1_conv", "d1_2_conv", "d2_1_conv", "u2_a_conv", "u2_b_conv")
    calibration = Calibration(np.random.default_rng(0).random((8, 64, 64, 1), np.float32), "", False, "0" * 64)
    for keep, expected in (((), "int8"), (kept, "fp32")):
        path = tmp_path / f"{expected}.tflite"
        convert_tflite(Request(bundle, "int8", patch_side=64, calibration=calibration, keep=keep), path)
        with LiteRTEngine(path) as engine:
            assert (engine.info.stored_precision, engine.info.executed_precision) == (expected, expected)
            assert engine.infer(patches).std() > 0.001


def test_another_device_is_refused(tflite_file: Path) -> None:
    with pytest.raises(EngineError, match="litert has device cpu here, not gpu"):
        LiteRTEngine(tflite_file, device="gpu")


def run(code: str, *arguments: object) -> str:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_opening_imports_no_framework(tflite_file: Path) -> None:
    code = """
import sys
from pathlib import Path
import unetplus_runtime
assert not any("litert" in name.split(".")[0] for name in sys.modules), "imported before it was opened"
with unetplus_runtime.open_engine(Path(sys.argv[1])) as engine:
    print(engine.info.engine, sorted({"tensorflow", "keras", "jax", "torch"} & set(sys.modules)))
"""
    assert run(code, tflite_file) == "litert []\n"


def test_without_an_interpreter_the_error_says_what_to_install(tflite_file: Path) -> None:
    code = """
import sys
from pathlib import Path
sys.modules["ai_edge_litert"] = sys.modules["tflite_runtime"] = None
import unetplus_runtime
try:
    unetplus_runtime.open_engine(Path(sys.argv[1]))
except unetplus_runtime.engines.EngineError as error:
    print(error)
"""
    assert "is not installed; run: pip install 'unetplus-edge'" in run(code, tflite_file)


def test_an_old_boards_interpreter_is_taken_where_it_is_the_one_installed(tflite_file: Path, tmp_path: Path) -> None:
    # The same interpreter under the name, and with the metadata, of its predecessor.
    (tmp_path / "tflite_runtime").mkdir()
    (tmp_path / "tflite_runtime" / "__init__.py").touch()
    (tmp_path / "tflite_runtime-2.14.0.dist-info").mkdir()
    metadata = tmp_path / "tflite_runtime-2.14.0.dist-info" / "METADATA"
    metadata.write_text("Metadata-Version: 2.1\nName: tflite-runtime\nVersion: 2.14.0\n")
    code = """
import sys
from pathlib import Path
import ai_edge_litert.interpreter
sys.modules["tflite_runtime.interpreter"] = ai_edge_litert.interpreter
sys.modules["ai_edge_litert"] = None
sys.path.insert(0, sys.argv[2])
import unetplus_runtime
with unetplus_runtime.open_engine(Path(sys.argv[1])) as engine:
    print(engine.info.library, engine.info.library_version)
"""
    assert run(code, tflite_file, tmp_path) == "tflite-runtime 2.14.0\n"
