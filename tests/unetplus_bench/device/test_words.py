"""What is said of a machine, and when two are the same."""

from __future__ import annotations

import pytest

from unetplus_bench.device import device_facts
from unetplus_bench.device.words import device_title, flat_facts, lasting_facts, same_machine

BOARD = {
    "system": {"board": "NVIDIA Jetson Orin Nano"},
    "cpu": {"model": "Cortex-A78AE", "cores": {"usable": 6}, "clock_mhz": [1500.0]},
    "gpus": [{"name": "Orin", "celsius": 50.0}],
    "jetson": {"power_mode": {"name": "MAXN", "number": 0}, "rail_watts": {"VDD_IN": 7.1}},
}


def test_two_looks_at_this_machine_differ_in_nothing_that_lasts():
    one, other = device_facts(), device_facts()
    assert same_machine(one, other)
    assert lasting_facts(one) == lasting_facts(other)
    assert {"system.kernel", "libraries.numpy"} <= set(lasting_facts(one))


def test_a_board_is_named_with_its_gpu_its_cores_and_its_power_mode():
    assert device_title(BOARD) == "NVIDIA Jetson Orin Nano, Orin, Cortex-A78AE, 6 cores, MAXN"


def test_nothing_known_is_said_so():
    assert device_title({}) == "unknown machine"


@pytest.mark.parametrize(
    ("room", "facts", "same"),
    [
        ("cpu", {"model": "Cortex-A78AE", "cores": {"usable": 6}, "clock_mhz": [900.0]}, True),
        ("cpu", {"model": "Cortex-A78AE", "cores": {"usable": 4}, "clock_mhz": [1500.0]}, False),
        ("gpus", [{"name": "Thor"}], False),
        ("gpus", [{"name": "Orin", "celsius": 70.0}], True),
        ("system", {"board": "NVIDIA Jetson AGX Orin"}, False),
    ],
)
def test_machines_are_the_same_by_what_they_are_and_not_by_what_they_do(room, facts, same):
    assert same_machine(BOARD, {**BOARD, room: facts}) is same


def test_states_do_not_last_and_a_power_mode_does():
    assert set(lasting_facts(BOARD)) == {
        "system.board",
        "cpu.model",
        "cpu.cores.usable",
        "gpus.0.name",
        "jetson.power_mode.name",
        "jetson.power_mode.number",
    }


def test_all_facts_are_listed():
    assert ("gpus.0.celsius", "50.0") in flat_facts(BOARD)
    assert ("cpu.clock_mhz", "1500.0") in flat_facts(BOARD)
