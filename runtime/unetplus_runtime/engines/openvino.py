"""OpenVINO engine: its own IR files, and ONNX files, on Intel's and other CPUs and on Intel's GPUs."""

from __future__ import annotations

import sys
from collections import Counter
from contextlib import contextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from unetplus_edge.errors import EngineError
from unetplus_runtime.engines.base import (
    AnswerBuffer,
    EngineInfo,
    missing,
    require_option,
    thread_count,
    whole_frame,
)
from unetplus_runtime.engines.lanes import LanedNetwork
from unetplus_runtime.engines.openvino_shapes import resize

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import ModuleType

    from numpy.typing import NDArray

    from unetplus_edge.manifest import Precision

_FRONT_ENDS = {".xml": "ir", ".onnx": "onnx"}
_HINTS: dict[Precision, str] = {"fp32": "f32", "fp16": "f16", "bf16": "bf16"}
_EXECUTED: dict[str, Precision] = {"f32": "fp32", "f16": "fp16", "bf16": "bf16", "i8": "int8", "u8": "int8"}


class OpenVINOEngine(LanedNetwork):
    """An `.xml` or `.onnx` network, one patch a call of the library, or one frame of any size.

    Parameters
    ----------
    path
        An OpenVINO IR file with its weights beside it in the `.bin` file of the same name, or an
        ONNX file; with one float32 input and one float32 output, both of shape (1, side, side, 1)
        or (any number, side, side, 1).
    device
        "cpu", or another of the library's names, such as "gpu" for Intel's graphics.
    threads
        Threads on the CPU; None takes one for every physical core that the process may use.
    execution
        Precision to compute in: "fp32", or where the device has them "bf16" and "fp16". None takes
        fp32, also for what a file with 8-bit weights does not compute in 8 bits. Such a file has
        no other.

    Raises
    ------
    EngineError
        If OpenVINO is not installed, the file is damaged or no network of ours, or it cannot be
        run as asked.
    """

    def __init__(
        self, path: Path, *, device: str = "cpu", threads: int | None = None, execution: Precision | None = None
    ) -> None:
        super().__init__()
        try:
            self._ov = ov = import_openvino()
        except ImportError as error:
            raise missing("openvino", "unetplus-edge[openvino]", error) from error
        self._path, self._version = path, version("openvino")
        self._core = ov.Core()
        device = device.lower()
        _require_device(self._core, device)
        model = _read(ov, path, self._version)
        self._side = _one_patch(model, path)
        stored = _stored_precision(model)
        self._device = device.upper()
        self._settings = _settings(self._core, device, stored, execution, threads)
        compiled = self._compile(model, self._settings)
        # What was asked for is a hint, which a device that cannot follow it passes over in silence.
        executed = _executed_precision(compiled.get_runtime_model(), self._settings["INFERENCE_PRECISION_HINT"])
        require_option("openvino", "precision", execution, executed)
        self._held = _Request(ov, compiled, (self._side, self._side))
        self._answers = AnswerBuffer(self._side)
        self._frames: _Request | None = None
        self.info = EngineInfo(
            engine="openvino",
            library="openvino",
            library_version=self._version,
            file=path,
            stored_precision=stored,
            executed_precision=executed,
            device=device,
            threads=compiled.get_property("INFERENCE_NUM_THREADS") if device == "cpu" else 1,
            batch=1,
            patch_side=self._side,
        )

    def infer_frame(self, frame: NDArray[np.float32], out: NDArray[np.float32]) -> None:
        """Write the nucleus probabilities of a whole frame, of whatever size, in one piece.

        Parameters
        ----------
        frame
            float32 in [0, 1], shape (height, width). Sides that the network cannot halve as often as
            it does are continued by zeros. For every new size the network is compiled anew.
        out
            float32, same shape: where they are written.

        Raises
        ------
        EngineError
            If the engine is closed, or its file cannot be made to take frames of that size.
        """
        self._network()
        height, width = map(whole_frame, frame.shape)
        if self._frames is None or self._frames.shape != (height, width):
            self._frames = None  # before the next one takes memory
            model = _read(self._ov, self._path, self._version)
            _one_patch(model, self._path)
            resize(self._ov, model, self._side, (height, width), self._path)
            self._frames = _Request(self._ov, self._compile(model, self._settings), (height, width))
        self._frames.infer_frame(frame, out)

    def close(self) -> None:
        """Free the network and its memory."""
        super().close()
        self._frames = None

    def _shared(self) -> _Request:
        request: _Request = self._network()
        return request

    def _open_lanes(self, count: int) -> list[_Request]:
        model = _read(self._ov, self._path, self._version)
        side = _one_patch(model, self._path)
        settings = {
            **self._settings,
            "NUM_STREAMS": count,
            "INFERENCE_NUM_THREADS": count,
            "PERFORMANCE_HINT": "THROUGHPUT",
            # The threads are the caller's, and do other work in between.
            "ENABLE_CPU_PINNING": False,
        }
        compiled = self._compile(model, settings)
        return [_Request(self._ov, compiled, (side, side)) for _ in range(count)]

    def _compile(self, model: Any, settings: dict[str, Any]) -> Any:
        try:
            return self._core.compile_model(model, self._device, settings)
        except RuntimeError as error:
            raise EngineError(
                f"OpenVINO {self._version} cannot run {self._path} on {self._device.lower()} ({_reason(error)})"
            ) from error


