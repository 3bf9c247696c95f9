"""Peaks of devices, against what their makers advertise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from unetplus_bench.boards.datasheets import DEVICES, device_of, find_device
from unetplus_edge.errors import InputError
from unetplus_export.trt.boards import precision_refusal

if TYPE_CHECKING:
    from unetplus_edge.manifest import Precision


@pytest.mark.parametrize(
    ("name", "precision", "advertised"),
    [
        ("GTX 1080 Ti", "fp32", 11.3e12),
        ("Jetson Nano", "fp16", 472e9),
        ("Jetson TX2", "fp16", 1.33e12),
        ("Jetson AGX Xavier", "fp16", 11e12),
        ("Jetson AGX Xavier", "int8", 22e12),
        ("Jetson AGX Orin", "fp32", 5.3e12),
        ("Jetson AGX Orin", "int8", 170e12 / 2),  # advertised for weights of which half are zero
        ("Jetson Orin NX", "int8", (157e12 - 80e12) / 2),  # less the two accelerators beside the GPU
        ("Jetson Orin Nano", "int8", 67e12 / 2),
        ("Jetson Thor", "fp32", 8.064e12),
        ("Jetson Thor", "int8", 1035e12 / 2),
    ],
)
def test_two_operations_a_multiply_accumulate_are_what_is_advertised(
    name: str, precision: Precision, advertised: float
) -> None:
    peak = find_device(name).peak(precision)
    assert peak is not None
    assert 2 * peak == pytest.approx(advertised, rel=0.035)


def test_every_figure_says_where_it_is_from_or_that_nothing_says_it() -> None:
    for source in (source for device in DEVICES for source in device.sources):
        assert source.title.startswith("no source") == (source.address == ""), source
        assert source.address == "" or source.address.startswith("https://"), source


def test_every_precision_of_every_device_has_a_peak_or_a_reason_why_not() -> None:
    for device in DEVICES:
        for precision in ("fp32", "tf32", "fp16", "int8"):
            assert (device.peak(precision) is None) == (precision in device.refusals), (device.name, precision)


def test_fp16_is_refused_on_the_gpu_on_which_export_refuses_it() -> None:
    assert precision_refusal("fp16", "6.1") is not None
    assert find_device("gtx 1080 ti").peak("fp16") is None


def test_a_device_that_is_not_known_is_refused_with_those_that_are() -> None:
    with pytest.raises(InputError, match="Jetson Nano"):
        find_device("Jetson Nana")


@pytest.mark.parametrize(
    ("facts", "name"),
    [
        ({"name": "NVIDIA Jetson Orin Nano Developer Kit"}, "Jetson Orin Nano"),
        ({"name": "Jetson AGX Orin", "gpus": [{"name": "Orin"}]}, "Jetson AGX Orin"),
        ({"system": {"board": "NVIDIA Jetson Xavier NX Developer Kit"}, "gpus": []}, "Jetson Xavier NX"),
        ({"name": "NVIDIA GeForce GTX 1080 Ti"}, "GTX 1080 Ti"),
        ({"gpus": [{"name": "NVIDIA Tegra X1"}]}, "Jetson Nano"),
        ({"gpus": [{"name": "Orin"}]}, None),  # three boards have it
        ({"gpus": [{"name": "NVIDIA H100"}]}, None),
        ({}, None),
    ],
)
def test_a_result_is_of_a_device_only_where_that_is_certain(facts: dict[str, Any], name: str | None) -> None:
    found = device_of(facts)
    assert (found.name if found else None) == name
