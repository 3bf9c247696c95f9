from __future__ import annotations

import os

import pytest

from unetplus_bench.device import load
from unetplus_bench.device.machine import AbsentError, Machine

TICK = os.sysconf("SC_CLK_TCK")


def test_the_load_average_has_three_spans(jetson_orin):
    assert load.load_average(Machine(jetson_orin)) == [0.52, 0.58, 0.59]


def test_pressure_is_that_of_tasks_that_waited(raspberry_pi):
    assert load.pressure(Machine(raspberry_pi)) == {"10_s": 1.25, "60_s": 2.5, "300_s": 0.75}


def test_a_kernel_without_pressure_has_none(jetson_orin):
    with pytest.raises(AbsentError):
        load.pressure(Machine(jetson_orin))


def test_processor_time_is_split_by_who_had_it(lay, jetson_orin, write):
    write(jetson_orin, "proc/stat", "cpu  1000 50 250 8000 100 10 40 7 3 3\ncpu0 0\n")
    # The program's name, "a) b) (c", does not shift the fields.
    assert load.processor_time(Machine(jetson_orin)) == {
        "busy": 1350 / TICK,
        "idle": 8100 / TICK,
        "stolen": 7 / TICK,
        "own": 550 / TICK,
    }


def test_own_time_is_what_the_system_charged_to_this_process():
    own = load.processor_time(Machine())["own"]
    times = os.times()
    assert own == pytest.approx(sum(times[:4]), abs=0.25)
