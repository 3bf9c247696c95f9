from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from unetplus_edge.errors import EngineError
from unetplus_runtime.engines.cuda_memory import PyCuda, installed_library, open_cuda
from unetplus_runtime.engines.gpu import find_gpu


def _no_gpu() -> str | None:
    try:
        find_gpu()
    except EngineError as error:
        return str(error)
    return None if installed_library() else "neither cuda-python nor pycuda is installed"


needs_gpu = pytest.mark.skipif(_no_gpu() is not None, reason=str(_no_gpu()))


def copied_there_and_back(cuda, array):
    """Send an array to the GPU and return what comes back."""
    with cuda.current():
        stream, there = cuda.stream(), cuda.device_buffer(array.shape)
        outward, homeward = cuda.host_buffer(array.shape), cuda.host_buffer(array.shape)
        outward[:], homeward[:] = array, -1
        cuda.copy_to_device(there, outward, stream)
        cuda.copy_to_host(homeward, there, stream)
        cuda.synchronise(stream)
        return homeward.copy()


RAMP = np.arange(2 * 4 * 4, dtype=np.float32).reshape(2, 4, 4, 1)


def test_an_array_comes_back_from_the_gpu_as_it_was(fake_cuda):
    cuda = open_cuda()
    np.testing.assert_array_equal(copied_there_and_back(cuda, RAMP), RAMP)
    cuda.close()


def test_closing_gives_everything_back_once(fake_cuda):
    cuda = open_cuda()
    copied_there_and_back(cuda, RAMP)
    with cuda.current():
        cuda.event()
    assert len(fake_cuda.taken) == 5
    cuda.close()
    cuda.close()
    assert fake_cuda.taken == {}


def test_the_gpu_asked_for_is_the_one_used(fake_cuda):
    open_cuda(3)
    assert fake_cuda.device == 3


def test_waiting_for_an_event_waits_for_what_came_before_it_alone(fake_cuda):
    cuda = open_cuda()
    done = []
    with cuda.current():
        stream, event = cuda.stream(), cuda.event()
        cuda.wait_for(event)
        fake_cuda.give(stream, lambda: done.append("before"))
        cuda.record(event, stream)
        fake_cuda.give(stream, lambda: done.append("after"))
        cuda.wait_for(event)
    assert done == ["before"]


def test_captured_work_runs_as_often_as_it_is_launched(fake_cuda):
    cuda = open_cuda()
    done = []
    with cuda.current():
        stream = cuda.stream()
        graph = cuda.capture(stream, lambda: fake_cuda.give(stream, lambda: done.append(len(done))))
        cuda.synchronise(stream)
        assert done == []
        for _ in range(3):
            cuda.launch(graph, stream)
        cuda.synchronise(stream)
    assert done == [0, 1, 2]
    before = len(fake_cuda.taken)
    cuda.discard(graph)
    assert len(fake_cuda.taken) == before - 1


def test_a_stream_is_no_longer_captured_when_the_work_fails(fake_cuda):
    cuda = open_cuda()
    done = []
    with cuda.current():
        stream = cuda.stream()
        with pytest.raises(ZeroDivisionError):
            cuda.capture(stream, lambda: 1 / 0)
        fake_cuda.give(stream, lambda: done.append(1))
        cuda.synchronise(stream)
    assert done == [1]


def test_an_error_of_cuda_comes_with_its_own_message(fake_cuda):
    fake_cuda.memory_left = 3
    cuda = open_cuda()
    with cuda.current(), pytest.raises(EngineError, match=r"CUDA failed in cudaMalloc \(out of memory\); see"):
        cuda.device_buffer((1, 64, 64, 1))


def test_without_either_library_the_error_says_what_to_install(monkeypatch):
    for name in ("cuda", "pycuda"):
        # None in its place is how Python marks what cannot be imported.
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setattr("unetplus_runtime.engines.cuda_memory.find_spec", lambda name: None)
    with pytest.raises(EngineError, match=r"run: pip install 'unetplus-edge\[trt\]'"):
        open_cuda()
    with pytest.raises(EngineError, match=r"run: pip install 'unetplus-edge\[trt\]'"):
        open_cuda(library="pycuda")


@pytest.mark.skipif(installed_library() != "cuda-python", reason="cuda-python is not installed")
@pytest.mark.skipif(_no_gpu() is None, reason="there is a GPU")
def test_without_a_driver_the_error_is_cudas_own():
    with pytest.raises(EngineError, match=r"CUDA failed in cudaSetDevice \(.*driver.*\)"):
        open_cuda()