class _Request:
    """A compiled network for one image at a time, with memory of its own for what goes in and out."""

    def __init__(self, ov: Any, compiled: Any, shape: tuple[int, int]) -> None:
        self.shape = shape
        self._input, self._output = np.zeros((2, 1, *shape, 1), np.float32)
        self._request = compiled.create_infer_request()
        self._request.set_input_tensor(ov.Tensor(self._input, shared_memory=True))
        self._request.set_output_tensor(ov.Tensor(self._output, shared_memory=True))
        self._answers = AnswerBuffer(shape[0])

    def infer(self, patches: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the probabilities of patches."""
        if len(patches) == 1:
            self._input[:] = patches
            self._run()
            return self._output
        answers = self._answers.first(len(patches))
        for patch, answer in zip(patches, answers, strict=True):
            self._input[0] = patch
            self._run()
            answer[:] = self._output[0]
        return answers

    def infer_frame(self, frame: NDArray[np.float32], out: NDArray[np.float32]) -> None:
        height, width = frame.shape
        self._input[0, height:] = 0
        self._input[0, :, width:] = 0
        self._input[0, :height, :width, 0] = frame
        self._run()
        out[:] = self._output[0, :height, :width, 0]

    def _run(self) -> None:
        try:
            self._request.infer()
        except RuntimeError as error:
            raise EngineError(f"OpenVINO failed on a patch ({_reason(error)}); open the engine again") from error


def import_openvino() -> Any:
    """Return the module `openvino`, imported without telemetry."""
    with without_telemetry():
        import openvino
    return openvino


@contextmanager
def without_telemetry() -> Iterator[None]:
    """Keep OpenVINO and NNCF, imported in the block, from telling their makers that and how they are used.

    Both do so over the network, and write to the home folder for it, as soon as they are imported and
    in every conversion, unless the package that they do it with is missing.
    """
    name = "openvino_telemetry"
    if name in sys.modules:
        yield
        return
    sys.modules[name] = cast("ModuleType", None)  # Python's way to say that a module cannot be imported
    try:
        yield
    finally:
        del sys.modules[name]


def _require_device(core: Any, device: str) -> None:
    available = [name.lower() for name in core.available_devices]
    # "gpu" is the first of "gpu.0" and "gpu.1".
    if device not in {*available, *(name.partition(".")[0] for name in available)}:
        raise EngineError(f"openvino has no device {device} here; it has {', '.join(available)}")


def _read(ov: Any, path: Path, library_version: str) -> Any:
    weights = path.with_suffix(".bin")
    if path.suffix == ".xml" and path.is_file() and not weights.is_file():
        raise EngineError(f"{path} has its weights in {weights.name}, which is not beside it; copy both files")
    try:
        # By the file's own front end: others write to stderr that it is not theirs.
        front_end = ov.frontend.FrontEndManager().load_by_framework(_FRONT_ENDS[path.suffix])
        return front_end.convert(front_end.load(str(path)))
    except Exception as error:  # each front end has errors of its own
        raise EngineError(
            f"{path} is no network that OpenVINO {library_version} reads ({_reason(error)}); convert it again: "
            f"unetplus-export BUNDLE --target {'openvino' if path.suffix == '.xml' else 'onnx'}"
        ) from error


def _one_patch(model: Any, path: Path) -> int:
    """Set the number of patches to one, which takes no longer a patch than more, and return their side in pixels."""
    ends = [*model.inputs, *model.outputs]
    found = "; ".join(f"{end.element_type.get_type_name()} {end.partial_shape}" for end in ends) or "none"
    side = _side(model)
    wanted = [1, side, side, 1]
    try:
        if side:
            model.reshape({model.inputs[0]: wanted})
        ours = side and all(
            end.element_type.get_type_name() == "f32" and list(end.partial_shape.to_shape()) == wanted for end in ends
        )
    except RuntimeError:  # the graph has no such shape
        ours = False
    if not ours:
        raise EngineError(
            f"{path} has inputs and outputs {found}, where float32 patches of shape (n, side, side, 1) should go in "
            "and come out, one at a time or any number; convert it again with unetplus-export"
        )
    return side


def _side(model: Any) -> int:
    """Return the side of the patches that go in, or 0 where none go in and come out."""
    if len(model.inputs) != 1 or len(model.outputs) != 1 or model.inputs[0].partial_shape.rank.is_dynamic:
        return 0
    sizes = [size.get_length() if size.is_static else -1 for size in model.inputs[0].partial_shape]
    return sizes[1] if len(sizes) == 4 and sizes[1] == sizes[2] > 0 and sizes[3] == 1 else 0


def _stored_precision(model: Any) -> Precision:
    types = {node.get_element_type().get_type_name() for node in model.get_ops() if node.get_type_name() == "Constant"}
    if types & {"i8", "u8"}:
        return "int8"
    return "fp16" if "f16" in types else "fp32"


def _settings(
    core: Any, device: str, stored: Precision, execution: Precision | None, threads: int | None
) -> dict[str, Any]:
    """Return what the network is compiled with."""
    if stored == "int8":
        require_option("openvino", "precision", execution, "int8")
        wanted: Precision = "fp32"  # of what is not computed in 8 bits
    else:
        wanted = execution or "fp32"
        capabilities = core.get_property(device.upper(), "OPTIMIZATION_CAPABILITIES")
        offered = [name for name in _HINTS if name.upper() in capabilities]
        if wanted not in offered:
            require_option("openvino", "precision", wanted, " or ".join(offered))
    settings: dict[str, Any] = {
        "INFERENCE_PRECISION_HINT": _HINTS[wanted],
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
        "CACHE_DIR": "",
    }
    if device == "cpu" and threads is not None:
        settings["INFERENCE_NUM_THREADS"] = thread_count(threads)
        settings["ENABLE_HYPER_THREADING"] = True
        # Pinned threads of two engines that have fewer than all cores each are pinned to the same ones.
        settings["ENABLE_CPU_PINNING"] = threads >= thread_count(None)
    return settings


def _executed_precision(graph: Any, hint: str) -> Precision:
    """Return the precision that most convolutions, transposed ones included, are computed in."""
    found = Counter(
        _EXECUTED[_computed_in(information)]
        for information in (node.get_rt_info() for node in graph.get_ops())
        if information["layerType"].astype(str).lower() in ("convolution", "deconvolution")
    )
    return found.most_common(1)[0][0] if found else _EXECUTED[hint]


def _computed_in(information: Any) -> str:
    # The kernel's name ends with the type of what it reads, which is the type of the weights alone in
    # "runtimePrecision" where data are widened first.
    kernel: str = information["primitiveType"].astype(str).rpartition("_")[2].lower()
    precision: str = information["runtimePrecision"].astype(str)
    return kernel if kernel in _EXECUTED else precision


def _reason(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1].rstrip("!.") if lines else type(error).__name__
