"""The most that this machine computes and moves, measured: not what a datasheet says."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from unetplus_edge.errors import EngineError
from unetplus_runtime.engines.base import thread_count
from unetplus_runtime.engines.openvino import import_openvino

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from unetplus_edge.manifest import Precision

_SIZE = 1024  # of the matrices
_CHANNELS, _SIDE = 128, 64  # of the convolution, 3x3
_HINTS: dict[Precision, str] = {"fp32": "f32", "bf16": "bf16", "fp16": "f16", "int8": "f32"}
_CAPABILITIES: dict[Precision, str] = {"fp32": "FP32", "bf16": "BF16", "fp16": "FP16", "int8": "INT8"}
_NAMES: dict[str, Precision] = {"f32": "fp32", "bf16": "bf16", "f16": "fp16", "u8": "int8", "i8": "int8"}
_CACHES = "sys/devices/system/cpu/cpu0/cache/index*/size"
_UNITS = {"K": 2**10, "M": 2**20}
_LEAST_ARRAY = 64 * 2**20
_FEWEST_CALLS = 10


@dataclass(frozen=True)
class Peak:
    """A rate that few of many tries exceed.

    Attributes
    ----------
    rate
        Multiply-accumulates, or bytes, a second.
    by
        What reached it.
    """

    rate: float
    by: str


@dataclass(frozen=True)
class Peaks:
    """What this machine can do.

    Attributes
    ----------
    threads
        That the measurements used.
    compute
        Multiply-accumulates a second, by precision.
    refusals
        Why a precision is not among them.
    memory
        Bytes a second between memory and cores, caches left out.
    """

    threads: int
    compute: dict[Precision, Peak] = field(default_factory=dict)
    refusals: dict[Precision, str] = field(default_factory=dict)
    memory: Peak = Peak(0.0, "not measured")


def measure_peaks(threads: int | None = None, seconds: float = 1.0) -> Peaks:
    """Measure what this machine can do.

    A convolution of 128 channels that OpenVINO computes, in every precision that it has here, and in
    float32 the product of two matrices by numpy as well; the better one counts. A triad a = b + s * c
    on arrays larger than the caches for the memory.

    Parameters
    ----------
    threads
        None takes every core that the process may use. The product of matrices is tried then only:
        numpy's library uses every core.
    seconds
        Length of each try.
    """
    count = thread_count(threads)
    compute: dict[Precision, Peak] = {}
    refusals: dict[Precision, str] = {}
    if count == thread_count(None):
        compute["fp32"] = Peak(matrix_rate(seconds), "product of matrices by numpy")
    for precision in _HINTS:
        try:
            rate = convolution_rate(precision, count, seconds)
        except EngineError as error:
            refusals[precision] = str(error)
            continue
        if precision not in compute or rate > compute[precision].rate:
            compute[precision] = Peak(rate, "convolution by OpenVINO")
    return Peaks(
        threads=count,
        compute=compute,
        refusals={precision: reason for precision, reason in refusals.items() if precision not in compute},
        memory=Peak(memory_rate(count, seconds), "triad by numpy"),
    )


def best_rate(
    call: Callable[[], object], work: float, seconds: float, clock: Callable[[], float] = time.perf_counter
) -> float:
    """Return the work of one call divided by a time that a tenth of the calls, at least one, stay below.

    The very shortest time is no better: one clock that a virtual machine sets right is enough for it.

    Parameters
    ----------
    call
        What is timed, after one call that is not.
    work
        Of one call.
    seconds
        For which it is called, at least ten times.
    clock
        Seconds.
    """
    call()
    began = clock()
    times: list[float] = []
    while len(times) < _FEWEST_CALLS or clock() - began < seconds:
        start = clock()
        call()
        times.append(clock() - start)
    return work / sorted(times)[len(times) // _FEWEST_CALLS]


def matrix_rate(seconds: float) -> float:
    """Return multiply-accumulates a second of a product of float32 matrices, on every core."""
    rng = np.random.default_rng(0)
    a, b, product = rng.random((3, _SIZE, _SIZE), np.float32)
    return best_rate(lambda: np.matmul(a, b, out=product), float(_SIZE) ** 3, seconds)


def convolution_rate(precision: Precision, threads: int, seconds: float) -> float:
    """Return multiply-accumulates a second of a convolution that OpenVINO computes.

    Parameters
    ----------
    precision
        To compute in.
    threads
        Threads.
    seconds
        For which it is tried.

    Raises
    ------
    EngineError
        If OpenVINO is not installed, or computes it in another precision here.
    """
    try:
        ov = import_openvino()
    except ImportError as error:
        raise EngineError("it is measured with OpenVINO; run: pip install 'unetplus-edge[openvino]'") from error
    core = ov.Core()
    if _CAPABILITIES.get(precision) not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        raise EngineError(f"OpenVINO has no {precision} on this CPU")
    settings = {
        "INFERENCE_PRECISION_HINT": _HINTS[precision],
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1,
        "CACHE_DIR": "",
    }
    compiled = core.compile_model(_convolution(ov, quantised=precision == "int8"), "CPU", settings)
    found = _computed_in(compiled)
    if found != precision:
        raise EngineError(f"OpenVINO computes a convolution in {found} on this CPU where {precision} is asked for")
    request = compiled.create_infer_request()
    request.set_input_tensor(ov.Tensor(np.random.default_rng(0).random(_shape(), np.float32)))
    return best_rate(request.infer, float(_SIDE**2 * 9 * _CHANNELS**2), seconds)


def memory_rate(threads: int, seconds: float, root: Path = Path("/")) -> float:
    """Return bytes a second that a = b + s * c moves, five for each of a: numpy takes two steps.

    Parameters
    ----------
    threads
        That share the arrays.
    seconds
        For which it is tried.
    root
        The folder below which the system says how large the caches are.
    """
    length = max(_LEAST_ARRAY, 4 * largest_cache(root)) // 4
    a, b, c = np.ones((3, length), np.float32)
    parts = np.array_split(np.arange(length), threads)
    slices = [slice(int(part[0]), int(part[-1]) + 1) for part in parts]

    def triad(part: slice) -> None:
        np.multiply(c[part], np.float32(3), out=a[part])
        np.add(a[part], b[part], out=a[part])

    with ThreadPoolExecutor(threads) as pool:
        return best_rate(lambda: list(pool.map(triad, slices)), 5.0 * a.nbytes, seconds)


def largest_cache(root: Path = Path("/")) -> int:
    """Return the bytes of the largest cache that the system tells of, 0 if it tells of none."""
    found = [path.read_text().strip() for path in root.glob(_CACHES)]
    return max((int(size[:-1]) * _UNITS[size[-1]] for size in found if size[-1:] in _UNITS), default=0)


def _shape() -> tuple[int, int, int, int]:
    return 1, _CHANNELS, _SIDE, _SIDE


def _convolution(ov: Any, *, quantised: bool) -> Any:
    """Return a network of one 3x3 convolution, with everything in 8 bits if it is to be quantised."""
    ops = ov.opset13
    image = ops.parameter(_shape(), np.float32, name="image")
    kernel = np.random.default_rng(1).uniform(-1, 1, (_CHANNELS, _CHANNELS, 3, 3)).astype(np.float32)
    data, weights = image, ops.constant(kernel)
    if quantised:
        data = _in_levels(ops, data, 0, 1, 256)
        weights = _in_levels(ops, weights, -1, 1, 255)
    answer = ops.convolution(data, weights, [1, 1], [1, 1], [1, 1], [1, 1])
    return ov.Model([ops.relu(answer)], [image])


def _in_levels(ops: Any, node: Any, low: float, high: float, levels: int) -> Any:
    ends: list[NDArray[np.float32]] = [np.array(end, np.float32) for end in (low, high)] * 2
    return ops.fake_quantize(node, *ends, levels)


def _computed_in(compiled: Any) -> Precision:
    for node in compiled.get_runtime_model().get_ops():
        information = node.get_rt_info()
        if information["layerType"].astype(str) == "Convolution":
            return _NAMES[information["runtimePrecision"].astype(str)]
    raise EngineError("OpenVINO does not say what it computes a convolution in")
