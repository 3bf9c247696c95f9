"""Keras engine: the trained model itself, the reference for every conversion."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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
    whole_frame,
)

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from unetplus_edge.manifest import Precision

_LARGEST_BATCH = 8


class KerasEngine(OpenNetwork):
    """A `.keras` network, in batches of at most 8 patches, computed in fp32.

    Parameters
    ----------
    path
        A Keras 3 file with input and output of shape (n, side, side, 1), float32.
    device
        "cpu", the only one.
    threads
        Threads of TensorFlow. It takes the number once a process, before its first computation.
        None leaves TensorFlow's own number, which is every core.
    execution
        Precision to compute in; "fp32", the only one, or None.

    Raises
    ------
    EngineError
        If Keras is not installed, the file is damaged or no network of ours, or it cannot be run
        as asked.
    """

    def __init__(
        self, path: Path, *, device: str = "cpu", threads: int | None = None, execution: Precision | None = None
    ) -> None:
        require_option("keras", "device", device, "cpu")
        require_option("keras", "precision", execution, "fp32")
        try:
            import keras
        except ImportError as error:
            raise missing("keras", "unetplus-edge[train]", error) from error
        threads = _set_threads(keras.backend.backend(), threads)
        self._device = keras.device
        with self._device(device):
            model = _load(path)
        side = _side(model, path)
        self._held = model
        self._answers = AnswerBuffer(side)
        self._frames: Any = None
        self.info = EngineInfo(
            engine="keras",
            library=f"keras on {keras.backend.backend()}",
            library_version=keras.__version__,
            file=path,
            stored_precision="fp32",
            executed_precision="fp32",
            device=device,
            threads=threads,
            batch=None,
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
        model = self._network()
        answers = self._answers.first(len(patches))
        with self._device(self.info.device):
            for start in range(0, len(patches), _LARGEST_BATCH):
                batch = slice(start, start + _LARGEST_BATCH)
                answers[batch] = model.predict_on_batch(patches[batch])
        return answers

    def infer_frame(self, frame: NDArray[np.float32], out: NDArray[np.float32]) -> None:
        """Write the nucleus probabilities of a whole frame, of whatever size, in one piece.

        Parameters
        ----------
        frame
            float32 in [0, 1], shape (height, width). Sides that the network cannot halve as often as
            it does are continued by zeros. For every new size the network is built anew.
        out
            float32, same shape: where they are written.

        Raises
        ------
        EngineError
            If the engine is closed.
        """
        model = self._network()
        height, width = frame.shape
        shape = whole_frame(height), whole_frame(width)
        with self._device(self.info.device):
            if self._frames is None or self._frames.input_shape[1:3] != shape:
                self._frames = _resized(model, shape)
            padded = np.zeros((1, *shape, 1), np.float32)
            padded[0, :height, :width, 0] = frame
            out[:] = self._frames.predict_on_batch(padded)[0, :height, :width, 0]

    def close(self) -> None:
        """Free the network and its memory."""
        super().close()
        self._frames = None


def _resized(model: Any, shape: tuple[int, int]) -> Any:
    """Return the same network for images of another size."""
    import keras

    resized = keras.models.clone_model(model, input_tensors=keras.Input((*shape, 1)))
    resized.set_weights(model.get_weights())
    resized.jit_compile = False
    return resized


def _set_threads(backend: str, threads: int | None) -> int:
    count = thread_count(threads)
    if backend != "tensorflow":
        if threads is not None:
            raise EngineError(
                f"keras sets no threads on {backend}; leave the number out, or set KERAS_BACKEND=tensorflow"
            )
        return count
    import tensorflow

    if threads is None:
        return tensorflow.config.threading.get_intra_op_parallelism_threads() or count
    try:
        tensorflow.config.threading.set_intra_op_parallelism_threads(count)
    except RuntimeError:
        raise EngineError(
            "TensorFlow has computed in this process already and keeps its number of threads; open the keras engine "
            "before anything else of TensorFlow, or leave the number of threads out"
        ) from None
    return count


def _load(path: Path) -> Any:
    import keras

    try:
        model = keras.saving.load_model(path, compile=False)
    except Exception as error:  # a damaged archive raises whatever the part of Keras that meets it does
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise EngineError(f"{path} is no Keras model that can be loaded ({reason}); copy or train it again") from error
    # XLA takes longer on a CPU than TensorFlow's own kernels for the same graph.
    model.jit_compile = False
    return model


def _side(model: Any, path: Path) -> int:
    shapes = [model.input_shape, model.output_shape]
    side = shapes[0][1] if isinstance(shapes[0], tuple) and len(shapes[0]) == 4 else None
    # Without the states of dropout's random numbers, which are integers and of no use here.
    dtypes = {str(weight.dtype) for weight in model.weights} | {layer.compute_dtype for layer in model.layers}
    if side is None or shapes != [(None, side, side, 1)] * 2 or dtypes != {"float32"}:
        raise EngineError(
            f"{path} has input {shapes[0]}, output {shapes[1]} and computes in {', '.join(sorted(dtypes))}; this "
            "engine runs float32 networks from (n, side, side, 1) to the same shape: build one with unetplus-train"
        )
    return int(side)
