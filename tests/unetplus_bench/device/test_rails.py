from __future__ import annotations

import pytest

from unetplus_bench.device.machine import AbsentError, Machine
from unetplus_bench.device.rails import Rail, find_rails, rails_of_all


def test_an_orins_rails_are_voltage_times_current(jetson_orin):
    machine = Machine(jetson_orin)
    watts = {rail.name: rail.watts(machine) for rail in find_rails(machine)}
    assert watts == {
        "VDD_IN": pytest.approx(4.984 * 1.856),
        "VDD_CPU_GPU_CV": pytest.approx(4.984 * 0.312),
        "VDD_SOC": pytest.approx(4.976 * 0.544),
    }


def test_thors_whole_input_is_read_from_its_own_monitor(lay):
    root = lay(
        {
            "sys/class/hwmon/hwmon4/name": "ina3221",
            "sys/class/hwmon/hwmon4/in1_label": "VDD_GPU",
            "sys/class/hwmon/hwmon4/in1_input": 12000,
            "sys/class/hwmon/hwmon4/curr1_input": 500,
            "sys/class/hwmon/hwmon4/in2_label": "NC",
            "sys/class/hwmon/hwmon4/in2_input": 0,
            "sys/class/hwmon/hwmon4/curr2_input": 0,
            "sys/class/hwmon/hwmon5/name": "ina238",
            "sys/class/hwmon/hwmon5/label": "VIN",
            "sys/class/hwmon/hwmon5/power1_input": 15004000,
            "sys/class/hwmon/hwmon6/name": "nvme",
            "sys/class/hwmon/hwmon6/in1_label": "not a rail",
        }
    )
    machine = Machine(root)
    found = find_rails(machine)
    assert {rail.name: rail.watts(machine) for rail in found} == {"VDD_GPU": 6.0, "VIN": pytest.approx(15.004)}
    assert [rail.name for rail in rails_of_all(found)] == ["VIN"]


def test_a_nanos_rails_of_jetpack_4_are_read(lay):
    folder = "sys/bus/i2c/drivers/ina3221x/6-0040/iio:device0"
    root = lay(
        {
            f"{folder}/rail_name_0": "POM_5V_IN",
            f"{folder}/in_power0_input": 2746,
            f"{folder}/rail_name_1": "POM_5V_GPU",
            f"{folder}/in_power1_input": 159,
        }
    )
    machine = Machine(root)
    assert {rail.name: rail.watts(machine) for rail in find_rails(machine)} == {
        "POM_5V_IN": pytest.approx(2.746),
        "POM_5V_GPU": pytest.approx(0.159),
    }


@pytest.mark.parametrize(
    ("names", "of_all"),
    [
        (["VDD_IN", "VDD_CPU_GPU_CV", "VDD_SOC"], ["VDD_IN"]),
        (["POM_5V_GPU", "POM_5V_IN"], ["POM_5V_IN"]),
        (["VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0"], ["VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0"]),
    ],
)
def test_the_board_takes_what_its_whole_input_takes_else_the_sum(names, of_all):
    assert [rail.name for rail in rails_of_all([Rail(name, power="x") for name in names])] == of_all


def test_a_board_without_monitors_has_no_rails(raspberry_pi):
    with pytest.raises(AbsentError):
        find_rails(Machine(raspberry_pi))
