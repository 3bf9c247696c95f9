"""TensorRT engine: plans on NVIDIA GPUs, by TensorRT 8.6 to 11 or TensorRT-RTX."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from unetplus_edge.errors import EngineError
from unetplus_runtime.engines.base import (
    AnswerBuffer,
    EngineInfo,
    OpenNetwork,
    require_option,
    require_patches,
    thread_count,
)
from unetplus_runtime.engines.cuda_memory import open_cuda
from unetplus_runtime.engines.gpu import find_gpu
from unetplus_runtime.engines.layer_report import convolutions, executed_precision
from unetplus_runtime.engines.plan_cache import REBUILD, read_plan, require_usable
from unetplus_runtime.engines.tensorrt_flavour import find_flavour

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from unetplus_edge.manifest import PlanRecord, Precision
    from unetplus_runtime.engines.cuda_memory import Cuda
    from unetplus_runtime.engines.tensorrt_flavour import Flavour

_SLOTS = 2


class TensorRTEngine(OpenNetwork):
    """A `.plan` network on a GPU, as many patches a call as it was built for.

    Patches go through pinned memory in batches of one size; while the GPU works on one batch, the
    next is copied. Where the version allows it, a batch is one CUDA graph from the second call with
    the same number of patches on.

    Parameters
    ----------
    path
        A plan, with the record beside it that `unetplus-export --target trt` writes.
    device
        "cuda", or "cuda:1" for the second GPU.
    threads
        Of no effect: one thread of the CPU feeds the GPU.
    execution
        Precision to compute in: the plan alone decides it, so another one is refused. None takes
        what the plan has.

    Raises
    ------
    EngineError
        If TensorRT or CUDA's bindings are not installed, there is no GPU, the plan is damaged, or
        it was built by another version or for another GPU.
    """

    def __init__(
        self, path: Path, *, device: str = "cuda", threads: int | None = None, execution: Precision | None = None
    ) -> None:
        number = _gpu_number(device)
        thread_count(threads)
        record = read_plan(path)
        flavour = find_flavour(record.flavour)
        gpu = find_gpu(number)
        require_usable(path, record, flavour, gpu)
        cuda = open_cuda(number)
        try:
            with cuda.current():
                engine, runtime = open_plan(path.read_bytes(), path.name, record.flags, flavour)
                ends = _ends(flavour.trt, engine, path, record)
                context = flavour.create_context(engine)
                if context is None:
                    raise EngineError(f"{path} cannot be run ({flavour.first_error()}); free memory of the GPU")
                executed = _executed(flavour, engine, context, ends, record)
                require_option("tensorrt", "precision", execution, executed)
                held = _Held(cuda, flavour, context, ends, record, keep=(engine, runtime))
        except BaseException:
            cuda.close()
            raise
        self._held = held
        self._answers = AnswerBuffer(record.patch_side)
        self.info = EngineInfo(
            engine="tensorrt",
            library=flavour.name,
            library_version=flavour.version,
            file=path,
            stored_precision=record.precision,
            executed_precision=executed,
            device=f"{device} ({gpu.name})",
            threads=1,
            batch=record.batches[2],
            patch_side=record.patch_side,
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
        held: _Held = self._network()
        answers = self._answers.first(len(patches))
        if len(patches):
            held.run(patches, answers)
        return answers

    def compute_seconds(self, patches: NDArray[np.float32]) -> float:
        """Return how long the GPU computes for patches that it has already, by its own clock.

        Parameters
        ----------
        patches
            As for `infer`. Copying them there is not in the time, nor are their answers copied back.
        """
        require_patches(patches, self.info.patch_side)
        held: _Held = self._network()
        return held.compute_seconds(patches) if len(patches) else 0.0

    def close(self) -> None:
        """Free the network and its memory."""
        if self._held is not None:
            self._held.close()
        super().close()


def open_plan(plan: bytes, name: str, flags: Iterable[str], flavour: Flavour) -> tuple[Any, Any]:
    """Return TensorRT's engine of a plan, and the runtime that must live as long.

    Parameters
    ----------
    plan
        The content of the file.
    name
        Of the file, for the error.
    flags
        It was built with, as its record has them.
    flavour
        What opens it.

    Raises
    ------
    EngineError
        If TensorRT does not take it.
    """
    runtime = flavour.create_runtime(flags)
    invalid = flavour.invalidity(runtime, plan)
    engine = None if invalid else runtime.deserialize_cuda_engine(plan)
    if engine is None:
        raise EngineError(
            f"{name} cannot be opened by {flavour.title} here ({invalid or flavour.first_error()}). Rebuild: {REBUILD}"
        )
    return engine, runtime


def report_of(flavour: Flavour, engine: Any, context: Any, name: str, shape: tuple[int, ...]) -> str:
    """Return the inspector's report of an engine as JSON, for one shape of its input."""
    # Without a shape the report has no types where shapes are dynamic.
    context.set_input_shape(name, shape)
    inspector = engine.create_engine_inspector()
    inspector.execution_context = context
    return str(inspector.get_engine_information(flavour.trt.LayerInformationFormat.JSON))


