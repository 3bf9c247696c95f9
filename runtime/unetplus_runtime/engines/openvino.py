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
    OpenNetwork,
    missing,
    require_option,
    require_patches,
    thread_count,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import ModuleType

    from numpy.typing import NDArray

    from unetplus_edge.manifest import Precision

_FRONT_ENDS = {".xml": "ir", ".onnx": "onnx"}
_HINTS: dict[Precision, str] = {"fp32": "f32", "fp16": "f16", "bf16": "bf16"}
_EXECUTED: dict[str, Precision] = {"f32": "fp32", "f16": "fp16", "bf16": "bf16", "i8": "int8", "u8": "int8"}


class OpenVINOEngine(OpenNetwork):
    """An `.xml` or `.onnx` network, one patch a call of the library.

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
        try:
            ov = import_openvino()
        except ImportError as error:
            raise missing("openvino", "unetplus-edge[openvino]", error) from error
        library_version = version("openvino")
        core = ov.Core()
        device = device.lower()
        _require_device(core, device)
        model = _read(ov, path, library_version)
        side = _one_patch(model, path)
        stored = _stored_precision(model)
        settings = _settings(core, device, stored, execution, threads)
        try:
            compiled = core.compile_model(model, device.upper(), settings)
        except RuntimeError as error:
            raise EngineError(f"OpenVINO {library_version} cannot run {path} on {device} ({_reason(error)})") from error
        # What was asked for is a hint, which a device that cannot follow it passes over in silence.
        executed = _executed_precision(compiled.get_runtime_model(), settings["INFERENCE_PRECISION_HINT"])
        require_option("openvino", "precision", execution, executed)
        self._patch, self._answer = np.empty((2, 1, side, side, 1), np.float32)
        request = compiled.create_infer_request()
        request.set_input_tensor(ov.Tensor(self._patch, shared_memory=True))
        request.set_output_tensor(ov.Tensor(self._answer, shared_memory=True))
        self._held = request
        self._answers = AnswerBuffer(side)
        self.info = EngineInfo(
            engine="openvino",
            library="openvino",
            library_version=library_version,
            file=path,
            stored_precision=stored,
            executed_precision=executed,
            device=device,
            threads=compiled.get_property("INFERENCE_NUM_THREADS") if device == "cpu" else 1,
            batch=1,
            patch_side=side,
        )

    def infer(self, patches: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return nucleus probabilities.

        Parameters
        ----------
        patches
            float32 in [0, 1], shape (n, side, side, 1).

        Returns
        -------
        numpy.ndarray
            float32 in [0, 1], same shape. The array is reused by the next call.
        """
        require_patches(patches, self.info.patch_side)
        request = self._network()
        answers = self._answers.first(len(patches))
        for patch, answer in zip(patches, answers, strict=True):
            self._patch[0] = patch
            try:
                request.infer()
            except RuntimeError as error:
                raise EngineError(f"OpenVINO failed on a patch ({_reason(error)}); open the engine again") from error
            answer[:] = self._answer[0]
        return answers


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
