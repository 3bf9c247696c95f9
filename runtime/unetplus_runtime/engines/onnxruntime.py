"""ONNX Runtime engine: ONNX files on the CPU, or on a GPU through CUDA or TensorRT."""

from __future__ import annotations

import json
import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from unetplus_edge.errors import EngineError
from unetplus_runtime.engines.base import AnswerBuffer, EngineInfo, missing, require_option, thread_count
from unetplus_runtime.engines.lanes import LanedNetwork
from unetplus_runtime.engines.onnx_file import StoredPrecision, stored_precision

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from unetplus_edge.manifest import Precision

_PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider", "tensorrt": "TensorrtExecutionProvider"}

_LARGEST_BATCH = {"cpu": 1, "cuda": 8, "tensorrt": 8}
"""More than one patch at a time takes a CPU no less time each, and more memory."""

_COARSEST_FIRST: tuple[Precision, ...] = ("int8", "bf16", "fp16", "tf32", "fp32")
_TYPES: dict[str, Precision] = {"float": "fp32", "float16": "fp16", "bfloat16": "bf16"}


class OnnxRuntimeEngine(LanedNetwork):
    """An `.onnx` network.

    A file is computed as it says. On a CPU that means: one patch a call, weights stored as float16
    widened before use, and quantised values (Q/DQ) taken back to float32 and computed in that.
    Which precision the kernels really have is looked up in the library's own record of a first run.

    Parameters
    ----------
    path
        An ONNX file with one float32 input and one float32 output, both of shape
        (n, side, side, 1), for a fixed n or any.
    device
        "cpu", "cuda" or "tensorrt".
    threads
        Threads of the library; None takes every core that the process may use.
    execution
        Precision to compute in; None takes the one that the file leads to. On "cuda" that is fp32
        for float32 weights, and tf32 is to be had by name. On "tensorrt" it is tf32, which the
        library takes wherever the GPU has it, unless NVIDIA_TF32_OVERRIDE=0 is set.

    Raises
    ------
    EngineError
        If onnxruntime is not installed or was built without the device, the file is damaged or no
        network of ours, or it cannot be run as asked, all of it on that device.
    """

    def __init__(
        self, path: Path, *, device: str = "cpu", threads: int | None = None, execution: Precision | None = None
    ) -> None:
        super().__init__()
        threads = thread_count(threads)
        self._ort = ort = _library(device)
        try:
            stored = stored_precision(path)
        except (OSError, ValueError) as error:
            raise _no_network(path, error) from error
        with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            session = _session(ort, path, device, threads, execution, stored, Path(folder) / "run")
            ends = _ends(session, path)
            self._held = _Session(session, ends, ends.batch or _LARGEST_BATCH[device], path)
            self._answers = AnswerBuffer(ends.side)
            self._held.infer(np.zeros((ends.batch or 1, ends.side, ends.side, 1), np.float32))
            kernels = _kernels(Path(session.end_profiling()))
        _require_device(kernels, device, path)
        executed = _executed(kernels, device, execution, stored)
        require_option("onnxruntime", "precision", execution, executed)
        self._wanted = (path, device, execution, stored, ends)
        self.info = EngineInfo(
            engine="onnxruntime",
            library="onnxruntime",
            library_version=ort.__version__,
            file=path,
            stored_precision=stored.weights,
            executed_precision=executed,
            device=device,
            threads=threads,
            batch=ends.batch or (1 if device == "cpu" else None),
            patch_side=ends.side,
        )

    def _shared(self) -> _Session:
        session: _Session = self._network()
        return session

    def _open_lanes(self, count: int) -> list[_Session]:
        path, device, execution, stored, ends = self._wanted
        # Many threads may call one session, and with one thread of its own each computes in the caller's.
        session = _session(self._ort, path, device, 1, execution, stored, None)
        return [_Session(session, ends, ends.batch or 1, path) for _ in range(count)]


