from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import version
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from unetplus_edge.errors import EngineError, InputError
from unetplus_export.conversion import Request
from unetplus_export.openvino import convert_openvino
from unetplus_runtime.engines.openvino import OpenVINOEngine, import_openvino

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from unetplus_edge.bundle import Bundle
    from unetplus_edge.manifest import Precision

if find_spec("openvino") is None:
    pytest.skip("needs the openvino extra", allow_module_level=True)


@pytest.fixture(scope="module")
def patches() -> NDArray[np.float32]:
    return np.random.default_rng(0).random((5, 64, 64, 1), np.float32)


@pytest.fixture(scope="module")
def openvino_file(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("openvino") / "tiny.xml"
    convert_openvino(Request(bundle, "fp32", patch_side=64), path)
    return path


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Writes an OpenVINO file of a function of inputs of given shapes."""
    ov = import_openvino()

    def make(function: Callable[..., Any], *shapes: list[int], dtype: type = np.float32, half: bool = False) -> Path:
        inputs = [ov.opset13.parameter(shape, dtype) for shape in shapes]
        outputs = function(ov.opset13, *inputs)
        path = tmp_path / f"net{len(list(tmp_path.iterdir()))}.xml"
        ov.save_model(
            ov.Model(outputs if isinstance(outputs, list) else [outputs], inputs), path, compress_to_fp16=half
        )
        return path

    return make


def inverted(ops: Any, image: Any) -> Any:
    return ops.subtract(np.float32(1), image)


def doubled(ops: Any, image: Any, *, weights: str, rounded: bool = False) -> Any:
    """Twice the image, by a convolution with one weight."""
    x = ops.transpose(image, [0, 3, 1, 2])
    if rounded:
        x = ops.fake_quantize(x, np.float32(0), np.float32(1), np.float32(0), np.float32(1), 256)
    kernel = np.zeros((1, 1, 3, 3), np.float32)
    kernel[0, 0, 1, 1] = 2
    if weights == "int8":
        stored = ops.constant(kernel.astype(np.int8) * 50)
        kernel = ops.multiply(ops.convert(stored, "f32"), np.full((1, 1, 1, 1), 0.02, np.float32))
    x = ops.convolution(x, kernel, [1, 1], [1, 1], [1, 1], [1, 1])
    return ops.transpose(x, [0, 2, 3, 1])


def capabilities() -> list[str]:
    found: list[str] = import_openvino().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return found


def ramp(count: int) -> NDArray[np.float32]:
    return np.linspace(0, 1, count * 32 * 32, dtype=np.float32).reshape(count, 32, 32, 1)


def test_the_engine_says_what_it_opened(openvino_file: Path) -> None:
    with OpenVINOEngine(openvino_file, threads=1) as engine:
        info = engine.info
    assert (info.engine, info.library, info.library_version) == ("openvino", "openvino", version("openvino"))
    assert (info.file, info.device, info.threads) == (openvino_file, "cpu", 1)
    assert (info.stored_precision, info.executed_precision) == ("fp32", "fp32")
    assert (info.batch, info.patch_side) == (1, 64)


def test_answers_are_those_of_keras(openvino_file: Path, keras_file: Path, patches: NDArray[np.float32]) -> None:
    import keras

    expected = keras.saving.load_model(keras_file, compile=False).predict_on_batch(patches)
    with OpenVINOEngine(openvino_file) as engine:
        np.testing.assert_allclose(engine.infer(patches), expected, atol=1e-5)


def test_the_answer_to_a_patch_does_not_depend_on_the_others(openvino_file: Path, patches: NDArray[np.float32]) -> None:
    with OpenVINOEngine(openvino_file, threads=1) as engine:
        together = engine.infer(patches).copy()
        alone = np.concatenate([engine.infer(patches[number : number + 1]).copy() for number in range(5)])
    assert together.dtype == np.float32
    assert together.std() > 0.001
    np.testing.assert_array_equal(together, alone)


def test_patches_are_not_changed_and_answers_are_overwritten(openvino_file: Path, patches: NDArray[np.float32]) -> None:
    before = patches.copy()
    with OpenVINOEngine(openvino_file) as engine:
        first = engine.infer(patches)
        kept = first.copy()
        engine.infer(1 - patches)
    np.testing.assert_array_equal(patches, before)
    assert not np.array_equal(first, kept)


def test_patches_may_be_read_only_and_spread_in_memory(openvino_file: Path, patches: NDArray[np.float32]) -> None:
    spread = np.asfortranarray(patches)[::2]
    spread.flags.writeable = False
    with OpenVINOEngine(openvino_file) as engine:
        expected = engine.infer(np.ascontiguousarray(patches[::2])).copy()
        np.testing.assert_array_equal(engine.infer(spread), expected)


def test_no_patches_have_no_answers(openvino_file: Path) -> None:
    with OpenVINOEngine(openvino_file) as engine:
        assert engine.infer(np.zeros((0, 64, 64, 1), np.float32)).shape == (0, 64, 64, 1)


def test_patches_of_another_size_are_refused(openvino_file: Path) -> None:
    with OpenVINOEngine(openvino_file) as engine, pytest.raises(InputError, match="PatchGrid of side 64"):
        engine.infer(np.zeros((1, 32, 32, 1), np.float32))


def test_a_closed_engine_is_refused(openvino_file: Path, patches: NDArray[np.float32]) -> None:
    engine = OpenVINOEngine(openvino_file)
    engine.close()
    engine.close()
    with pytest.raises(EngineError, match="is closed"):
        engine.infer(patches)


@pytest.mark.parametrize("count", [1, -1, 4], ids=["one", "any number", "four"])
def test_files_for_one_patch_for_any_number_and_for_some_all_open(write: Callable[..., Path], count: int) -> None:
    with OpenVINOEngine(write(inverted, [count, 32, 32, 1])) as engine:
        assert engine.info.patch_side == 32
        np.testing.assert_allclose(engine.infer(ramp(3)), 1 - ramp(3), atol=1e-6)


def test_an_onnx_file_opens(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx", reason="needs the export extra")
    ends = [
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["n", 32, 32, 1])
        for name in ("image", "probability")
    ]
    one = onnx.numpy_helper.from_array(np.ones(1, np.float32), "one")
    node = onnx.helper.make_node("Sub", ["one", "image"], ["probability"])
    graph = onnx.helper.make_graph([node], "net", ends[:1], ends[1:], [one])
    opset = onnx.helper.make_opsetid("", 17)
    onnx.save(onnx.helper.make_model(graph, opset_imports=[opset], ir_version=8), tmp_path / "net.onnx")
    with OpenVINOEngine(tmp_path / "net.onnx") as engine:
        np.testing.assert_allclose(engine.infer(ramp(2)), 1 - ramp(2), atol=1e-6)


@pytest.mark.parametrize("suffix", [".xml", ".onnx"])
@pytest.mark.parametrize("content", [b"", b"not a network" * 100], ids=["empty", "text"])
def test_a_file_that_is_no_network_is_refused(
    tmp_path: Path, content: bytes, suffix: str, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / f"net{suffix}"
    path.write_bytes(content)
    path.with_suffix(".bin").write_bytes(bytes(100))
    with pytest.raises(EngineError, match=rf"net\{suffix} .* convert it again.* unetplus-export"):
        OpenVINOEngine(path)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("part", [".xml", ".bin"])
def test_a_cut_off_network_is_refused(tmp_path: Path, openvino_file: Path, part: str) -> None:
    for suffix in (".xml", ".bin"):
        content = openvino_file.with_suffix(suffix).read_bytes()
        (tmp_path / f"net{suffix}").write_bytes(content[: len(content) // 2] if suffix == part else content)
    with pytest.raises(EngineError, match=r"net\.xml is no network that OpenVINO .* reads"):
        OpenVINOEngine(tmp_path / "net.xml")


def test_a_network_without_its_weights_is_refused(tmp_path: Path, openvino_file: Path) -> None:
    (tmp_path / "net.xml").write_bytes(openvino_file.read_bytes())
    with pytest.raises(EngineError, match=r"has its weights in net\.bin, which is not beside it; copy both files"):
        OpenVINOEngine(tmp_path / "net.xml")


@pytest.mark.parametrize("name", ["net.xml", "net.onnx"])
def test_a_file_that_is_not_there_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(EngineError, match="is no network"):
        OpenVINOEngine(tmp_path / name)


SQUARE = [-1, 32, 32, 1]
ODD: dict[str, tuple[Callable[..., Any], list[list[int]], type]] = {
    "not square": (inverted, [[1, 32, 48, 1]], np.float32),
    "any size": (inverted, [[-1, -1, -1, 1]], np.float32),
    "two channels": (inverted, [[1, 32, 32, 2]], np.float32),
    "flat": (inverted, [[32]], np.float32),
    "smaller output": (lambda ops, x: ops.reduce_max(x, [1, 2], keep_dims=True), [SQUARE], np.float32),
    "always four": (lambda ops, x: ops.add(x, np.ones((4, 1, 1, 1), np.float32)), [[4, 32, 32, 1]], np.float32),
    "two inputs": (lambda ops, x, y: ops.subtract(x, y), [SQUARE, SQUARE], np.float32),
    "two outputs": (lambda ops, x: [inverted(ops, x), ops.abs(x)], [SQUARE], np.float32),
    "integers": (lambda ops, x: ops.abs(x), [SQUARE], np.int32),
}


@pytest.mark.parametrize(("function", "shapes", "dtype"), ODD.values(), ids=ODD)
def test_networks_of_other_shapes_are_refused(
    write: Callable[..., Path], function: Callable[..., Any], shapes: list[list[int]], dtype: type
) -> None:
    path = write(function, *shapes, dtype=dtype)
    with pytest.raises(EngineError, match="where float32 patches of shape"):
        OpenVINOEngine(path)


def test_stored_precision_is_read_from_the_weights(write: Callable[..., Path]) -> None:
    for half, stored in ((False, "fp32"), (True, "fp16")):
        path = write(lambda ops, x: doubled(ops, x, weights="fp32"), [-1, 32, 32, 1], half=half)
        with OpenVINOEngine(path) as engine:
            assert (engine.info.stored_precision, engine.info.executed_precision) == (stored, "fp32")
            np.testing.assert_allclose(engine.infer(ramp(1)), 2 * ramp(1), rtol=1e-3)


def test_8_bits_are_said_to_be_computed_in_where_they_are(write: Callable[..., Path]) -> None:
    path = write(lambda ops, x: doubled(ops, x, weights="int8", rounded=True), [-1, 32, 32, 1])
    with OpenVINOEngine(path) as engine:
        executed = engine.info.executed_precision
        assert (engine.info.stored_precision, executed == "int8") == ("int8", "INT8" in capabilities())
        found = engine.infer(ramp(1))
        np.testing.assert_allclose(found, 2 * ramp(1), atol=2 / 255)
        assert len(np.unique(found)) <= 256
    other: Precision = "fp32" if executed == "int8" else "int8"
    with pytest.raises(EngineError, match=f"openvino has precision {executed} here, not {other}"):
        OpenVINOEngine(path, execution=other)


def test_8_bit_weights_that_are_widened_first_are_not_said_to_be_computed_in_8_bits(write: Callable[..., Path]) -> None:
    path = write(lambda ops, x: doubled(ops, x, weights="int8"), [-1, 32, 32, 1])
    with OpenVINOEngine(path) as engine:
        assert (engine.info.stored_precision, engine.info.executed_precision) == ("int8", "fp32")
        np.testing.assert_allclose(engine.infer(ramp(1)), 2 * ramp(1), atol=1e-6)
    with pytest.raises(EngineError, match="openvino has precision fp32 here, not int8"):
        OpenVINOEngine(path, execution="int8")


def test_bf16_is_computed_in_or_refused_as_the_processor_has_it(
    openvino_file: Path, patches: NDArray[np.float32]
) -> None:
    if "BF16" not in capabilities():
        with pytest.raises(EngineError, match=r"openvino has precision fp32.* here, not bf16"):
            OpenVINOEngine(openvino_file, execution="bf16")
        return
    with OpenVINOEngine(openvino_file, execution="bf16") as engine, OpenVINOEngine(openvino_file) as exact:
        assert (engine.info.executed_precision, exact.info.executed_precision) == ("bf16", "fp32")
        assert 1e-5 < np.abs(engine.infer(patches) - exact.infer(patches)).max() < 0.1


@pytest.mark.parametrize("offered", [["FP32"], ["FP32", "BF16"]])
def test_a_precision_is_refused_where_the_library_does_not_offer_it(
    openvino_file: Path, monkeypatch: pytest.MonkeyPatch, offered: list[str]
) -> None:
    ov = import_openvino()
    known = ov.Core.get_property

    def get_property(core: Any, device: str, name: str) -> Any:
        return offered if name == "OPTIMIZATION_CAPABILITIES" else known(core, device, name)

    monkeypatch.setattr(ov.Core, "get_property", get_property)
    told = " or ".join(name.lower() for name in offered)
    with pytest.raises(EngineError, match=f"openvino has precision {told} here, not fp16; ask for {told}"):
        OpenVINOEngine(openvino_file, execution="fp16")


@pytest.mark.parametrize("execution", ["int8", "tf32"])
def test_a_precision_that_the_file_has_not_is_refused(openvino_file: Path, execution: Any) -> None:
    with pytest.raises(EngineError, match=rf"openvino has precision fp32.* here, not {execution}"):
        OpenVINOEngine(openvino_file, execution=execution)


def test_another_device_is_refused_with_those_that_are_there(openvino_file: Path) -> None:
    with pytest.raises(EngineError, match=r"openvino has no device toaster here; it has .*cpu"):
        OpenVINOEngine(openvino_file, device="toaster")
    # What would choose a device of its own.
    with pytest.raises(EngineError, match="openvino has no device auto here"):
        OpenVINOEngine(openvino_file, device="auto")


def test_without_a_number_every_physical_core_is_used(openvino_file: Path) -> None:
    with OpenVINOEngine(openvino_file) as engine:
        assert 1 <= engine.info.threads <= (os.cpu_count() or 1)
    with pytest.raises(InputError, match="0 threads"):
        OpenVINOEngine(openvino_file, threads=0)


def run(code: str, *arguments: object, home: Path) -> str:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    # Some libraries tell nobody in continuous integration; a home of its own shows what is written there.
    environment = {name: value for name, value in os.environ.items() if name != "CI"} | {"HOME": str(home)}
    return subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout


def test_opening_imports_no_framework_and_tells_nobody(openvino_file: Path, tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
import unetplus_runtime
from unetplus_runtime.engines.openvino import OpenVINOEngine
assert "openvino" not in sys.modules, "imported before it was opened"
with OpenVINOEngine(Path(sys.argv[1])) as engine:
    print(engine.info.engine, sorted({"tensorflow", "keras", "jax", "torch", "openvino_telemetry"} & set(sys.modules)))
"""
    assert run(code, openvino_file, home=tmp_path) == "openvino []\n"
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_written_where_the_network_lies(openvino_file: Path, patches: NDArray[np.float32]) -> None:
    before = set(openvino_file.parent.iterdir())
    with OpenVINOEngine(openvino_file) as engine:
        engine.infer(patches)
    assert set(openvino_file.parent.iterdir()) == before


def test_without_the_library_the_error_says_what_to_install(openvino_file: Path, tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
sys.modules["openvino"] = None
from unetplus_edge.errors import EngineError
from unetplus_runtime.engines.openvino import OpenVINOEngine
try:
    OpenVINOEngine(Path(sys.argv[1]))
except EngineError as error:
    print(error)
"""
    said = run(code, openvino_file, home=tmp_path)
    assert "is not installed; run: pip install 'unetplus-edge[openvino]'" in said
