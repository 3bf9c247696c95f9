"""What devices can compute and move at most, by their datasheets.

Peaks are products: multiprocessors, times multiply-accumulates of one in a clock, times the highest
clock of any power mode. Rates are dense: networks of this project have no structured sparsity. A
deep-learning accelerator (DLA) beside the GPU is not counted, because nothing here runs on one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from unetplus_edge.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from unetplus_edge.manifest import Precision

_CUDA_GUIDE = "https://docs.nvidia.com/cuda/archive/12.9.0/cuda-c-programming-guide/index.html#arithmetic-instructions"
_DP4A = "https://developer.nvidia.com/blog/mixed-precision-programming-cuda-8/"
_XAVIER = "https://developer.nvidia.com/blog/nvidia-jetson-agx-xavier-32-teraops-ai-robotics/"
_ORIN = (
    "https://www.nvidia.com/content/dam/en-zz/Solutions/gtcf21/jetson-orin/nvidia-jetson-agx-orin-technical-brief.pdf"
)
_ORIN_SUPER = (
    "https://developer.nvidia.com/blog/"
    "nvidia-jetpack-6-2-brings-super-mode-to-nvidia-jetson-orin-nano-and-jetson-orin-nx-modules/"
)
_THOR = "https://developer.nvidia.com/blog/introducing-nvidia-jetson-thor-the-ultimate-platform-for-physical-ai/"


class Rate(NamedTuple):
    """Multiply-accumulates of one multiprocessor in a clock, and where that is said."""

    macs: int
    source: str


@dataclass(frozen=True)
class Device:
    """A GPU or a board.

    Attributes
    ----------
    name
        As the project's pages call it.
    gpu_names
        How drivers call its GPU.
    multiprocessors, clock
        Number, and highest clock in Hz.
    rates
        By precision; one that is not there is not to be used, see `refusals`.
    bandwidth
        Of the memory, in bytes a second.
    source
        Of multiprocessors, clock and bandwidth.
    refusals
        Why a precision is not there, as a clause.
    remark
        What a reader must know of the figures; empty where nothing.
    """

    name: str
    gpu_names: tuple[str, ...]
    multiprocessors: int
    clock: float
    rates: Mapping[Precision, Rate]
    bandwidth: float
    source: str
    refusals: Mapping[Precision, str]
    remark: str = ""

    def peak(self, precision: Precision) -> float | None:
        """Return multiply-accumulates a second, or None where the precision is not to be used."""
        rate = self.rates.get(precision)
        return None if rate is None else self.multiprocessors * rate.macs * self.clock


_NO_INT8 = "it has no 8-bit products, and TensorRT builds none for it"
_NO_TF32 = "it has no tf32"

_MAXWELL: dict[Precision, Rate] = {"fp32": Rate(128, _CUDA_GUIDE), "fp16": Rate(256, _CUDA_GUIDE)}
_VOLTA: dict[Precision, Rate] = {"fp32": Rate(64, _CUDA_GUIDE), "fp16": Rate(512, _XAVIER), "int8": Rate(1024, _XAVIER)}
_AMPERE: dict[Precision, Rate] = {
    "fp32": Rate(128, _CUDA_GUIDE),
    "tf32": Rate(512, _ORIN),
    "fp16": Rate(1024, _ORIN),
    "int8": Rate(2048, _ORIN),
}

DEVICES: tuple[Device, ...] = (
    Device(
        "GTX 1080 Ti",
        ("NVIDIA GeForce GTX 1080 Ti", "GeForce GTX 1080 Ti"),
        28,
        1.582e9,
        {"fp32": Rate(128, _CUDA_GUIDE), "int8": Rate(512, _DP4A)},
        484e9,
        "https://www.techpowerup.com/gpu-specs/geforce-gtx-1080-ti.c2877",
        {"fp16": "its float16 arithmetic has 1/64 of the rate of its float32: of no use", "tf32": _NO_TF32},
    ),
    Device(
        "Jetson Nano",
        ("NVIDIA Tegra X1",),
        1,
        0.9216e9,
        _MAXWELL,
        25.6e9,
        "https://developer.nvidia.com/blog/jetson-nano-ai-computing/",
        {"int8": _NO_INT8, "tf32": _NO_TF32},
    ),
    Device(
        "Jetson TX2",
        ("NVIDIA Tegra X2",),
        2,
        1.3e9,
        _MAXWELL,
        59.7e9,
        "https://developer.nvidia.com/embedded/jetson-tx2",
        {"int8": _NO_INT8, "tf32": _NO_TF32},
    ),
    Device(
        "Jetson Xavier NX",
        ("Xavier",),
        6,
        1.1e9,
        _VOLTA,
        59.7e9,
        "https://developer.nvidia.com/blog/jetson-xavier-nx-the-worlds-smallest-ai-supercomputer/",
        {"tf32": _NO_TF32},
    ),
    Device("Jetson AGX Xavier", ("Xavier",), 8, 1.377e9, _VOLTA, 136.5e9, _XAVIER, {"tf32": _NO_TF32}),
    Device(
        "Jetson Orin Nano",
        ("Orin",),
        8,
        1.02e9,
        _AMPERE,
        102.4e9,
        _ORIN_SUPER,
        {},
        "8 GB, in the power mode MAXN_SUPER of JetPack 6.2 and newer",
    ),
    Device(
        "Jetson Orin NX",
        ("Orin",),
        8,
        1.173e9,
        _AMPERE,
        102.4e9,
        _ORIN_SUPER,
        {},
        "16 GB, in the power mode MAXN_SUPER of JetPack 6.2 and newer",
    ),
    Device("Jetson AGX Orin", ("Orin",), 16, 1.3e9, _AMPERE, 204.8e9, _ORIN, {}, "64 GB"),
    Device(
        "Jetson Thor",
        ("NVIDIA Thor", "Thor"),
        20,
        1.575e9,
        {
            "fp32": Rate(128, _CUDA_GUIDE),
            "tf32": Rate(2048, _THOR),
            "fp16": Rate(4096, _THOR),
            "int8": Rate(8192, _THOR),
        },
        273e9,
        _THOR,
        {},
        "T5000; int8 is taken at the rate of fp8, which it does not exceed, fp16 at a half and tf32 at a quarter of it",
    ),
)
"""GPU and boards that the project's pages tell how to measure."""


def find_device(name: str) -> Device:
    """Return a device by its name, whatever the case of its letters.

    Raises
    ------
    InputError
        If none has this name.
    """
    for device in DEVICES:
        if device.name.lower() == name.lower():
            return device
    raise InputError(f"no datasheet of {name} is known here; use one of {', '.join(device.name for device in DEVICES)}")


def device_of(facts: Mapping[str, Any]) -> Device | None:
    """Return the device that the facts of a result tell of, or None where that is not certain.

    Parameters
    ----------
    facts
        As `unetplus_bench.device` gathers them, or made of a log of trtexec. What the user calls
        the device, "name", and the board that its system tells, "system" and "board", count first; the
        driver's name of its GPU counts where one device alone has it.
    """
    told = [facts.get("name"), (facts.get("system") or {}).get("board")]
    gpus = [gpu.get("name") for gpu in facts.get("gpus") or []]
    for name in filter(None, told):
        found = [device for device in DEVICES if device.name.lower() in str(name).lower()]
        if found:
            return max(found, key=lambda device: len(device.name))
    by_gpu = [device for device in DEVICES if {*gpus, *told} & {*device.gpu_names}]
    return by_gpu[0] if len(by_gpu) == 1 else None
