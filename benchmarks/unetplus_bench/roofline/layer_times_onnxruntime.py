"""Times of layers by ONNX Runtime's own record of its runs."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np

from unetplus_bench.roofline.layer_times import medians
from unetplus_edge.errors import EngineError

if TYPE_CHECKING:
    from unetplus_bench.roofline.layer_times import PartTime
    from unetplus_runtime.engines import EngineInfo


def part_times(info: EngineInfo, runs: int) -> list[PartTime]:
    """Return the time of every node, fused ones as one; see `unetplus_bench.roofline.layer_times`.

    Raises
    ------
    EngineError
        If the engine computes elsewhere than on the CPU: what is told of a GPU is how long it takes
        to start a node there.
    """
    import onnxruntime as ort

    if info.device != "cpu":
        raise EngineError(f"onnxruntime tells no times of layers on {info.device}; ask for the CPU")
    patch = np.random.default_rng(0).random((info.batch or 1, info.patch_side, info.patch_side, 1), np.float32)
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        options = ort.SessionOptions()
        options.intra_op_num_threads = info.threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.add_session_config_entry("session.disable_quant_qdq", "1")  # as the engine has it
        options.enable_profiling = True
        options.profile_file_prefix = str(Path(folder) / "run")
        session = ort.InferenceSession(str(info.file), options, providers=["CPUExecutionProvider"])
        name = session.get_inputs()[0].name
        for _ in range(runs + 1):
            session.run(None, {name: patch})
        events = json.loads(Path(session.end_profiling()).read_bytes())
    return medians(_runs(events, len(patch))[1:])


def _runs(events: list[dict[str, object]], batch: int) -> list[dict[tuple[str, str], float]]:
    """Return seconds a patch by node and kind, of every run: a node that is there again begins the next."""
    runs: list[dict[tuple[str, str], float]] = []
    seen: Counter[tuple[str, str]] = Counter()
    for event in events:
        if event.get("cat") != "Node" or not str(event["name"]).endswith("_kernel_time"):
            continue
        arguments = event["args"]
        kind = str(arguments["op_name"]) if isinstance(arguments, dict) else ""
        part = (str(event["name"]).removesuffix("_kernel_time"), kind)
        if seen[part] == len(runs):
            runs.append({})
        runs[seen[part]][part] = float(str(event["dur"])) / 1e6 / batch
        seen[part] += 1
    return runs
