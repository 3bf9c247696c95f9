"""What devices can compute and move at most, by their datasheets.

Peaks are products: multiprocessors, times multiply-accumulates of one in a clock, times the highest
clock of any power mode. Rates are dense: networks of this project have no structured sparsity. A
deep-learning accelerator (DLA) beside the GPU is not counted, because nothing here runs on one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from unetplus_bench.boards.figures import Device, Figure, Source
from unetplus_edge.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from unetplus_edge.manifest import Precision

_TABLE = Source(
    "NVIDIA Jetson series comparison, Ultralytics quick start guide",
    "https://docs.ultralytics.com/guides/nvidia-jetson/",
)
_CUDA_GUIDE = Source(
    "CUDA C++ Programming Guide 12.9, table Throughput of Native Arithmetic Instructions",
    "https://docs.nvidia.com/cuda/archive/12.9.0/cuda-c-programming-guide/index.html#arithmetic-instructions",
)
_DP4A = Source(
    "Mixed-Precision Programming with CUDA 8: DP4A is four multiply-accumulates in one instruction",
    "https://developer.nvidia.com/blog/mixed-precision-programming-cuda-8/",
)
_GTX = Source(
    "What NVIDIA's deviceQuery prints on a GTX 1080 Ti: 28 multiprocessors, 1582 MHz, 352 bit at 5505 MHz",
    "https://gist.github.com/lijunzh/9221ed655f6772c42ca088e66258eda8",
)
_NANO = Source(
    "What NVIDIA's deviceQuery prints on a Jetson Nano: 1 multiprocessor, 922 MHz",
    "https://gist.github.com/r7vme/45ad34e9c2e8d8cd1c01d94975ee6bee",
)
_TX2 = Source(
    "What NVIDIA's deviceQuery prints on a Jetson TX2: 2 multiprocessors, a memory of 128 bit",
    "https://gist.github.com/r7vme/d9a3f29771c3c69fc5702fd90ca7739a",
)
_TX2_CLOCK = Source(
    "NVPModel, NVIDIA Jetson TX2 Development Kit: 1.30 GHz in mode Max-N",
    "https://www.jetsonhacks.com/2017/03/25/nvpmodel-nvidia-jetson-tx2-development-kit/",
)
_TX2_MEMORY = Source(
    "What tegrastats prints on a Jetson TX2: EMC_FREQ at 1866 MHz, twice a clock and 16 bytes wide",
    "https://gist.github.com/TerryTsao/fa30ba54e660c51d5c91aafb55715d89",
)
_XAVIER = Source(
    "NVIDIA Jetson AGX Xavier Delivers 32 TeraOps: 11 TFLOPS in FP16 and 22 TOPS in INT8 of 8 multiprocessors",
    "https://developer.nvidia.com/blog/nvidia-jetson-agx-xavier-32-teraops-ai-robotics/",
)
_XAVIER_NX = Source(
    "Jetson Xavier NX data sheet DA-09366-001: 384 cores, of which a multiprocessor has 64, at 1100 MHz",
    "https://documents.pub/document/data-sheet-preliminary-nvidia-jetson-xavier-nx-system-on-xavier-nx-data-sheetpdf.html",
)
_ORIN = Source(
    "NVIDIA Jetson AGX Orin Series technical brief: 16 multiprocessors of 128 cores, 170 TOPS in INT8 where half of "
    "the weights are zero, half as many products in FP16",
    "https://www.nvidia.com/content/dam/en-zz/Solutions/gtcf21/jetson-orin/nvidia-jetson-agx-orin-technical-brief.pdf",
)
_ORIN_NX_CLOCK = Source(
    "NVIDIA's nvpmodel_p3767_0000_super.conf, of Orin NX 16 GB: 1173 MHz",
    "https://github.com/LineageOS/android_device_nvidia_concord/blob/lineage-23.0/nvpmodel/nvpmodel_p3767_0000_super.conf",
)
_THOR = Source(
    "SoM overview of Jetson AGX Thor, RidgeRun: T5000 with 10 TPCs of 2 multiprocessors, 1.575 GHz, 273 GB/s",
    "https://developer.ridgerun.com/wiki/index.php/NVIDIA_Jetson_AGX_Thor/Introduction/SoM_Overview",
)
_THOR_RATE = Source(
    "NVIDIA's product lines and their tensor cores: 2048 operations a clock in BF16 of each of a multiprocessor's 4, "
    "twice as many in FP8, all of them on Thor",
    "https://torring.dev/blog/2026/rtx-spark-throttling/",
)
_HALF = Source("no source; half of the rate of fp16, as on NVIDIA's A100", "")

_NO_INT8 = "it has no 8-bit products, and TensorRT builds none for it"
_NO_TF32 = "it has no tf32"

_MAXWELL: dict[Precision, Figure] = {"fp32": Figure(128, _CUDA_GUIDE), "fp16": Figure(256, _CUDA_GUIDE)}
_VOLTA: dict[Precision, Figure] = {
    "fp32": Figure(64, _CUDA_GUIDE),
    "fp16": Figure(512, _XAVIER),
    "int8": Figure(1024, _XAVIER),
}
_AMPERE: dict[Precision, Figure] = {
    "fp32": Figure(128, _ORIN),
    "tf32": Figure(512, _HALF),
    "fp16": Figure(1024, _ORIN),
    "int8": Figure(2048, _ORIN),
}
_BLACKWELL: dict[Precision, Figure] = {
    "fp32": Figure(128, _THOR),
    "tf32": Figure(2048, _HALF),
    "fp16": Figure(4096, _THOR_RATE),
    "int8": Figure(8192, _THOR_RATE),
}

DEVICES: tuple[Device, ...] = (
    Device(
        "GTX 1080 Ti",
        ("NVIDIA GeForce GTX 1080 Ti", "GeForce GTX 1080 Ti"),
        Figure(28, _GTX),
        Figure(1.582e9, _GTX),
        {"fp32": Figure(128, _CUDA_GUIDE), "int8": Figure(512, _DP4A)},
        Figure(484.4e9, _GTX),
        {"fp16": "its float16 arithmetic has 1/64 of the rate of its float32: of no use", "tf32": _NO_TF32},
        "at the advertised boost clock: a card that is cool runs faster than that by itself, and can then take less",
    ),
    Device(
        "Jetson Nano",
        ("NVIDIA Tegra X1",),
        Figure(1, _NANO),
        Figure(0.9216e9, _NANO),
        _MAXWELL,
        Figure(25.6e9, _TABLE),
        {"int8": _NO_INT8, "tf32": _NO_TF32},
    ),
    Device(
        "Jetson TX2",
        ("NVIDIA Tegra X2",),
        Figure(2, _TX2),
        Figure(1.3e9, _TX2_CLOCK),
        _MAXWELL,
        Figure(59.7e9, _TX2_MEMORY),
        {"int8": _NO_INT8, "tf32": _NO_TF32},
    ),
    Device(
        "Jetson Xavier NX",
        ("Xavier",),
        Figure(6, _XAVIER_NX),
        Figure(1.1e9, _XAVIER_NX),
        _VOLTA,
        Figure(59.7e9, _TABLE),
        {"tf32": _NO_TF32},
        "its memory at 1866 MHz, which the modes of 20 W have; 51.2 GB/s at the 1600 MHz of its first data sheet",
    ),
    Device(
        "Jetson AGX Xavier",
        ("Xavier",),
        Figure(8, _XAVIER),
        Figure(1.377e9, _TABLE),
        _VOLTA,
        Figure(136.5e9, _TABLE),
        {"tf32": _NO_TF32},
    ),
    Device(
        "Jetson Orin Nano",
        ("Orin",),
        Figure(8, _TABLE),
        Figure(1.02e9, _TABLE),
        _AMPERE,
        Figure(102.4e9, _TABLE),
        {},
        "8 GB, in the power mode MAXN_SUPER of JetPack 6.2 and newer",
    ),
    Device(
        "Jetson Orin NX",
        ("Orin",),
        Figure(8, _TABLE),
        Figure(1.173e9, _ORIN_NX_CLOCK),
        _AMPERE,
        Figure(102.4e9, _TABLE),
        {},
        "16 GB, in the power mode MAXN_SUPER of JetPack 6.2 and newer",
    ),
    Device(
        "Jetson AGX Orin",
        ("Orin",),
        Figure(16, _ORIN),
        Figure(1.3e9, _TABLE),
        _AMPERE,
        Figure(204.8e9, _TABLE),
        {},
        "64 GB",
    ),
    Device(
        "Jetson Thor",
        ("NVIDIA Thor", "Thor"),
        Figure(20, _THOR),
        Figure(1.575e9, _THOR),
        _BLACKWELL,
        Figure(273e9, _THOR),
        {},
        "T5000; int8 is taken at the rate of fp8, which it does not exceed",
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
