"""LiteRT engine: TFLite files on the CPU."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from unetplus_edge.errors import EngineError
from unetplus_runtime.engines.base import (
    AnswerBuffer,
    EngineInfo,
    missing,
    require_option,
    require_patches,
    thread_count,
)

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    from numpy.typing import NDArray

    from unetplus_edge.manifest import Precision

# The second is what boards have that LiteRT has no wheel for.
_LIBRARIES = {"ai-edge-litert": "ai_edge_litert.interpreter", "tflite-runtime": "tflite_runtime.interpreter"}


class LiteRTEngine:
    """A `.tflite` network, one patch a call of the interpreter.

    Parameters
    ----------
    path
        A TFLite file with one float32 input and one float32 output, both of shape
        (1, side, side, 1) or (any number, side, side, 1).
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
        require_option("litert", "device", device, "cpu")
        threads = thread_count(threads)
        library, interpreter_class = _library()
        try:
            interpreter = interpreter_class(model_path=str(path), num_threads=threads)
            stored = _stored_precision(interpreter.get_tensor_details())
            interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            reason = str(error).strip().splitlines()[0]
            raise EngineError(
                f"{path} is no TFLite network that {library} {version(library)} runs ({reason}); convert it again: "
                "unetplus-export BUNDLE --target tflite"
            ) from error
        # Weights stored as float16 are widened before use; 8-bit ones are multiplied as they are.
        executed: Precision = "int8" if stored == "int8" else "fp32"
        require_option("litert", "precision", execution, executed)
        self._input, self._output, side = _ends(interpreter, path)
        self._interpreter: Any = interpreter
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
        interpreter = self._interpreter
        if interpreter is None:
            raise EngineError(f"{self.info.file} is closed; open the engine again")
        answers = self._answers.first(len(patches))
        for patch, answer in zip(patches, answers, strict=True):
            # tensor() gives a function, and that a view of the interpreter's own memory, which may
            # not be held while it runs.
            interpreter.tensor(self._input)()[0] = patch
            interpreter.invoke()
            answer[:] = interpreter.tensor(self._output)()[0]
        return answers

    def close(self) -> None:
        """Free the network and its memory."""
        self._interpreter = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def _library() -> tuple[str, Any]:
    for name, module in _LIBRARIES.items():
        if find_spec(module.partition(".")[0]) is not None:
            try:
                return name, import_module(module).Interpreter
            except ImportError as error:
                raise missing("litert", "unetplus-edge", error) from error
    raise missing("litert", "unetplus-edge", ModuleNotFoundError())


def _stored_precision(tensors: Iterable[dict[str, Any]]) -> Precision:
    dtypes = {np.dtype(tensor["dtype"]) for tensor in tensors}
    if np.dtype(np.int8) in dtypes:
        return "int8"
    return "fp16" if np.dtype(np.float16) in dtypes else "fp32"


def _ends(interpreter: Any, path: Path) -> tuple[int, int, int]:
    """Return the indices of input and output tensor, and the side of a patch."""
    inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
    found = [(np.dtype(end["dtype"]).name, tuple(end["shape"].tolist())) for end in (*inputs, *outputs)]
    # A file for any number of patches reports 1 until it is resized.
    side = found[0][1][1] if found[0][1][1:] else 0
    if len(inputs) != 1 or len(outputs) != 1 or set(found) != {("float32", (1, side, side, 1))}:
        ends = "; ".join(f"{dtype} {shape}" for dtype, shape in found)
        raise EngineError(
            f"{path} has inputs and outputs {ends}, where one float32 patch of shape (1, side, side, 1) should go in "
            "and one come out; convert it again: unetplus-export BUNDLE --target tflite"
        )
    return inputs[0]["index"], outputs[0]["index"], side