@dataclass(frozen=True)
class _Ends:
    image: str
    probability: str


@dataclass
class _Slot:
    """Memory of one batch on its way, on both sides."""

    patches: NDArray[np.float32]
    answers: NDArray[np.float32]
    image: int
    probability: int
    done: Any
    graph: Any = None


class _Held:
    """What an opened plan holds on the GPU, and how a call goes through it."""

    def __init__(
        self, cuda: Cuda, flavour: Flavour, context: Any, ends: _Ends, record: PlanRecord, *, keep: tuple[Any, ...]
    ) -> None:
        side, (self._least, _, self._most) = record.patch_side, record.batches
        shape = (self._most, side, side, 1)
        self._cuda, self._flavour, self._context, self._ends, self._keep = cuda, flavour, context, ends, keep
        self._stream = cuda.stream()
        self._slots = [
            _Slot(
                cuda.host_buffer(shape),
                cuda.host_buffer(shape),
                cuda.device_buffer(shape),
                cuda.device_buffer(shape),
                cuda.event(),
            )
            for _ in range(_SLOTS)
        ]
        self._captures = cuda.captures_graphs and not flavour.records_graphs_itself
        self._clock = (cuda.timed_event(), cuda.timed_event())
        self._compute_graph: Any = None
        self._size = 0
        self._calls = 0

    def run(self, patches: NDArray[np.float32], answers: NDArray[np.float32]) -> None:
        """Answer patches, at least one, in batches of one size; the last one is filled up with whatever is there."""
        batches = self._batches(len(patches))
        count = len(batches)
        with self._cuda.current():
            try:
                self._set_size(batches[0].stop)
                self._begin(0, patches[batches[0]])
                for number in range(1, count):
                    self._begin(number, patches[batches[number]])
                    self._end(number - 1, answers[batches[number - 1]])
                self._end(count - 1, answers[batches[-1]])
            except BaseException:
                # Nothing may still write to the buffers when they are used again or freed.
                self._cuda.synchronise(self._stream)
                raise

    def compute_seconds(self, patches: NDArray[np.float32]) -> float:
        """Return how long the GPU computes for patches, at least one, batch after batch."""
        batches = self._batches(len(patches))
        with self._cuda.current():
            try:
                self._set_size(batches[0].stop)
                return sum(self._seconds_of(patches[batch]) for batch in batches)
            except BaseException:
                self._cuda.synchronise(self._stream)
                raise

    def _seconds_of(self, patches: NDArray[np.float32]) -> float:
        slot, (begin, end) = self._slots[0], self._clock
        slot.patches[: len(patches)] = patches
        self._cuda.copy_to_device(slot.image, slot.patches[: self._size], self._stream)
        # What the clock begins with may not wait for the copy.
        self._cuda.synchronise(self._stream)
        if self._captures and self._compute_graph is None and self._calls > 0:
            self._compute_graph = self._captured(lambda: self._compute(slot))
        self._cuda.record(begin, self._stream)
        if self._compute_graph is None:
            self._compute(slot)
        else:
            self._cuda.launch(self._compute_graph, self._stream)
        self._cuda.record(end, self._stream)
        self._cuda.wait_for(end)
        return self._cuda.seconds_between(begin, end)

    def _batches(self, count: int) -> list[slice]:
        """Return which patches go into each batch; all batches are of one size, the last one perhaps not full."""
        number = -(-count // self._most)
        size = max(-(-count // number), self._least)
        return [slice(start, start + size) for start in range(0, number * size, size)]

    def close(self) -> None:
        """Free everything: graphs before the network whose work they hold, that before the GPU."""
        with self._cuda.current():
            self._discard_graphs()
            self._context = None
            self._keep = ()
        self._cuda.close()

    def _set_size(self, size: int) -> None:
        if size == self._size:
            self._calls += 1
            return
        side = self._slots[0].patches.shape[1]
        if not self._context.set_input_shape(self._ends.image, (size, side, side, 1)):
            raise EngineError(f"TensorRT refuses {size} patches a call ({self._flavour.first_error()}). {REBUILD}")
        self._size, self._calls = size, 0
        # They hold the shapes that they were captured with.
        self._discard_graphs()

    def _discard_graphs(self) -> None:
        for slot in self._slots:
            if slot.graph is not None:
                self._cuda.discard(slot.graph)
                slot.graph = None
        if self._compute_graph is not None:
            self._cuda.discard(self._compute_graph)
            self._compute_graph = None

    def _begin(self, number: int, patches: NDArray[np.float32]) -> None:
        slot = self._slots[number % _SLOTS]
        slot.patches[: len(patches)] = patches
        # The library settles in during the first call with a size, which may not be captured.
        if self._captures and slot.graph is None and self._calls > 0:
            slot.graph = self._captured(lambda: self._enqueue(slot))
        if slot.graph is None:
            self._enqueue(slot)
        else:
            self._cuda.launch(slot.graph, self._stream)
        self._cuda.record(slot.done, self._stream)

    def _captured(self, work: Callable[[], None]) -> Any:
        try:
            return self._cuda.capture(self._stream, work)
        except EngineError:
            # Not every kernel may be captured. The same work in single steps takes a little longer.
            self._captures = False
            return None

    def _enqueue(self, slot: _Slot) -> None:
        size = self._size
        self._cuda.copy_to_device(slot.image, slot.patches[:size], self._stream)
        self._compute(slot)
        self._cuda.copy_to_host(slot.answers[:size], slot.probability, self._stream)

    def _compute(self, slot: _Slot) -> None:
        self._context.set_tensor_address(self._ends.image, slot.image)
        self._context.set_tensor_address(self._ends.probability, slot.probability)
        if not self._context.execute_async_v3(self._stream):
            raise EngineError(f"TensorRT failed to run the network ({self._flavour.first_error()})")

    def _end(self, number: int, answers: NDArray[np.float32]) -> None:
        slot = self._slots[number % _SLOTS]
        self._cuda.wait_for(slot.done)
        answers[:] = slot.answers[: len(answers)]


def _gpu_number(device: str) -> int:
    found = re.fullmatch(r"cuda(?::(\d+))?", device)
    if found is None:
        require_option("tensorrt", "device", device, "cuda")
        raise AssertionError(device)
    return int(found[1] or 0)


def _ends(trt: Any, engine: Any, path: Path, record: PlanRecord) -> _Ends:
    """Return the names of input and output of an engine that is a network of ours."""
    names = [engine.get_tensor_name(number) for number in range(engine.num_io_tensors)]
    inputs = [name for name in names if engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT]
    outputs = [name for name in names if name not in inputs]
    shapes = {tuple(engine.get_tensor_shape(name))[1:] for name in names}
    dtypes = {engine.get_tensor_dtype(name) for name in names}
    side = record.patch_side
    if len(inputs) != 1 or len(outputs) != 1 or shapes != {(side, side, 1)} or dtypes != {trt.DataType.FLOAT}:
        raise EngineError(
            f"{path} does not take and return float32 patches of shape (n, {side}, {side}, 1) alone. Rebuild: {REBUILD}"
        )
    return _Ends(inputs[0], outputs[0])


def _executed(flavour: Flavour, engine: Any, context: Any, ends: _Ends, record: PlanRecord) -> Precision:
    """Return what the engine computes in, by its inspector."""
    side = record.patch_side
    report = report_of(flavour, engine, context, ends.image, (record.batches[2], side, side, 1))
    found = executed_precision(convolutions(report))
    # In memory tf32 is float32, rounded as it is multiplied: the builder was told so.
    stored: Precision = "fp32" if record.precision == "tf32" else record.precision
    if found not in (None, stored):
        raise EngineError(
            f"{record.precision} was asked for, but most convolutions of the engine compute in {found}. "
            f"Rebuild: {REBUILD}"
        )
    # The types of a strongly typed network are binding, whether the inspector tells them or not.
    return record.precision
