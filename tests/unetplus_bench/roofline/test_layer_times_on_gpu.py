"""Times of layers by TensorRT, on a GPU."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from unetplus_bench.roofline.layer_costs import network_cost
from unetplus_bench.roofline.layer_times import by_layer, part_times
from unetplus_edge.errors import EngineError
from unetplus_edge.zoo import find_bundle
from unetplus_export.trt import BuildOptions, build_plan
from unetplus_runtime.engines.cuda_memory import installed_library
from unetplus_runtime.engines.gpu import find_gpu
from unetplus_runtime.engines.tensorrt import TensorRTEngine
from unetplus_runtime.engines.tensorrt_flavour import find_flavour

if TYPE_CHECKING:
    from pathlib import Path


def _refusal() -> str | None:
    try:
        refusal = find_flavour("tensorrt").refusal(find_gpu().compute_capability)
    except EngineError as error:
        return str(error)
    return refusal or (None if installed_library() else "neither cuda-python nor pycuda is installed")


REFUSAL = _refusal()
pytestmark = [pytest.mark.gpu, pytest.mark.skipif(REFUSAL is not None, reason=REFUSAL or "")]


def test_the_layers_of_a_plan_have_times(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    bundle = find_bundle("unet_plus_tc_b8")
    (record,) = (
        record for record in bundle.manifest.conversions if (record.target, record.stored_precision) == ("onnx", "fp32")
    )
    options = BuildOptions(flavour="tensorrt", batches=(1, 2, 2))
    plan = build_plan(bundle.path / record.file, record, "fp32", options)
    with TensorRTEngine(plan.path) as engine:
        parts = part_times(engine.info, runs=5)
    assert sum(part.seconds for part in parts) > 0
    named, _ = by_layer(parts, network_cost(bundle.manifest.recipe.architecture).layers)
    assert named