class FakePyCuda(ModuleType):
    """The part of `pycuda.driver` that is used here; it notes what is called."""

    Error = type("Error", (Exception,), {})
    event_flags = SimpleNamespace(DISABLE_TIMING=2)

    def __init__(self):
        super().__init__("pycuda.driver")
        self.calls = []
        self.memory = {}

    def init(self):
        self.calls.append("init")

    def Device(self, number):  # noqa: N802
        self.calls.append(f"device {number}")
        context = SimpleNamespace(
            push=lambda: self.calls.append("push"),
            pop=lambda: self.calls.append("pop"),
            detach=lambda: self.calls.append("detach"),
        )
        return SimpleNamespace(retain_primary_context=lambda: context)

    def mem_alloc(self, size):
        if size > 4096:
            raise self.Error("out of memory")
        self.memory[1000] = bytes(size)
        return 1000

    def pagelocked_empty(self, shape, dtype):
        return np.empty(shape, dtype)

    def Stream(self):  # noqa: N802
        return SimpleNamespace(handle=7, synchronize=lambda: self.calls.append("synchronise"))

    def Event(self, flags=0):  # noqa: N802
        def time_till(end):
            if flags == self.event_flags.DISABLE_TIMING:
                raise self.Error("invalid resource handle")
            return 2.5

        return SimpleNamespace(
            time_till=time_till,
            record=lambda stream: self.calls.append(f"record {stream.handle}"),
            synchronize=lambda: self.calls.append("wait"),
        )

    def memcpy_htod_async(self, to, array, stream):
        self.memory[to] = array.tobytes()

    def memcpy_dtoh_async(self, array, source, stream):
        array[:] = np.frombuffer(self.memory[source], array.dtype).reshape(array.shape)


@pytest.fixture
def fake_pycuda(monkeypatch):
    driver, package = FakePyCuda(), ModuleType("pycuda")
    package.VERSION_TEXT = "2026.1"
    package.__path__ = []
    for module in (package, driver):
        module.__spec__ = ModuleSpec(module.__name__, None)
        monkeypatch.setitem(sys.modules, module.__name__, module)
    return driver


def test_pycuda_copies_as_cuda_python_does(fake_pycuda):
    cuda = open_cuda(2, library="pycuda")
    assert cuda.library == "pycuda 2026.1"
    np.testing.assert_array_equal(copied_there_and_back(cuda, RAMP), RAMP)
    with cuda.current():
        event = cuda.event()
        cuda.record(event, 7)
        cuda.wait_for(event)
    cuda.close()
    cuda.close()
    # Whatever was made current is no longer, and the context is given back once.
    assert fake_pycuda.calls.count("push") == fake_pycuda.calls.count("pop") == 3
    assert fake_pycuda.calls.count("detach") == 1
    assert fake_pycuda.calls[:2] == ["init", "device 2"]


def test_timed_events_tell_seconds_and_others_none(fake_pycuda):
    cuda = PyCuda(0)
    assert cuda.seconds_between(cuda.timed_event(), cuda.timed_event()) == pytest.approx(0.0025)
    with pytest.raises(EngineError, match="cuEventElapsedTime"):
        cuda.seconds_between(cuda.event(), cuda.timed_event())


def test_pycuda_has_no_graphs_and_says_so(fake_pycuda):
    cuda = PyCuda(0)
    assert not cuda.captures_graphs
    with pytest.raises(EngineError, match="pycuda makes no CUDA graphs"):
        cuda.capture(7, lambda: None)
    with pytest.raises(EngineError, match="pycuda makes no CUDA graphs"):
        cuda.launch(None, 7)


def test_an_error_of_pycuda_comes_with_its_own_message(fake_pycuda):
    with pytest.raises(EngineError, match=r"CUDA failed in cuMemAlloc \(out of memory\)"):
        PyCuda(0).device_buffer((1, 64, 64, 1))


def test_cuda_python_is_taken_before_pycuda(fake_cuda, fake_pycuda):
    assert open_cuda().library == "cuda-bindings 13.0"


@pytest.mark.gpu
@needs_gpu
def test_on_a_gpu_an_array_comes_back_as_it_was():
    array = np.random.default_rng(0).random((4, 256, 256, 1), np.float32)
    cuda = open_cuda()
    np.testing.assert_array_equal(copied_there_and_back(cuda, array), array)
    cuda.close()


@pytest.mark.gpu
@needs_gpu
def test_on_a_gpu_a_captured_copy_copies_what_is_there_when_it_is_launched():
    cuda = open_cuda()
    if not cuda.captures_graphs:
        pytest.skip("pycuda makes no CUDA graphs")
    with cuda.current():
        stream, there = cuda.stream(), cuda.device_buffer(RAMP.shape)
        outward, homeward = cuda.host_buffer(RAMP.shape), cuda.host_buffer(RAMP.shape)

        def work():
            cuda.copy_to_device(there, outward, stream)
            cuda.copy_to_host(homeward, there, stream)

        graph = cuda.capture(stream, work)
        for factor in (1, 2):
            outward[:], homeward[:] = factor * RAMP, -1
            cuda.launch(graph, stream)
            cuda.synchronise(stream)
            np.testing.assert_array_equal(homeward, factor * RAMP)
        cuda.discard(graph)
    cuda.close()


@pytest.mark.gpu
@needs_gpu
def test_on_a_gpu_more_memory_than_there_is_is_an_error_of_cuda():
    cuda = open_cuda()
    with cuda.current(), pytest.raises(EngineError, match="out of memory"):
        cuda.device_buffer((1 << 20, 1024, 1024))
    cuda.close()
