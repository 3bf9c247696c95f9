from __future__ import annotations

import ctypes

import pytest

from unetplus_edge.errors import EngineError
from unetplus_runtime.engines.gpu import Gpu, find_gpu

NO_DEVICE = 100


def put(place, value, kind=ctypes.c_int):
    """Write where C code would: behind a pointer."""
    ctypes.cast(place, ctypes.POINTER(kind))[0] = value


class FakeDriver:
    """The part of NVIDIA's driver library that is used here."""

    def __init__(self, gpus, answer=0):
        self.gpus, self.answer = gpus, answer

    def cuInit(self, flags):  # noqa: N802
        return self.answer

    def cuGetErrorString(self, code, text):  # noqa: N802
        put(text, {NO_DEVICE: b"no CUDA-capable device is detected"}.get(code), ctypes.c_char_p)

    def cuDeviceGetCount(self, count):  # noqa: N802
        put(count, len(self.gpus))
        return 0

    def cuDeviceGet(self, device, number):  # noqa: N802
        put(device, number)
        return 0

    def cuDeviceGetName(self, name, length, device):  # noqa: N802
        name.value = self.gpus[device.value][0].encode()
        return 0

    def cuDeviceGetAttribute(self, value, attribute, device):  # noqa: N802
        put(value, self.gpus[device.value][{75: 1, 76: 2}[attribute]])
        return 0


@pytest.fixture
def driver(monkeypatch):
    """Puts a driver in the place of the machine's."""

    def install(*gpus, answer=0):
        monkeypatch.setattr(ctypes, "CDLL", lambda name: FakeDriver(gpus, answer))

    return install


def test_a_gpu_is_named_as_the_driver_names_it(driver):
    driver(("NVIDIA GeForce GTX 1080 Ti", 6, 1), ("Orin", 8, 7))
    assert find_gpu() == Gpu("NVIDIA GeForce GTX 1080 Ti", "6.1")
    assert find_gpu(1) == Gpu("Orin", "8.7")


def test_a_number_that_no_gpu_has_is_refused(driver):
    driver(("Orin", 8, 7))
    with pytest.raises(EngineError, match="there is no GPU 1 here: the driver counts 1, from 0"):
        find_gpu(1)


def test_a_driver_without_a_gpu_says_why(driver):
    driver(answer=NO_DEVICE)
    with pytest.raises(EngineError, match=r"no usable GPU \(no CUDA-capable device is detected\)"):
        find_gpu()
    driver(answer=9999)
    with pytest.raises(EngineError, match=r"no usable GPU \(error 9999\)"):
        find_gpu()


def test_without_a_driver_its_absence_is_named(monkeypatch):
    def absent(name):
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr(ctypes, "CDLL", absent)
    with pytest.raises(EngineError, match="there is no NVIDIA driver here"):
        find_gpu()
