"""Times of layers by OpenVINO's performance counters."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from unetplus_bench.roofline.layer_times import medians
from unetplus_runtime.engines.openvino import import_openvino

if TYPE_CHECKING:
    from unetplus_bench.roofline.layer_times import PartTime
    from unetplus_edge.manifest import Precision
    from unetplus_runtime.engines import EngineInfo

_HINTS: dict[Precision, str] = {"bf16": "bf16", "fp16": "f16"}
"""Of what is not computed in 8 bits; float32 for all others."""


def part_times(info: EngineInfo, runs: int) -> list[PartTime]:
    """Return the time of every operator that is executed; see `unetplus_bench.roofline.layer_times`."""
    ov = import_openvino()
    core = ov.Core()
    model = core.read_model(info.file)
    model.reshape({model.inputs[0]: [1, info.patch_side, info.patch_side, 1]})
    settings: dict[str, Any] = {
        "INFERENCE_PRECISION_HINT": _HINTS.get(info.executed_precision, "f32"),
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
        "CACHE_DIR": "",
        "PERF_COUNT": True,
    }
    if info.device == "cpu":
        settings["INFERENCE_NUM_THREADS"] = info.threads
    compiled = core.compile_model(model, info.device.upper(), settings)
    request = compiled.create_infer_request()
    patch = np.random.default_rng(0).random((1, info.patch_side, info.patch_side, 1), np.float32)
    counted = []
    for _ in range(runs + 1):
        request.infer([patch])
        counted.append(_executed(request.profiling_info))
    nodes = {
        node.get_friendly_name(): tuple(node.get_rt_info()["originalLayersNames"].astype(str).split(","))
        for node in compiled.get_runtime_model().get_ops()
    }
    return [part._replace(nodes=nodes.get(part.name, ())) for part in medians(counted[1:])]


def _executed(counters: Any) -> dict[tuple[str, str], float]:
    seconds: Counter[tuple[str, str]] = Counter()
    for counter in counters:
        if counter.status.name == "EXECUTED":
            seconds[counter.node_name, f"{counter.node_type}, {counter.exec_type}"] += counter.real_time.total_seconds()
    return dict(seconds)
