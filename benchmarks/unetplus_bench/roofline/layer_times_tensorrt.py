"""Times of layers by the profiler that TensorRT calls after every run."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from unetplus_bench.roofline.layer_times import medians
from unetplus_edge.errors import EngineError
from unetplus_runtime.engines.cuda_memory import open_cuda
from unetplus_runtime.engines.plan_cache import read_plan
from unetplus_runtime.engines.tensorrt import open_plan
from unetplus_runtime.engines.tensorrt_flavour import find_flavour

if TYPE_CHECKING:
    from unetplus_bench.roofline.layer_times import PartTime
    from unetplus_edge.manifest import PlanRecord
    from unetplus_runtime.engines import EngineInfo
    from unetplus_runtime.engines.cuda_memory import Cuda
    from unetplus_runtime.engines.tensorrt_flavour import Flavour


def part_times(info: EngineInfo, runs: int) -> list[PartTime]:
    """Return the time of every layer of the engine, fused ones as one; see `unetplus_bench.roofline.layer_times`."""
    record = read_plan(info.file)
    flavour = find_flavour(record.flavour)
    number = re.match(r"cuda:(\d+)", info.device)
    cuda = open_cuda(int(number[1]) if number else 0)
    try:
        with cuda.current():
            return medians(_counted(info, record, flavour, cuda, runs)[1:])
    finally:
        cuda.close()


def _counted(
    info: EngineInfo, record: PlanRecord, flavour: Flavour, cuda: Cuda, runs: int
) -> list[dict[tuple[str, str], float]]:
    """Return seconds a patch by name and kind, of every run and one before them."""
    trt = flavour.trt
    # The runtime must live as long as the engine.
    engine, runtime = open_plan(info.file.read_bytes(), info.file.name, record.flags, flavour)
    context = engine.create_execution_context()
    batch, side = record.batches[2], record.patch_side
    profiler = _profiler(trt, batch)
    context.profiler = profiler
    patches = np.random.default_rng(0).random((batch, side, side, 1), np.float32)
    stream = cuda.stream()
    for index in range(engine.num_io_tensors):
        name = engine.get_tensor_name(index)
        address = cuda.device_buffer(patches.shape)
        context.set_tensor_address(name, address)
        if engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT:
            context.set_input_shape(name, patches.shape)
            cuda.copy_to_device(address, patches, stream)
    counted = []
    for _ in range(runs + 1):
        profiler.seconds = {}
        if not context.execute_async_v3(stream):
            raise EngineError(f"TensorRT failed to run {info.file.name} ({flavour.first_error()})")
        cuda.synchronise(stream)
        counted.append(profiler.seconds)
    del context, engine, runtime
    return counted


def _profiler(trt: Any, batch: int) -> Any:
    class Profiler(trt.IProfiler):  # type: ignore[misc]  # a class of whichever library is there
        def __init__(self) -> None:
            trt.IProfiler.__init__(self)
            self.seconds: dict[tuple[str, str], float] = {}

        def report_layer_time(self, layer_name: str, ms: float) -> None:
            self.seconds[layer_name, ""] = ms / 1e3 / batch

    return Profiler()
