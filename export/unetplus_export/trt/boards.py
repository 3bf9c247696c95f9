"""The boards and GPUs that people have, which TensorRT each gets, and which precisions are of use there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from unetplus_runtime.engines.gpu import sm

if TYPE_CHECKING:
    from unetplus_edge.manifest import Precision


@dataclass(frozen=True)
class Board:
    """A board or a family of GPUs.

    Attributes
    ----------
    name
        As it is sold, with the system that it runs where that decides.
    compute_capabilities
        Of its GPU.
    tensorrt
        The versions that run there, and where they come from.
    python
        The versions that come with it, or that TensorRT has packages for.
    precisions
        That are of use there; none where this project does not run.
    remark
        What is not, and why.
    """

    name: str
    compute_capabilities: tuple[str, ...]
    tensorrt: str
    python: str
    precisions: tuple[Precision, ...]
    remark: str


_NOT_OVER_JETPACK = "never install another TensorRT over JetPack's own"

BOARDS: tuple[Board, ...] = (
    Board(
        "GTX 1080 Ti (Pascal)",
        ("6.1",),
        "8.6.1, extra trt-pascal; with CUDA 12 and driver branch 580 at the latest",
        "3.10, 3.11",
        ("fp32", "int8"),
        "no fp16: its float16 arithmetic is slower than its float32; TensorRT 10 and newer refuse the GPU",
    ),
    Board(
        "Jetson Xavier, Orin with JetPack 5",
        ("7.2", "8.7"),
        "8.5.2, in JetPack",
        "3.8",
        (),
        "not supported: its Python is older than 3.10; update an Orin to JetPack 6, use LiteRT elsewhere",
    ),
    Board(
        "Jetson Orin with JetPack 6",
        ("8.7",),
        "10.3, in JetPack",
        "3.10",
        ("fp32", "tf32", "fp16", "int8"),
        f"precision is asked for by flags and shown by the inspector; {_NOT_OVER_JETPACK}",
    ),
    Board(
        "Jetson Thor with JetPack 7.0, 7.1",
        ("11.0",),
        "10.13.3, in JetPack",
        "3.12",
        ("fp32", "tf32", "fp16", "int8"),
        f"these JetPacks are for Thor alone; {_NOT_OVER_JETPACK}",
    ),
    Board(
        "Jetson Orin, Thor with JetPack 7.2",
        ("8.7", "11.0"),
        "10.16.2, in JetPack; 11.4.1 and newer from 7.2.2 on",
        "3.12",
        ("fp32", "tf32", "fp16", "int8"),
        f"TensorRT 11.0 to 11.4.0 do not run on Jetsons; {_NOT_OVER_JETPACK} before 7.2.2",
    ),
    Board(
        "Volta (V100, Titan V)",
        ("7.0",),
        "8.6.1, or 10.0 to 10.4",
        "3.10 to 3.12",
        ("fp32", "fp16", "int8"),
        "TensorRT 10.5 and newer refuse the GPU; no tf32",
    ),
    Board(
        "Turing (RTX 20, GTX 16, T4)",
        ("7.5",),
        "10.12 to 11, extra trt-desktop; TensorRT-RTX, extra trt-rtx",
        "3.10 to 3.13",
        ("fp32", "fp16", "int8"),
        "no tf32; TensorRT-RTX builds for this GPU on it alone",
    ),
    Board(
        "Ampere, Ada, Blackwell (RTX 30 and newer, A-series, L4)",
        ("8.0", "8.6", "8.9", "12.0", "12.1"),
        "10.12 to 11, extra trt-desktop; TensorRT-RTX, extra trt-rtx",
        "3.10 to 3.13",
        ("fp32", "tf32", "fp16", "int8"),
        "TensorRT-RTX computes the transposed convolutions of int8 files in fp32 or fp16",
    ),
    Board(
        "Data-centre Hopper, Blackwell (H100, H200, B200)",
        ("9.0", "10.0"),
        "10.12 to 11, extra trt-desktop",
        "3.10 to 3.13",
        ("fp32", "tf32", "fp16", "int8"),
        "TensorRT-RTX does not run here",
    ),
)
"""What is known of each, by NVIDIA's support matrices and release notes."""

_TENSOR_FLOAT_SINCE = 8
_SLOW_HALF = ("6.1",)


def precision_refusal(precision: Precision, compute_capability: str) -> str | None:
    """Return why a precision is of no use on a GPU, as a clause, or None if it is.

    >>> precision_refusal("fp16", "6.1")
    'float16 arithmetic is slower than float32 on sm_61; ask for fp32 or int8'
    """
    if precision == "fp16" and compute_capability in _SLOW_HALF:
        return f"float16 arithmetic is slower than float32 on {sm(compute_capability)}; ask for fp32 or int8"
    if precision == "tf32" and int(compute_capability.partition(".")[0]) < _TENSOR_FLOAT_SINCE:
        return f"{sm(compute_capability)} has no tf32; ask for fp32"
    return None