class _Session:
    """A session of the library, with memory of its own for the answers."""

    def __init__(self, session: Any, ends: _Ends, step: int, path: Path) -> None:
        self._session, self._ends, self._step, self._path = session, ends, step, path
        self._answers = AnswerBuffer(ends.side)

    def infer(self, patches: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the probabilities of patches; a fixed number is filled up with empty ones."""
        patches = np.ascontiguousarray(patches)
        answers = self._answers.first(len(patches))
        for start in range(0, len(patches), self._step):
            batch, answer = patches[start : start + self._step], answers[start : start + self._step]
            lacking = (self._ends.batch or 0) - len(batch)
            if lacking > 0:
                full = np.concatenate([batch, np.zeros((lacking, *batch.shape[1:]), np.float32)])
                answered = np.empty_like(full)
                self._run(full, answered)
                answer[:] = answered[: len(answer)]
            else:
                self._run(batch, answer)
        return answers

    def _run(self, batch: NDArray[np.float32], answer: NDArray[np.float32]) -> None:
        """Let the library read one array and write the other, without copies of its own."""
        try:
            binding = self._session.io_binding()
            binding.bind_cpu_input(self._ends.input, batch)
            binding.bind_output(self._ends.output, "cpu", 0, np.float32, answer.shape, answer.ctypes.data)
            self._session.run_with_iobinding(binding)
        except Exception as error:  # every kind of failure has a class of its own
            raise EngineError(
                f"{self._path} cannot be computed ({_reason(error)}); free memory, ask for another device, or convert "
                "it again: unetplus-export BUNDLE --target onnx"
            ) from error


class _Ends(NamedTuple):
    input: str
    output: str
    side: int
    batch: int | None


class _Kernel(NamedTuple):
    """What computed a node: operator, type of its first input, and provider."""

    operator: str
    type: str
    provider: str


def _library(device: str) -> Any:
    if device not in _PROVIDERS:
        raise EngineError(f"onnxruntime computes on {', '.join(_PROVIDERS)}, not on {device}; ask for one of these")
    try:
        import onnxruntime
    except ImportError as error:
        raise missing("onnxruntime", "unetplus-edge[onnx]", error) from error
    available = onnxruntime.get_available_providers()
    if _PROVIDERS[device] not in available:
        raise EngineError(
            f"onnxruntime {onnxruntime.__version__} has {', '.join(available)} here, not {_PROVIDERS[device]}; "
            "install onnxruntime-gpu in its place, or ask for device cpu"
        )
    return onnxruntime


def _session(
    ort: Any,
    path: Path,
    device: str,
    threads: int,
    execution: Precision | None,
    stored: StoredPrecision,
    record: Path | None,
) -> Any:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = 3
    # Waiting threads that spin take the cores from the stages before and behind the network.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if device != "tensorrt":
        # Otherwise quantised weights are taken back to float in every run, and biases and activations are
        # quantised in ways that the file does not ask for.
        options.add_session_config_entry("session.disable_quant_qdq", "1")
    if record is not None:
        options.enable_profiling = True
        options.profile_file_prefix = str(record)
    provider = _PROVIDERS[device]
    try:
        # A failure may not lead to another provider.
        session = ort.InferenceSession(
            os.fspath(path),
            options,
            providers=[(provider, _provider_options(device, execution, stored))],
            enable_fallback=0,
        )
    except Exception as error:  # every kind of failure has a class of its own
        raise _no_network(path, error) from error
    # It starts all the same where the libraries of a provider cannot be loaded.
    if provider not in session.get_providers():
        raise EngineError(
            f"onnxruntime cannot start {provider} here and would compute on {', '.join(session.get_providers())}; "
            "install the versions of CUDA, cuDNN and TensorRT that it was built for, or ask for device cpu"
        )
    return session


def _provider_options(device: str, execution: Precision | None, stored: StoredPrecision) -> dict[str, str]:
    if device == "cuda":
        return {"use_tf32": "1" if execution == "tf32" else "0"}
    if device == "tensorrt":
        half = "fp16" in stored
        return {"trt_fp16_enable": str(int(half)), "trt_int8_enable": str(int(stored.weights == "int8"))}
    return {}


def _ends(session: Any, path: Path) -> _Ends:
    inputs, outputs = session.get_inputs(), session.get_outputs()
    ends = [(end.type, tuple(end.shape)) for end in (*inputs, *outputs)]
    batches, sides = [shape[:1] for _, shape in ends], [shape[1:] for _, shape in ends]
    side = sides[0][0] if sides[0] else None
    fixed = [batch[0] for batch in batches if batch and isinstance(batch[0], int)]
    if (
        len(inputs) != 1
        or len(outputs) != 1
        or {kind for kind, _ in ends} != {"tensor(float)"}
        or not isinstance(side, int)
        or sides != [(side, side, 1)] * 2
        or fixed not in ([], [fixed[0] if fixed else None] * 2)
    ):
        found = "; ".join(f"{kind} {list(shape)}" for kind, shape in ends)
        raise EngineError(
            f"{path} has inputs and outputs {found}, where float32 patches of shape (n, side, side, 1) should go in "
            "and as many come out; convert it again: unetplus-export BUNDLE --target onnx"
        )
    return _Ends(inputs[0].name, outputs[0].name, side, fixed[0] if fixed else None)


def _kernels(record: Path) -> list[_Kernel]:
    """Return what computed the nodes of the first run, by the library's own record of it."""
    events = [event["args"] for event in json.loads(record.read_bytes()) if event.get("cat") == "Node"]
    return [
        _Kernel(event["op_name"], next(iter(event["input_type_shape"][0]), ""), event["provider"])
        for event in events
        if event.get("input_type_shape")
    ]


def _require_device(kernels: Iterable[_Kernel], device: str, path: Path) -> None:
    elsewhere = sorted({kernel.operator for kernel in kernels if kernel.provider != _PROVIDERS[device]})
    if elsewhere:
        raise EngineError(
            f"onnxruntime computes {', '.join(elsewhere)} of {path} elsewhere than on {device}; ask for another "
            "device, or for another engine"
        )


def _executed(
    kernels: Sequence[_Kernel], device: str, execution: Precision | None, stored: StoredPrecision
) -> Precision:
    """Return the coarsest precision of the convolutions, or of everything where there are none."""
    if device == "tensorrt":
        # One kernel for the whole network, which does what it was told.
        may_round = stored.weights == "fp32" and os.environ.get("NVIDIA_TF32_OVERRIDE") != "0"
        return "tf32" if may_round else stored.weights
    convolutions = [kernel for kernel in kernels if "Conv" in kernel.operator]
    found = {_precision(kernel) for kernel in convolutions or kernels}
    if "fp32" in found and device == "cuda" and execution == "tf32":
        found.add("tf32")
    return next(precision for precision in _COARSEST_FIRST if precision in found)


def _precision(kernel: _Kernel) -> Precision:
    if kernel.operator.startswith("QLinear") or kernel.operator.endswith("Integer"):
        return "int8"
    return _TYPES.get(kernel.type, "fp32")


def _no_network(path: Path, error: Exception) -> EngineError:
    return EngineError(
        f"{path} is no ONNX network that onnxruntime runs ({_reason(error)}); convert it again: "
        "unetplus-export BUNDLE --target onnx"
    )


def _reason(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
