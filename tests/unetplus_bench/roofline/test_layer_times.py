"""Times of layers: whose they are, and that every layer of a real network has one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from unetplus_bench.roofline.layer_costs import network_cost
from unetplus_bench.roofline.layer_times import PartTime, by_layer, medians, part_times
from unetplus_edge.architecture_layers import LayerCost
from unetplus_edge.errors import EngineError
from unetplus_edge.zoo import find_bundle
from unetplus_runtime.engines import EngineInfo, open_engine

if TYPE_CHECKING:
    from unetplus_edge.manifest import EngineName


def layers(*names: str) -> list[LayerCost]:
    return [LayerCost(name, "convolution", 1, 1, 1, 1) for name in names]


def info_of(engine: EngineName) -> EngineInfo:
    pytest.importorskip(engine, reason="needs its extra")
    with open_engine("unet_plus_tc_b8", engine, threads=1) as opened:
        return opened.info


def test_a_part_belongs_to_the_layer_that_its_name_begins_with() -> None:
    named, rest = by_layer(
        [
            PartTime("c1_1_relu.output_nchwc", "Conv", 1.0),
            PartTime("u1_transposed", "ConvTranspose", 2.0),
            PartTime("u1_transposed_relu", "Relu", 3.0),
            PartTime("u1_join", "Concat", 4.0),
            PartTime("c1_10_relu", "Conv", 5.0),
            PartTime("probability/sigmoid", "Sigmoid", 6.0),
        ],
        layers("c1_1_conv", "u1_transposed", "probability"),
    )
    assert named == {"c1_1_conv": 1.0, "u1_transposed": 5.0, "probability": 6.0}
    assert [part.name for part in rest] == ["u1_join", "c1_10_relu"]


def test_a_part_that_has_a_number_for_a_name_belongs_to_the_layer_of_its_node() -> None:
    part = PartTime("Deconvolution_465", "Deconvolution", 2.0, ("Deconvolution_465", "u1_transposed"))
    assert by_layer([part], layers("u1_transposed")) == ({"u1_transposed": 2.0}, [])


def test_a_layer_whose_name_begins_with_that_of_another_keeps_its_own_time() -> None:
    named, _ = by_layer([PartTime("x1_0_a_elu", "Elu", 1.0)], layers("x1_0", "x1_0_a_conv"))
    assert named == {"x1_0_a_conv": 1.0}


def test_the_time_of_a_part_is_the_median_of_its_runs() -> None:
    runs = [{("a", "Conv"): second, ("b", "Relu"): 1.0} for second in (5.0, 1.0, 2.0)]
    assert medians(runs) == [PartTime("a", "Conv", 2.0), PartTime("b", "Relu", 1.0)]


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_every_layer_of_the_shipped_model_has_a_time(engine: EngineName) -> None:
    parts = part_times(info_of(engine), runs=2)
    cost = network_cost(find_bundle().manifest.recipe.architecture)
    named, rest = by_layer(parts, cost.layers)
    assert set(named) == {layer.name for layer in cost.layers}
    assert all(seconds > 0 for seconds in named.values())
    # Copies and concatenations: nothing that multiplies is left over.
    assert not any("onv" in part.kind.partition(",")[0] for part in rest)


def test_every_run_of_onnxruntime_has_every_node_once() -> None:
    from unetplus_bench.roofline.layer_times_onnxruntime import _runs

    def event(name: str, microseconds: int) -> dict[str, object]:
        return {"cat": "Node", "name": f"{name}_kernel_time", "dur": microseconds, "args": {"op_name": "Conv"}}

    events = [{"cat": "Session", "name": "run", "dur": 9}, event("a", 4), event("b", 6), event("a", 8), event("b", 2)]
    a, b = ("a", "Conv"), ("b", "Conv")
    assert _runs(events, 2) == [{a: 2e-6, b: 3e-6}, {a: 4e-6, b: 1e-6}]


@pytest.mark.parametrize(("engine", "reason"), [("litert", "not part of its Python package"), ("keras", "no profiler")])
def test_a_backend_without_a_profiler_says_so(engine: EngineName, reason: str) -> None:
    info = replace(info_of("openvino"), engine=engine)
    with pytest.raises(EngineError, match=reason):
        part_times(info)


def test_onnxruntime_tells_no_times_of_layers_on_a_gpu() -> None:
    with pytest.raises(EngineError, match="on cuda"):
        part_times(replace(info_of("onnxruntime"), device="cuda"))
