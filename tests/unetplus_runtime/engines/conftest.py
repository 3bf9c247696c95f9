"""A stand-in for CUDA's runtime, for machines that have none."""

from __future__ import annotations

import ctypes
import enum
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

HOST_TO_DEVICE, DEVICE_TO_HOST = 1, 2


class _Error(enum.IntEnum):
    cudaSuccess = 0  # noqa: N815
    cudaErrorMemoryAllocation = 2  # noqa: N815


class _CopyKind(enum.IntEnum):
    cudaMemcpyHostToDevice = HOST_TO_DEVICE  # noqa: N815
    cudaMemcpyDeviceToHost = DEVICE_TO_HOST  # noqa: N815


class _CaptureMode(enum.IntEnum):
    cudaStreamCaptureModeThreadLocal = 1  # noqa: N815


class FakeCuda(ModuleType):
    """The part of `cuda.bindings.runtime` that is used here, on the machine's own memory.

    A stream does nothing until something waits for it, so that whoever reads an answer too early,
    or writes to a buffer that a copy still needs, gets wrong numbers.
    """

    cudaError_t = _Error  # noqa: N815
    cudaMemcpyKind = _CopyKind  # noqa: N815
    cudaStreamCaptureMode = _CaptureMode  # noqa: N815
    cudaStreamNonBlocking = 1  # noqa: N815
    cudaEventDefault = 0  # noqa: N815
    cudaEventDisableTiming = 2  # noqa: N815

    def __init__(self) -> None:
        super().__init__("cuda.bindings.runtime")
        self.taken: dict[int, Any] = {}
        self.device = None
        self.launched = 0
        self.memory_left = 1 << 24
        self._queues: dict[int, list[Callable[[], None]]] = {}
        self._done: dict[int, int] = {}
        self.capturing: list[Callable[[], None]] | None = None
        self._next = 1
        self._untimed: set[int] = set()

    def give(self, stream: int, work: Callable[[], None]) -> None:
        """Give a stream something to do, as a library does that computes."""
        if self.capturing is not None:
            self.capturing.append(work)
        else:
            self._queues[int(stream)].append(work)

    def cudaSetDevice(self, number):  # noqa: N802
        self.device = number
        return (_Error.cudaSuccess,)

    def cudaGetErrorString(self, code):  # noqa: N802
        return _Error.cudaSuccess, {2: b"out of memory"}.get(int(code), b"no error")

    def cudaMalloc(self, size):  # noqa: N802
        if size > self.memory_left:
            return _Error.cudaErrorMemoryAllocation, None
        self.memory_left -= size
        memory = ctypes.create_string_buffer(size)
        self.taken[ctypes.addressof(memory)] = memory
        return _Error.cudaSuccess, ctypes.addressof(memory)

    cudaMallocHost = cudaMalloc  # noqa: N815

    def cudaFree(self, address):  # noqa: N802
        if address:
            self.memory_left += len(self.taken.pop(address))
        return (_Error.cudaSuccess,)

    cudaFreeHost = cudaFree  # noqa: N815

    def _new(self, kind):
        self._next += 1
        self.taken[self._next] = kind
        return self._next

    def cudaStreamCreateWithFlags(self, flags):  # noqa: N802
        stream = self._new("stream")
        self._queues[stream], self._done[stream] = [], 0
        return _Error.cudaSuccess, stream

    def cudaStreamDestroy(self, stream):  # noqa: N802
        del self.taken[stream]
        return (_Error.cudaSuccess,)

    def cudaEventCreateWithFlags(self, flags):  # noqa: N802
        event = self._new("event")
        if flags == self.cudaEventDisableTiming:
            self._untimed.add(event)
        return _Error.cudaSuccess, event

    def cudaEventDestroy(self, event):  # noqa: N802
        del self.taken[event]
        return (_Error.cudaSuccess,)

    def cudaMemcpyAsync(self, to, source, size, kind, stream):  # noqa: N802
        self.give(stream, lambda: ctypes.memmove(to, source, size))
        return (_Error.cudaSuccess,)

    def cudaEventRecord(self, event, stream):  # noqa: N802
        self.taken[event] = (stream, len(self._queues[stream]))
        return (_Error.cudaSuccess,)

    def cudaEventSynchronize(self, event):  # noqa: N802
        if self.taken[event] != "event":
            stream, count = self.taken[event]
            self._work(stream, count)
        return (_Error.cudaSuccess,)

    def cudaEventElapsedTime(self, begin, end):  # noqa: N802
        """Everything that a stream does takes a millisecond."""
        if {begin, end} & self._untimed:
            return _Error.cudaErrorMemoryAllocation, None
        (stream, first), (_, last) = self.taken[begin], self.taken[end]
        assert self._done[stream] >= last, "the end was not waited for"
        return _Error.cudaSuccess, float(last - first)

    def cudaStreamSynchronize(self, stream):  # noqa: N802
        self._work(stream, len(self._queues[stream]))
        return (_Error.cudaSuccess,)

    def _work(self, stream, count):
        while self._done[stream] < count:
            self._done[stream] += 1
            self._queues[stream][self._done[stream] - 1]()

    @property
    def pending(self) -> int:
        """What streams were given and have not done yet."""
        return sum(len(queue) - self._done[stream] for stream, queue in self._queues.items())

    def cudaStreamBeginCapture(self, stream, mode):  # noqa: N802
        self.capturing = []
        return (_Error.cudaSuccess,)

    def cudaStreamEndCapture(self, stream):  # noqa: N802
        graph = self._new("graph")
        self.taken[graph], self.capturing = self.capturing, None
        return _Error.cudaSuccess, graph

    def cudaGraphInstantiate(self, graph, flags):  # noqa: N802
        executable = self._new("graph")
        self.taken[executable] = list(self.taken[graph])
        return _Error.cudaSuccess, executable

    def cudaGraphDestroy(self, graph):  # noqa: N802
        del self.taken[graph]
        return (_Error.cudaSuccess,)

    cudaGraphExecDestroy = cudaGraphDestroy  # noqa: N815

    def cudaGraphLaunch(self, graph, stream):  # noqa: N802
        self.launched += 1
        for work in self.taken[graph]:
            self.give(stream, work)
        return (_Error.cudaSuccess,)


@pytest.fixture
def fake_cuda(monkeypatch: pytest.MonkeyPatch) -> FakeCuda:
    """What `cuda.bindings.runtime` is for the length of a test."""
    runtime = FakeCuda()
    package, bindings = ModuleType("cuda"), ModuleType("cuda.bindings")
    bindings.__version__ = "13.0"
    for module in (package, bindings, runtime):
        module.__spec__ = ModuleSpec(module.__name__, None)
        monkeypatch.setitem(sys.modules, module.__name__, module)
    package.__path__ = bindings.__path__ = []
    return runtime
