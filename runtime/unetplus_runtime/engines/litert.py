"""LiteRT engine: TFLite files on the CPU."""

from __future__ import annotations

from collections import Counter
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from unetplus_edge.errors import EngineError
from unetplus_runtime.engines.base import AnswerBuffer, EngineInfo, missing, require_option, thread_count
from unetplus_runtime.engines.lanes import LanedNetwork

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from unetplus_edge.manifest import Precision

# The second is what boards have that LiteRT has no wheel for.
_LIBRARIES = {"ai-edge-litert": "ai_edge_litert.interpreter", "tflite-runtime": "tflite_runtime.interpreter"}

_CONVOLUTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV")
_KERNEL = 1  # where all of them have it among their inputs
_PRECISIONS: dict[str, Precision] = {"int8": "int8", "uint8": "int8", "float16": "fp16"}


class _End(NamedTuple):
    """Input or output of the network: its tensor, and how whole numbers in it stand for values."""

    tensor: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    scale: float
    zero: int

    def stored(self, values: NDArray[np.float32]) -> NDArray[Any]:
        """Return values as the tensor holds them."""
        if self.dtype == np.float32:
            return values
        limits = np.iinfo(self.dtype)
        whole: NDArray[Any] = np.clip(np.rint(values / self.scale) + self.zero, limits.min, limits.max)
        return whole.astype(self.dtype)

    def meant(self, content: NDArray[Any]) -> NDArray[np.float32]:
        """Return the values that the tensor's content stands for, float32."""
        if self.dtype == np.float32:
            return content
        return (content.astype(np.float32) - np.float32(self.zero)) * np.float32(self.scale)


class LiteRTEngine(LanedNetwork):
    """A `.tflite` network, as many patches a call of the interpreter as the file is for.

    Parameters
    ----------
    path
        A TFLite file with one input and one output, both of shape (n, side, side, 1), n any number
        or a fixed one; float32, or 8-bit integers that stand for such values.
    device
        "cpu", the only one.
    threads
        Threads of the interpreter; None takes every core that the process may use.
    execution
        Precision to compute in: the file alone decides it, so another one is refused. None takes
        what the file has.

    Raises
    ------
    EngineError
        If no interpreter is installed, the file is damaged or no network of ours, or it cannot be
        run as asked.
    """

    def __init__(
        self, path: Path, *, device: str = "cpu", threads: int | None = None, execution: Precision | None = None
    ) -> None:
        super().__init__()
        require_option("litert", "device", device, "cpu")
        threads = thread_count(threads)
        library, self._class = _library()
        self._path = path
        try:
            interpreter = self._class(model_path=str(path), num_threads=threads)
            stored, executed = _precisions(interpreter)
            interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            reason = str(error).strip().splitlines()[0]
            raise EngineError(
                f"{path} is no TFLite network that {library} {version(library)} runs ({reason}); convert it again: "
                "unetplus-export BUNDLE --target tflite"
            ) from error
        require_option("litert", "precision", execution, executed)
        self._held = _Interpreter(interpreter, path)
        batch, side = self._held.shape[:2]
        self._answers = AnswerBuffer(side)
        self.info = EngineInfo(
            engine="litert",
            library=library,
            library_version=version(library),
            file=path,
            stored_precision=stored,
            executed_precision=executed,
            device=device,
            threads=threads,
            batch=batch,
            patch_side=side,
        )

    def _shared(self) -> _Interpreter:
        interpreter: _Interpreter = self._network()
        return interpreter

    def _open_lanes(self, count: int) -> list[_Interpreter]:
        interpreters = [self._class(model_path=str(self._path), num_threads=1) for _ in range(count)]
        for interpreter in interpreters:
            interpreter.allocate_tensors()
        return [_Interpreter(interpreter, self._path) for interpreter in interpreters]


class _Interpreter:
    """An interpreter of the library, ready to run."""

    def __init__(self, interpreter: Any, path: Path) -> None:
        self._interpreter = interpreter
        self._input, self._output = _ends(interpreter, path)
        self.shape = self._input.shape
        self._answers = AnswerBuffer(self.shape[1])

    def infer(self, patches: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the probabilities of patches."""
        interpreter = self._interpreter
        answers = self._answers.first(len(patches))
        batch = self.shape[0]
        for start in range(0, len(patches), batch):
            some = patches[start : start + batch]
            # tensor() gives a function, and that a view of the interpreter's own memory, which may
            # not be held while it runs.
            interpreter.tensor(self._input.tensor)()[: len(some)] = self._input.stored(some)
            interpreter.invoke()
            answers[start : start + batch] = self._output.meant(interpreter.tensor(self._output.tensor)()[: len(some)])
        return answers


def _library() -> tuple[str, Any]:
    for name, module in _LIBRARIES.items():
        if find_spec(module.partition(".")[0]) is not None:
            try:
                return name, import_module(module).Interpreter
            except ImportError as error:
                raise missing("litert", "unetplus-edge", error) from error
    raise missing("litert", "unetplus-edge", ModuleNotFoundError())


def _precisions(interpreter: Any) -> tuple[Precision, Precision]:
    """Return how most of the convolutions' weights are stored, and what they are multiplied in."""
    dtypes = {tensor["index"]: np.dtype(tensor["dtype"]) for tensor in interpreter.get_tensor_details()}
    sizes = {tensor["index"]: int(np.prod(tensor["shape"])) for tensor in interpreter.get_tensor_details()}
    # No public function lists operators.
    operators = interpreter._get_ops_details()  # noqa: SLF001
    # Weights stored as float16 are widened before use; 8-bit ones are multiplied as they are.
    widened = {
        operator["outputs"][0]: operator["inputs"][0] for operator in operators if operator["op_name"] == "DEQUANTIZE"
    }
    stored: Counter[Precision] = Counter()
    executed: Counter[Precision] = Counter()
    for operator in operators:
        if operator["op_name"] in _CONVOLUTIONS:
            kernel = operator["inputs"][_KERNEL]
            size = sizes[kernel]
            stored[_PRECISIONS.get(dtypes[widened.get(kernel, kernel)].name, "fp32")] += size
            executed[_PRECISIONS.get(dtypes[kernel].name, "fp32")] += size
    most = [counts.most_common(1)[0][0] if counts else "fp32" for counts in (stored, executed)]
    return most[0], most[1]


def _ends(interpreter: Any, path: Path) -> tuple[_End, _End]:
    """Return input and output."""
    inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
    # A file for any number of patches reports 1 until it is resized.
    found = [
        _End(end["index"], tuple(end["shape"].tolist()), np.dtype(end["dtype"]), *end["quantization"])
        for end in (*inputs, *outputs)
    ]
    shape = found[0].shape
    if (
        (len(inputs), len(outputs)) != (1, 1)
        or len(shape) != 4
        or shape[1:] != (shape[1], shape[1], 1)
        or any(end.shape != shape or not _is_understood(end) for end in found)
    ):
        ends = "; ".join(f"{end.dtype} {end.shape}" for end in found)
        raise EngineError(
            f"{path} has inputs and outputs {ends}, where float32 patches of shape (n, side, side, 1), or 8-bit "
            "integers with a scale, should go in and come out; convert it again: unetplus-export BUNDLE --target tflite"
        )
    return found[0], found[1]


def _is_understood(end: _End) -> bool:
    return end.dtype == np.float32 or (end.dtype in (np.int8, np.uint8) and end.scale > 0)
