"""Lower bounds, against sums by hand."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from unetplus_bench.boards.bound import article_reached, lower_bound, results_reached
from unetplus_bench.boards.bound_command import main
from unetplus_bench.boards.datasheets import find_device
from unetplus_bench.boards.figures import Device, Figure, Source
from unetplus_bench.results import BenchmarkResult, NetworkRecord, Row
from unetplus_bench.roofline.layer_costs import NetworkCost, network_cost
from unetplus_edge.architecture_layers import LayerCost
from unetplus_edge.architectures import architecture_from_name

DATA = Path(__file__).parent / "data"

# 2 multiprocessors with 5 products a clock of 10 Hz: 100 a second; 1000 bytes a second.
SAID = Source("a datasheet", "https://a")
DEVICE = Device(
    "small",
    ("small",),
    Figure(2, SAID),
    Figure(10.0, SAID),
    {"fp32": Figure(5, SAID)},
    Figure(1000.0, SAID),
    {"fp16": "it has none"},
)
NETWORK = NetworkCost(
    "net",
    2,
    (
        LayerCost("a", "convolution", macs=50, inputs=4, outputs=40, weights=10),
        LayerCost("b", "convolution", macs=10, inputs=40, outputs=4, weights=100),
    ),
)


def result_of(**changes: object) -> BenchmarkResult:
    network = NetworkRecord(name="unet_plus_tc_b8", base_filters=8)
    row = Row(
        name="fp32",
        scope="net",
        network=network,
        engine="tensorrt",
        executed_precision="fp32",
        device="NVIDIA Tegra X1",
        summary={"p50": 20.9, "mean": 50.0},
    )
    return BenchmarkResult(
        command="-",
        began="2026-01-01",
        ended="2026-01-01",
        protocol="trtexec",
        device={"name": "Jetson Nano"},
        rows=(row.model_copy(update=changes),),
    )


def test_the_bound_is_the_longer_of_computing_and_of_what_must_be_moved() -> None:
    bound = lower_bound(DEVICE, NETWORK, "fp32")
    assert bound is not None
    assert bound.compute_ms == pytest.approx(1e3 * 60 / 100)
    assert bound.memory_ms == pytest.approx(1e3 * (2 * 4 * 4 + 110 * 4) / 1000)
    assert bound.ms == bound.compute_ms
    idle = lower_bound(dataclasses.replace(DEVICE, bandwidth=Figure(10.0, SAID)), NETWORK, "fp32")
    assert idle is not None
    assert idle.ms == idle.memory_ms


def test_layer_by_layer_each_layer_takes_the_longer_of_computing_and_moving() -> None:
    bound = lower_bound(DEVICE, NETWORK, "fp32")
    assert bound is not None
    first = max(50 / 100, (4 + 40 + 10) * 4 / 1000)
    second = max(10 / 100, (40 + 4 + 100) * 4 / 1000)
    assert bound.layers_ms == pytest.approx(1e3 * (first + second))


def test_a_batch_moves_the_weights_once() -> None:
    bound = lower_bound(DEVICE, NETWORK, "fp32", batch=4)
    assert bound is not None
    assert bound.memory_ms == pytest.approx(1e3 * (2 * 4 * 4 + 110 * 4 / 4) / 1000)


def test_a_precision_that_is_of_no_use_on_a_device_has_no_bound() -> None:
    assert lower_bound(DEVICE, NETWORK, "fp16") is None


def test_the_bound_of_the_articles_network_on_its_gpu_is_what_a_pocket_calculator_says() -> None:
    bound = lower_bound(find_device("GTX 1080 Ti"), network_cost(architecture_from_name("unet_plus_tc_b16")), "fp32")
    assert bound is not None
    # 4.92 GMAC; 3,584 cores of which each does one product a clock of 1.582 GHz.
    assert bound.ms == pytest.approx(4.92e9 / (3584 * 1.582e9) * 1e3, rel=0.002)


def test_the_articles_figures_are_told_as_fractions_of_their_bounds() -> None:
    reached = {one.bound.network: one for one in article_reached()}
    assert {name: one.measured_ms for name, one in reached.items()} == {
        "unet_b16": 15,
        "unet_plus_tc_b16": 15,
        "unet_plus_plus_b16": 22,
        "unet_plus_us_b16": 22,
        "unet_b8": 9.5,
        "unet_plus_tc_b8": 12.4,
    }
    assert all(one.fraction == one.bound.ms / one.measured_ms for one in reached.values())
    assert {(one.bound.device, one.bound.precision) for one in reached.values()} == {("GTX 1080 Ti", "fp32")}


def test_a_result_reaches_its_median_of_the_bound() -> None:
    ((one,), apart) = results_reached([("nano.json", result_of())])
    bound = lower_bound(find_device("Jetson Nano"), network_cost(architecture_from_name("unet_plus_tc_b8")), "fp32")
    assert bound is not None
    assert one.fraction == pytest.approx(bound.ms / 20.9)
    assert apart == []


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"network": None}, "does not name its network"),
        ({"executed_precision": None}, "what was computed in"),
        ({"executed_precision": "int8"}, "has no int8"),
        ({"network": NetworkRecord(name="unet_plus_tc_b8", macs=1)}, "another network"),
        ({"network": NetworkRecord(name="stardist")}, "stardist is no network"),
        ({"device": "cpu"}, "no datasheet"),
    ],
)
def test_a_row_that_cannot_be_compared_says_why(changes: dict[str, object], complaint: str) -> None:
    reached, (sentence,) = results_reached([("nano.json", result_of(**changes))])
    assert reached == []
    assert complaint in sentence


def test_rows_that_time_more_than_the_network_have_no_bound_of_it() -> None:
    assert results_reached([("a", result_of(scope="frame"))]) == ([], [])


def test_the_command_tells_sources_bounds_and_fractions_in_json(tmp_path: Path) -> None:
    path, out = tmp_path / "nano.json", tmp_path / "bound.json"
    result_of().write(path)
    ran = CliRunner().invoke(main, ["--device", "Jetson Nano", "--json", "--out", str(out), str(path)])
    assert ran.exit_code == 0
    report = json.loads(ran.stdout)
    assert report == json.loads(out.read_text())
    assert [one["precision"] for one in report["lower_bounds"]] == ["fp32", "fp16"]
    assert [one["source"] for one in report["reached"]][-1] == "nano.json: fp32"
    assert report["devices"][0]["clock_hz"]["source"]["address"].startswith("https://")


def test_the_table_never_calls_a_bound_milliseconds_a_patch() -> None:
    ran = CliRunner().invoke(main, ["--device", "GTX 1080 Ti"], env={"COLUMNS": "160"})
    assert "Lower bound, unet_plus_tc_b8" in ran.stdout
    assert "ms/patch" not in ran.stdout
    assert "no fp16" in ran.stdout


def test_a_result_that_is_none_is_refused() -> None:
    ran = CliRunner().invoke(main, [str(DATA / "README.md")])
    assert ran.exit_code == 11
