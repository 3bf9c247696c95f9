from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from unetplus_edge.errors import EngineError, InputError
from unetplus_export.conversion import Request
from unetplus_export.onnx import convert_onnx
from unetplus_runtime.engines.onnxruntime import OnnxRuntimeEngine

onnx = pytest.importorskip("onnx", reason="needs the export extra")
onnxruntime = pytest.importorskip("onnxruntime", reason="needs the onnx extra")

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from unetplus_edge.bundle import Bundle

FLOAT, HALF = onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16
N = "n"


@pytest.fixture(scope="module")
def patches() -> NDArray[np.float32]:
    return np.random.default_rng(0).random((5, 64, 64, 1), np.float32)


@pytest.fixture(scope="module")
def onnx_file(make_bundle: Callable[..., Bundle], keras_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny network's conversion in fp32, for any number of patches."""
    path = tmp_path_factory.mktemp("onnx") / "tiny.onnx"
    convert_onnx(Request(make_bundle(keras_file), "fp32", 64), path)
    return path


@pytest.fixture(scope="module")
def write(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Writes an ONNX file of nodes, with the shapes of its inputs and outputs."""

    def make(*nodes: Any, inputs: dict[str, Any], outputs: dict[str, Any], kind: int = FLOAT, **constants: Any) -> Path:
        ends = [
            [onnx.helper.make_tensor_value_info(name, kind, shape) for name, shape in part.items()]
            for part in (inputs, outputs)
        ]
        tensors = [onnx.numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
        graph = onnx.helper.make_graph(list(nodes), "test", *ends, tensors)
        model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
        onnx.checker.check_model(model)
        path: Path = tmp_path_factory.mktemp("onnx") / "net.onnx"
        onnx.save(model, path)
        return path

    return make


def node(operator: str, inputs: str, outputs: str, **attributes: Any) -> Any:
    return onnx.helper.make_node(operator, inputs.split(), outputs.split(), **attributes)


def one_less(shape: list[Any]) -> dict[str, Any]:
    """What makes a file that answers 1 - x."""
    return {"inputs": {"x": shape}, "outputs": {"y": shape}, "one": np.float32(1)}


def test_the_engine_says_what_it_opened(onnx_file: Path) -> None:
    with OnnxRuntimeEngine(onnx_file, threads=2) as engine:
        info = engine.info
    assert (info.engine, info.library, info.library_version) == ("onnxruntime", "onnxruntime", onnxruntime.__version__)
    assert (info.file, info.device, info.threads) == (onnx_file, "cpu", 2)
    assert (info.stored_precision, info.executed_precision) == ("fp32", "fp32")
    assert (info.batch, info.patch_side) == (1, 64)


def test_answers_are_those_of_keras(onnx_file: Path, keras_file: Path, patches: NDArray[np.float32]) -> None:
    import keras

    model = keras.saving.load_model(keras_file, compile=False)
    expected = keras.ops.convert_to_numpy(model(patches, training=False))
    assert expected.std() > 0.001
    with OnnxRuntimeEngine(onnx_file) as engine:
        np.testing.assert_allclose(engine.infer(patches), expected, atol=1e-5)


def test_the_answer_to_a_patch_does_not_depend_on_the_others(onnx_file: Path, patches: NDArray[np.float32]) -> None:
    with OnnxRuntimeEngine(onnx_file, threads=1) as engine:
        together = engine.infer(patches).copy()
        alone = np.concatenate([engine.infer(patches[number : number + 1]).copy() for number in range(5)])
    assert together.dtype == np.float32
    assert together.std() > 0.001
    np.testing.assert_array_equal(together, alone)


def test_patches_are_not_changed_and_answers_are_overwritten(onnx_file: Path, patches: NDArray[np.float32]) -> None:
    before = patches.copy()
    with OnnxRuntimeEngine(onnx_file) as engine:
        first = engine.infer(patches)
        kept = first.copy()
        engine.infer(1 - patches)
    np.testing.assert_array_equal(patches, before)
    assert not np.array_equal(first, kept)


def test_patches_may_lie_anywhere_in_memory(onnx_file: Path, patches: NDArray[np.float32]) -> None:
    turned = patches.transpose(0, 2, 1, 3)[::-1]
    fixed = turned.copy()
    fixed.flags.writeable = False
    with OnnxRuntimeEngine(onnx_file, threads=1) as engine:
        np.testing.assert_array_equal(engine.infer(turned).copy(), engine.infer(fixed))


def test_no_patches_have_no_answers(onnx_file: Path) -> None:
    with OnnxRuntimeEngine(onnx_file) as engine:
        assert engine.infer(np.zeros((0, 64, 64, 1), np.float32)).shape == (0, 64, 64, 1)


def test_patches_of_another_size_are_refused(onnx_file: Path) -> None:
    with OnnxRuntimeEngine(onnx_file) as engine, pytest.raises(InputError, match="PatchGrid of side 64"):
        engine.infer(np.zeros((1, 32, 32, 1), np.float32))


def test_a_closed_engine_is_refused(onnx_file: Path, patches: NDArray[np.float32]) -> None:
    engine = OnnxRuntimeEngine(onnx_file)
    engine.close()
    engine.close()
    with pytest.raises(EngineError, match="is closed"):
        engine.infer(patches)


@pytest.mark.parametrize("count", [1, 3, N])
def test_a_file_for_any_number_of_patches_opens(write: Callable[..., Path], count: Any) -> None:
    path = write(node("Sub", "one x", "y"), **one_less([count, 32, 32, 1]))
    ramp = np.linspace(0, 1, 5 * 32 * 32, dtype=np.float32).reshape(5, 32, 32, 1)
    with OnnxRuntimeEngine(path) as engine:
        assert (engine.info.patch_side, engine.info.batch) == (32, 3 if count == 3 else 1)
        np.testing.assert_allclose(engine.infer(ramp), 1 - ramp, atol=1e-6)


@pytest.mark.parametrize("content", [b"", b"not a network" * 100, b"\x08\x08"], ids=["empty", "text", "no graph"])
def test_a_file_that_is_no_network_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(content)
    with pytest.raises(EngineError, match=r"net\.onnx is no ONNX network .* unetplus-export"):
        OnnxRuntimeEngine(path)


def test_a_cut_off_network_is_refused(tmp_path: Path, onnx_file: Path) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(onnx_file.read_bytes()[: onnx_file.stat().st_size // 2])
    with pytest.raises(EngineError, match="is no ONNX network"):
        OnnxRuntimeEngine(path)


def test_networks_of_other_shapes_are_refused(write: Callable[..., Path]) -> None:
    subtract = node("Sub", "one x", "y")
    square = [N, 32, 32, 1]
    odd = {
        "not square": write(subtract, **one_less([N, 32, 48, 1])),
        "two channels": write(subtract, **one_less([N, 32, 32, 2])),
        "channels first": write(subtract, **one_less([N, 1, 32, 32])),
        "flat": write(subtract, **one_less([32])),
        "any side": write(subtract, **one_less([N, "side", "side", 1])),
        "smaller output": write(
            node("MaxPool", "x", "y", kernel_shape=[2, 1], strides=[2, 1]),
            inputs={"x": square},
            outputs={"y": [N, 32, 16, 1]},
        ),
        "two inputs": write(node("Sub", "x z", "y"), inputs={"x": square, "z": square}, outputs={"y": square}),
        "two outputs": write(
            node("Relu", "x", "y"), node("Sigmoid", "x", "z"), inputs={"x": square}, outputs={"y": square, "z": square}
        ),
        "float16": write(node("Relu", "x", "y"), inputs={"x": square}, outputs={"y": square}, kind=HALF),
    }
    for name, path in odd.items():
        with pytest.raises(EngineError, match="where float32 patches of shape"):
            OnnxRuntimeEngine(path)
        assert name


WEIGHT = np.linspace(-1, 1, 9, dtype=np.float32).reshape(1, 1, 3, 3)


def convolution(weight: NDArray[Any] = WEIGHT) -> dict[str, Any]:
    """Ends and constants of a file with a 3x3 convolution, around which the channels are in front of the rows."""
    shape = [N, 32, 32, 1]
    turns = {"first": np.array([-1, 1, 32, 32]), "last": np.array([-1, 32, 32, 1])}
    return {"inputs": {"x": shape}, "outputs": {"y": shape}, "weight": weight, **turns}


def test_what_float16_weights_are_computed_in_is_found_out(write: Callable[..., Path]) -> None:
    # The library has float16 convolutions for some processors, and widens the weights on all others. Of ones
    # the first convolution makes 2049 and 2048, and the second their difference; float16 has no 2049.
    weight = np.zeros((2, 1, 3, 3), np.float16)
    weight[:, 0, 1, 0], weight[0, 0, 1, 1] = 2048, 1
    nodes = [
        node("Cast", "x", "h", to=HALF),
        node("Reshape", "h first", "a"),
        node("Conv", "a weight", "b", pads=[1, 1, 1, 1]),
        node("Conv", "b difference", "c"),
        node("Reshape", "c last", "d"),
        node("Cast", "d", "y", to=FLOAT),
    ]
    difference = np.float16([1, -1]).reshape(1, 2, 1, 1)
    with OnnxRuntimeEngine(write(*nodes, **convolution(weight), difference=difference)) as engine:
        assert engine.info.stored_precision == "fp16"
        answer = engine.infer(np.ones((1, 32, 32, 1), np.float32))[0, 16, 16, 0]
        assert answer == {"fp32": 1, "fp16": 0}[engine.info.executed_precision]


def quantised(write: Callable[..., Path]) -> Path:
    """A file whose convolution reads int8, dequantised, and whose answer is not quantised."""
    nodes = [
        node("Reshape", "x first", "a"),
        node("QuantizeLinear", "a step zero", "q"),
        node("DequantizeLinear", "q step zero", "d"),
        node("QuantizeLinear", "weight step zero", "v"),
        node("DequantizeLinear", "v step zero", "w"),
        node("Conv", "d w", "b", pads=[1, 1, 1, 1]),
        node("Reshape", "b last", "y"),
    ]
    return write(*nodes, **convolution(), step=np.float32(1 / 127), zero=np.int8(0))


def test_quantised_values_are_computed_in_float32_as_the_file_says(write: Callable[..., Path]) -> None:
    patch = np.random.default_rng(0).random((1, 32, 32, 1), np.float32)
    steps = np.rint(WEIGHT[0, 0] * 127) / 127
    padded = np.pad(np.rint(patch[0, ..., 0] * 127) / 127, 1)
    expected = sum(
        steps[row, column] * padded[row : row + 32, column : column + 32] for row in range(3) for column in range(3)
    )
    with OnnxRuntimeEngine(quantised(write)) as engine:
        assert (engine.info.stored_precision, engine.info.executed_precision) == ("int8", "fp32")
        np.testing.assert_allclose(engine.infer(patch)[0, ..., 0], expected, atol=1e-5)
    with pytest.raises(EngineError, match="onnxruntime has precision fp32 here, not int8"):
        OnnxRuntimeEngine(quantised(write), execution="int8")


def test_integer_convolutions_are_executed_in_int8(write: Callable[..., Path]) -> None:
    nodes = [
        node("Reshape", "x first", "a"),
        node("QuantizeLinear", "a step middle", "q"),
        node("QLinearConv", "q step middle v step zero step middle", "r", pads=[1, 1, 1, 1]),
        node("DequantizeLinear", "r step middle", "b"),
        node("Reshape", "b last", "y"),
    ]
    constants = convolution() | {"v": np.arange(-4, 5, dtype=np.int8).reshape(1, 1, 3, 3)}
    path = write(*nodes, **constants, step=np.float32(1 / 127), middle=np.uint8(128), zero=np.int8(0))
    with OnnxRuntimeEngine(path, execution="int8") as engine:
        assert (engine.info.stored_precision, engine.info.executed_precision) == ("int8", "int8")


def test_a_precision_that_the_file_does_not_lead_to_is_refused(onnx_file: Path) -> None:
    for execution in ("fp16", "tf32", "int8"):
        with pytest.raises(EngineError, match=f"onnxruntime has precision fp32 here, not {execution}"):
            OnnxRuntimeEngine(onnx_file, execution=execution)  # type: ignore[arg-type]


def test_an_unknown_device_is_refused(onnx_file: Path) -> None:
    with pytest.raises(EngineError, match="onnxruntime computes on cpu, cuda, tensorrt, not on tpu"):
        OnnxRuntimeEngine(onnx_file, device="tpu")


@pytest.mark.parametrize(
    ("device", "provider"), [("cuda", "CUDAExecutionProvider"), ("tensorrt", "TensorrtExecutionProvider")]
)
def test_a_device_that_the_library_was_built_without_is_refused(
    onnx_file: Path, monkeypatch: pytest.MonkeyPatch, device: str, provider: str
) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(EngineError, match=f"has CPUExecutionProvider here, not {provider}; install onnxruntime-gpu"):
        OnnxRuntimeEngine(onnx_file, device=device)


def test_a_device_that_the_library_quietly_replaces_is_refused(onnx_file: Path) -> None:
    # Without a visible GPU the library goes on with the CPU, also where CUDA is part of it.
    code = """
import os
import sys
import warnings
from pathlib import Path
os.environ["CUDA_VISIBLE_DEVICES"] = ""
import onnxruntime
from unetplus_edge.errors import EngineError
from unetplus_runtime.engines.onnxruntime import OnnxRuntimeEngine
onnxruntime.get_available_providers = lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"]
warnings.simplefilter("ignore")
try:
    OnnxRuntimeEngine(Path(sys.argv[1]), device="cuda")
except EngineError as error:
    print(error)
"""
    said = run(code, onnx_file)
    assert "cannot start CUDAExecutionProvider" in said
    assert "would compute on CPUExecutionProvider" in said


@pytest.mark.gpu
def test_cuda_answers_as_the_cpu_does(onnx_file: Path, patches: NDArray[np.float32]) -> None:
    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        pytest.skip("this onnxruntime has no CUDA")
    with OnnxRuntimeEngine(onnx_file) as cpu, OnnxRuntimeEngine(onnx_file, device="cuda") as cuda:
        assert (cuda.info.device, cuda.info.executed_precision) == ("cuda", "fp32")
        np.testing.assert_allclose(cuda.infer(patches), cpu.infer(patches), atol=1e-4)


def run(code: str, *arguments: object) -> str:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_opening_needs_no_framework_and_no_onnx_package(onnx_file: Path) -> None:
    code = """
import sys
from pathlib import Path
import unetplus_runtime.engines.onnxruntime as room
assert "onnxruntime" not in sys.modules, "imported before it was opened"
for name in ("tensorflow", "keras", "torch", "onnx"):
    sys.modules[name] = None
with room.OnnxRuntimeEngine(Path(sys.argv[1])) as engine:
    print(engine.info.engine)
"""
    assert run(code, onnx_file) == "onnxruntime\n"


def test_without_the_library_the_error_says_what_to_install(onnx_file: Path) -> None:
    code = """
import sys
from pathlib import Path
sys.modules["onnxruntime"] = None
from unetplus_runtime.engines.onnxruntime import OnnxRuntimeEngine
try:
    OnnxRuntimeEngine(Path(sys.argv[1]))
except Exception as error:
    print(type(error).__name__, error)
"""
    said = run(code, onnx_file)
    assert said.startswith("EngineError the library of the onnxruntime engine is not installed; ")
    assert "pip install 'unetplus-edge[onnx]'" in said
