"""Roofs, against sums by hand, and engines below them."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from unetplus_bench.roofline.command import main
from unetplus_bench.roofline.layer_costs import layer_traffic, network_cost
from unetplus_bench.roofline.peaks import Peak, Peaks
from unetplus_bench.roofline.roofline import EngineRoof, choices, engine_roofs, roof_of
from unetplus_edge.architecture_layers import LayerCost
from unetplus_edge.zoo import find_bundle

PEAKS = Peaks(
    threads=1,
    compute={"fp32": Peak(100.0, "hand"), "int8": Peak(400.0, "hand")},
    refusals={"bf16": "it has none"},
    memory=Peak(1000.0, "hand"),
)
BUNDLE = find_bundle("unet_plus_tc_b8")
COST = network_cost(BUNDLE.manifest.recipe.architecture)
FAST = Peaks(1, {"fp32": Peak(1e15, "hand")}, {"int8": "it was forgotten"}, Peak(1e15, "hand"))


def layer(macs: int, values: int) -> LayerCost:
    return LayerCost("c", "convolution", macs, values, 0, 0)


def test_a_layer_that_computes_much_is_limited_by_computing() -> None:
    roof = roof_of(layer(200, 100), "fp32", PEAKS)
    assert roof is not None
    assert (roof.computing, roof.moving) == (200 / 100, 400 / 1000)
    assert (roof.seconds, roof.limit) == (2.0, "computing")


def test_a_layer_that_moves_much_is_limited_by_the_memory() -> None:
    roof = roof_of(layer(10, 100), "fp32", PEAKS)
    assert roof is not None
    assert (roof.seconds, roof.limit) == (0.4, "memory")


def test_in_int8_a_layer_computes_at_its_own_peak_and_moves_a_quarter() -> None:
    roof = roof_of(layer(200, 100), "int8", PEAKS)
    assert roof is not None
    assert (roof.computing, roof.moving) == (200 / 400, 100 / 1000)


def test_a_precision_without_a_peak_has_no_roof() -> None:
    assert roof_of(layer(1, 1), "bf16", PEAKS) is None


def test_what_is_reached_is_the_roof_by_the_time() -> None:
    assert EngineRoof("a", "b", "fp32", "fp32", seconds=4.0, roof=1.0).fraction == 0.25
    assert EngineRoof("a", "b", "fp32", "fp32", seconds=4.0).fraction is None


def test_every_verified_backend_of_a_bundle_is_a_choice_once() -> None:
    found = choices(BUNDLE)
    assert len(found) == len(set(found))
    assert {("litert", "int8"), ("openvino", "int8"), ("onnxruntime", "fp32")} <= set(found)


def test_an_engine_stands_below_the_sum_of_the_roofs_of_its_layers() -> None:
    (reached,) = engine_roofs(BUNDLE, [("litert", "fp32")], COST, FAST, rounds=1)
    assert reached.error is None
    assert reached.roof == pytest.approx(sum(max(one.macs, layer_traffic(one, "fp32")) for one in COST.layers) / 1e15)
    assert reached.fraction is not None
    assert 0 < reached.fraction < 1


def test_an_engine_without_a_peak_is_timed_and_says_why_it_has_no_roof() -> None:
    (reached,) = engine_roofs(BUNDLE, [("litert", "int8")], COST, FAST, rounds=1)
    assert (reached.seconds is not None, reached.roof) == (True, None)
    assert reached.error == "no peak of int8: it was forgotten"


def test_an_engine_that_does_not_open_says_why_and_the_others_go_on() -> None:
    first, second = engine_roofs(BUNDLE, [("tensorrt", "fp32"), ("litert", "fp32")], COST, FAST, rounds=1)
    assert first.seconds is None
    assert first.error
    assert second.seconds is not None


def test_layers_are_told_where_the_backend_can_and_else_why_not() -> None:
    pytest.importorskip("onnxruntime", reason="needs the onnx extra")
    able, unable = engine_roofs(
        BUNDLE, [("onnxruntime", "fp32"), ("litert", "fp32")], COST, FAST, rounds=1, per_layer=True
    )
    assert [one.layer for one in able.layers] == list(COST.layers)
    assert all(one.seconds for one in able.layers)
    assert (unable.layers, able.without_layers) == ((), None)
    assert "LiteRT" in (unable.without_layers or "")


@pytest.fixture
def hand_made_peaks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unetplus_bench.roofline.command.measure_peaks", lambda threads, seconds: FAST)


@pytest.mark.usefixtures("hand_made_peaks")
def test_the_command_tells_peaks_layers_and_engines_in_json() -> None:
    pytest.importorskip("onnxruntime", reason="needs the onnx extra")
    ran = CliRunner().invoke(main, ["--engine", "onnxruntime", "--rounds", "1", "--per-layer", "--json"])
    assert ran.exit_code == 0
    report = json.loads(ran.stdout)
    assert report["macs"] == COST.macs
    assert report["peaks"]["refusals"] == {"int8": "it was forgotten"}
    assert [one["engine"] for one in report["engines"]] == ["onnxruntime"]
    assert [one["name"] for one in report["engines"][0]["layers"]] == [one["name"] for one in report["layers"]]
    assert report["device"]["cpu"]


@pytest.mark.usefixtures("hand_made_peaks")
def test_the_tables_have_an_engine_a_line_and_a_layer_a_line() -> None:
    pytest.importorskip("onnxruntime", reason="needs the onnx extra")
    ran = CliRunner().invoke(
        main, ["--engine", "onnxruntime", "--engine", "litert", "--rounds", "1", "--per-layer"], env={"COLUMNS": "140"}
    )
    assert ran.exit_code == 0
    assert "u1_transposed" in ran.stdout
    assert "beside them" in ran.stdout
    assert ran.stderr.count("no layers of litert") == 1


@pytest.mark.usefixtures("hand_made_peaks")
def test_an_engine_for_which_nothing_is_verified_is_refused() -> None:
    ran = CliRunner().invoke(main, ["--engine", "tensorrt"])
    assert ran.exit_code == 11
    assert "nothing verified for tensorrt" in ran.stderr
