"""The NVIDIA GPU of this machine, as the driver itself names it: no package is needed to ask."""

from __future__ import annotations

import ctypes
import sys
from dataclasses import dataclass
from typing import Any

from unetplus_edge.errors import EngineError

_MAJOR, _MINOR = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR and _MINOR
_NAME_LENGTH = 256


@dataclass(frozen=True)
class Gpu:
    """A GPU.

    Attributes
    ----------
    name
        As the driver gives it, such as "NVIDIA GeForce GTX 1080 Ti".
    compute_capability
        Of its architecture, such as "6.1".
    """

    name: str
    compute_capability: str

    @property
    def sm(self) -> str:
        """The compute capability as compilers write it.

        >>> Gpu("Orin", "8.7").sm
        'sm_87'
        """
        return sm(self.compute_capability)


def sm(compute_capability: str) -> str:
    """Return a compute capability as compilers write it.

    >>> sm("12.0")
    'sm_120'
    """
    return f"sm_{compute_capability.replace('.', '')}"


def find_gpu(number: int = 0) -> Gpu:
    """Return a GPU by its number, in CUDA's order.

    Raises
    ------
    EngineError
        If there is no driver, or no such GPU.
    """
    driver = _driver()
    count = ctypes.c_int()
    _check(driver, driver.cuDeviceGetCount(ctypes.byref(count)))
    if number >= count.value:
        raise EngineError(f"there is no GPU {number} here: the driver counts {count.value}, from 0; name another")
    device = ctypes.c_int()
    _check(driver, driver.cuDeviceGet(ctypes.byref(device), number))
    name = ctypes.create_string_buffer(_NAME_LENGTH)
    _check(driver, driver.cuDeviceGetName(name, _NAME_LENGTH, device))
    version = []
    for attribute in (_MAJOR, _MINOR):
        value = ctypes.c_int()
        _check(driver, driver.cuDeviceGetAttribute(ctypes.byref(value), attribute, device))
        version.append(str(value.value))
    return Gpu(name.value.decode(errors="replace"), ".".join(version))


def _driver() -> Any:
    library = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
    try:
        driver = ctypes.CDLL(library)
    except OSError:
        raise EngineError(
            f"there is no NVIDIA driver here ({library} is missing); use a machine with an NVIDIA GPU, or another "
            "engine"
        ) from None
    _check(driver, driver.cuInit(0))
    return driver


def _check(driver: Any, code: int) -> None:
    if code == 0:
        return
    text = ctypes.c_char_p()
    driver.cuGetErrorString(code, ctypes.byref(text))
    reason = text.value.decode(errors="replace") if text.value else f"error {code}"
    raise EngineError(f"the NVIDIA driver finds no usable GPU ({reason}); see what nvidia-smi says")
