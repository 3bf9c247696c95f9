"""CUDA memory, streams, events and graphs, through cuda-python or pycuda, whichever is installed."""

from __future__ import annotations

import ctypes
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np

from unetplus_edge.errors import EngineError
from unetplus_runtime.engines.base import missing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from numpy.typing import NDArray

CudaLibrary = Literal["cuda-python", "pycuda"]

_FLOAT = 4
_MILLISECOND = 1e-3


class Cuda(Protocol):
    """One GPU. What is taken from it is given back by `close`, graphs by `discard`.

    Attributes
    ----------
    library
        What calls CUDA: its name and version.
    captures_graphs
        Whether `capture` is there.
    """

    library: str
    captures_graphs: bool

    def current(self) -> AbstractContextManager[None]:
        """Make the GPU that of the calling thread while the block lasts; all below is called in it."""
        ...

    def device_buffer(self, shape: tuple[int, ...]) -> int:
        """Return the address of room on the GPU for a float32 array of a shape."""
        ...

    def host_buffer(self, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """Return an array in pinned memory, which the GPU copies from and to by itself."""
        ...

    def stream(self) -> int:
        """Return the handle of a new stream, whose work runs in order, beside that of others."""
        ...

    def event(self) -> Any:
        """Return a new event, which stands for a point in a stream."""
        ...

    def timed_event(self) -> Any:
        """Return a new event that also stands for the time at which it was reached."""
        ...

    def seconds_between(self, begin: Any, end: Any) -> float:
        """Return the seconds between two timed events, both recorded and the second waited for, by the GPU's clock."""
        ...

    def copy_to_device(self, address: int, array: NDArray[np.float32], stream: int) -> None:
        """Begin to copy a contiguous array in pinned memory to the GPU."""
        ...

    def copy_to_host(self, array: NDArray[np.float32], address: int, stream: int) -> None:
        """Begin to copy from the GPU to a contiguous array in pinned memory."""
        ...

    def record(self, event: Any, stream: int) -> None:
        """Let an event stand for all that a stream was given so far."""
        ...

    def wait_for(self, event: Any) -> None:
        """Wait until all that an event stands for is done; at once if it was never recorded."""
        ...

    def synchronise(self, stream: int) -> None:
        """Wait until a stream has done all that it was given."""
        ...

    def capture(self, stream: int, work: Callable[[], None]) -> Any:
        """Return the work that a function gives a stream, to be launched at once and often; it does not run yet."""
        ...

    def launch(self, graph: Any, stream: int) -> None:
        """Begin to do captured work."""
        ...

    def discard(self, graph: Any) -> None:
        """Free captured work."""
        ...

    def close(self) -> None:
        """Give back all that was taken, graphs aside. Closing twice is no error."""
        ...


def open_cuda(number: int = 0, library: CudaLibrary | None = None) -> Cuda:
    """Return a GPU by its number.

    Parameters
    ----------
    number
        In CUDA's order, from 0.
    library
        What calls CUDA; None takes cuda-python before pycuda.

    Raises
    ------
    EngineError
        If neither library is installed, or CUDA cannot use the GPU.
    """
    wanted = library or installed_library()
    if wanted is None:
        raise missing("tensorrt", "unetplus-edge[trt]", ModuleNotFoundError())
    try:
        return CudaPython(number) if wanted == "cuda-python" else PyCuda(number)
    except ImportError as error:
        raise missing("tensorrt", "unetplus-edge[trt]", error) from error


def installed_library() -> CudaLibrary | None:
    """Return what is installed to call CUDA with, cuda-python before pycuda; nothing is imported."""
    if find_spec("cuda") is not None and find_spec("cuda.bindings") is not None:
        return "cuda-python"
    return "pycuda" if find_spec("pycuda") is not None else None


class CudaPython:
    """CUDA's runtime through cuda-python's bindings, as `Cuda` describes it."""

    captures_graphs = True

    def __init__(self, number: int) -> None:
        self._runtime = import_module("cuda.bindings.runtime")
        self.library = f"cuda-bindings {import_module('cuda.bindings').__version__}"
        self._number = number
        self._give_back: list[Callable[[], Any]] = []
        with self.current():
            # The first call that needs the GPU to be there.
            self._call(self._runtime.cudaFree, 0)

    @contextmanager
    def current(self) -> Iterator[None]:
        """See `Cuda`."""
        self._call(self._runtime.cudaSetDevice, self._number)
        yield

    def device_buffer(self, shape: tuple[int, ...]) -> int:
        """See `Cuda`."""
        address = int(self._call(self._runtime.cudaMalloc, int(np.prod(shape)) * _FLOAT))
        self._give_back.append(lambda: self._runtime.cudaFree(address))
        return address

    def host_buffer(self, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """See `Cuda`."""
        count = int(np.prod(shape))
        address = int(self._call(self._runtime.cudaMallocHost, count * _FLOAT))
        self._give_back.append(lambda: self._runtime.cudaFreeHost(address))
        memory = memoryview((ctypes.c_float * count).from_address(address)).cast("B")
        return np.frombuffer(memory, np.float32).reshape(shape)

    def stream(self) -> int:
        """See `Cuda`."""
        stream = self._call(self._runtime.cudaStreamCreateWithFlags, self._runtime.cudaStreamNonBlocking)
        self._give_back.append(lambda: self._runtime.cudaStreamDestroy(stream))
        return int(stream)

    def event(self) -> Any:
        """See `Cuda`."""
        return self._event(self._runtime.cudaEventDisableTiming)

    def timed_event(self) -> Any:
        """See `Cuda`."""
        return self._event(self._runtime.cudaEventDefault)

    def seconds_between(self, begin: Any, end: Any) -> float:
        """See `Cuda`."""
        return float(self._call(self._runtime.cudaEventElapsedTime, begin, end)) * _MILLISECOND

    def copy_to_device(self, address: int, array: NDArray[np.float32], stream: int) -> None:
        """See `Cuda`."""
        kind = self._runtime.cudaMemcpyKind.cudaMemcpyHostToDevice
        self._call(self._runtime.cudaMemcpyAsync, address, array.ctypes.data, array.nbytes, kind, stream)

    def copy_to_host(self, array: NDArray[np.float32], address: int, stream: int) -> None:
        """See `Cuda`."""
        kind = self._runtime.cudaMemcpyKind.cudaMemcpyDeviceToHost
        self._call(self._runtime.cudaMemcpyAsync, array.ctypes.data, address, array.nbytes, kind, stream)

    def record(self, event: Any, stream: int) -> None:
        """See `Cuda`."""
        self._call(self._runtime.cudaEventRecord, event, stream)

    def wait_for(self, event: Any) -> None:
        """See `Cuda`."""
        self._call(self._runtime.cudaEventSynchronize, event)

    def synchronise(self, stream: int) -> None:
        """See `Cuda`."""
        self._call(self._runtime.cudaStreamSynchronize, stream)

    def capture(self, stream: int, work: Callable[[], None]) -> Any:
        """See `Cuda`."""
        mode = self._runtime.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
        self._call(self._runtime.cudaStreamBeginCapture, stream, mode)
        try:
            work()
        except BaseException:
            # A stream stays in capture until it is ended, whatever became of the work.
            self._runtime.cudaStreamEndCapture(stream)
            raise
        graph = self._call(self._runtime.cudaStreamEndCapture, stream)
        try:
            return self._call(self._runtime.cudaGraphInstantiate, graph, 0)
        finally:
            self._runtime.cudaGraphDestroy(graph)

    def launch(self, graph: Any, stream: int) -> None:
        """See `Cuda`."""
        self._call(self._runtime.cudaGraphLaunch, graph, stream)

    def discard(self, graph: Any) -> None:
        """See `Cuda`."""
        self._runtime.cudaGraphExecDestroy(graph)

    def close(self) -> None:
        """See `Cuda`."""
        if self._give_back:
            with self.current():
                while self._give_back:
                    self._give_back.pop()()

    def _event(self, flags: int) -> Any:
        event = self._call(self._runtime.cudaEventCreateWithFlags, flags)
        self._give_back.append(lambda: self._runtime.cudaEventDestroy(event))
        return event

    def _call(self, function: Callable[..., tuple[Any, ...]], *arguments: Any) -> Any:
        """Call CUDA and return its answer, or raise its error as an `EngineError`."""
        code, *answer = function(*arguments)
        if code != self._runtime.cudaError_t.cudaSuccess:
            _, text = self._runtime.cudaGetErrorString(code)
            raise _failed(function.__name__, text.decode(errors="replace"))
        return answer[0] if answer else None


class PyCuda:
    """CUDA's driver interface through pycuda, as `Cuda` describes it, without graphs."""

    captures_graphs = False

    def __init__(self, number: int) -> None:
        self._driver = import_module("pycuda.driver")
        self.library = f"pycuda {import_module('pycuda').VERSION_TEXT}"
        # pycuda frees what it gave when the last reference to it goes.
        self._taken: dict[int, Any] = {}
        with self._errors("cuInit"):
            self._driver.init()
            # The one context of a GPU that the runtime interface, and with it TensorRT, uses too.
            self._context = self._driver.Device(number).retain_primary_context()

    @contextmanager
    def current(self) -> Iterator[None]:
        """See `Cuda`."""
        with self._errors("cuCtxPushCurrent"):
            self._context.push()
        try:
            yield
        finally:
            self._context.pop()

    def device_buffer(self, shape: tuple[int, ...]) -> int:
        """See `Cuda`."""
        with self._errors("cuMemAlloc"):
            return self._keep(self._driver.mem_alloc(int(np.prod(shape)) * _FLOAT))

    def host_buffer(self, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """See `Cuda`."""
        with self._errors("cuMemHostAlloc"):
            array: NDArray[np.float32] = self._driver.pagelocked_empty(shape, np.float32)
        return array

    def stream(self) -> int:
        """See `Cuda`."""
        with self._errors("cuStreamCreate"):
            stream = self._driver.Stream()
        handle = int(stream.handle)
        self._taken[handle] = stream
        return handle

    def event(self) -> Any:
        """See `Cuda`."""
        with self._errors("cuEventCreate"):
            return self._driver.Event(self._driver.event_flags.DISABLE_TIMING)

    def timed_event(self) -> Any:
        """See `Cuda`."""
        with self._errors("cuEventCreate"):
            return self._driver.Event()

    def seconds_between(self, begin: Any, end: Any) -> float:
        """See `Cuda`."""
        with self._errors("cuEventElapsedTime"):
            return float(begin.time_till(end)) * _MILLISECOND

    def copy_to_device(self, address: int, array: NDArray[np.float32], stream: int) -> None:
        """See `Cuda`."""
        with self._errors("cuMemcpyHtoDAsync"):
            self._driver.memcpy_htod_async(address, array, self._taken[stream])

    def copy_to_host(self, array: NDArray[np.float32], address: int, stream: int) -> None:
        """See `Cuda`."""
        with self._errors("cuMemcpyDtoHAsync"):
            self._driver.memcpy_dtoh_async(array, address, self._taken[stream])

    def record(self, event: Any, stream: int) -> None:
        """See `Cuda`."""
        with self._errors("cuEventRecord"):
            event.record(self._taken[stream])

    def wait_for(self, event: Any) -> None:
        """See `Cuda`."""
        with self._errors("cuEventSynchronize"):
            event.synchronize()

    def synchronise(self, stream: int) -> None:
        """See `Cuda`."""
        with self._errors("cuStreamSynchronize"):
            self._taken[stream].synchronize()

    def capture(self, stream: int, work: Callable[[], None]) -> Any:
        """See `Cuda`."""
        raise EngineError("pycuda makes no CUDA graphs; run: pip install 'unetplus-edge[trt]'")

    def launch(self, graph: Any, stream: int) -> None:
        """See `Cuda`."""
        raise EngineError("pycuda makes no CUDA graphs; run: pip install 'unetplus-edge[trt]'")

    def discard(self, graph: Any) -> None:
        """See `Cuda`."""

    def close(self) -> None:
        """See `Cuda`."""
        if self._taken:
            with self.current():
                self._taken.clear()
        if self._context is not None:
            self._context.detach()
            self._context = None

    def _keep(self, allocation: Any) -> int:
        address = int(allocation)
        self._taken[address] = allocation
        return address

    @contextmanager
    def _errors(self, call: str) -> Iterator[None]:
        try:
            yield
        except self._driver.Error as error:
            raise _failed(call, str(error)) from error


def _failed(call: str, reason: str) -> EngineError:
    return EngineError(f"CUDA failed in {call} ({reason}); see what nvidia-smi says")
