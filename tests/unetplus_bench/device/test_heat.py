from __future__ import annotations

import pytest

from unetplus_bench.device import heat
from unetplus_bench.device.machine import AbsentError, Machine


def test_temperatures_have_the_degree_at_which_the_kernel_slows_down(jetson_orin):
    assert heat.temperatures(Machine(jetson_orin)) == {
        "cpu-thermal": {"celsius": 49.468, "throttles_at": 99.0},
        "gpu-thermal": {"celsius": 50.125, "throttles_at": 99.0},
    }


def test_a_limit_that_is_not_set_is_no_limit(x86_server):
    assert heat.temperatures(Machine(x86_server)) == {"x86_pkg_temp": {"celsius": 71.0}}


def test_a_sensor_that_is_switched_off_has_no_temperature(lay):
    zones = {"type": "CV0-therm", "temp": -256000}
    with pytest.raises(AbsentError):
        heat.temperatures(Machine(lay({f"sys/class/thermal/thermal_zone0/{k}": v for k, v in zones.items()})))


def test_sensors_of_one_name_are_all_kept(lay):
    files = {}
    for number in range(2):
        files |= {
            f"sys/class/thermal/thermal_zone{number}/type": "acpitz",
            f"sys/class/thermal/thermal_zone{number}/temp": 30000 + 1000 * number,
        }
    found = heat.temperatures(Machine(lay(files)))
    assert found == {"acpitz": {"celsius": 30.0}, "acpitz 2": {"celsius": 31.0}}


def test_amd_processors_are_read_by_their_own_sensor(lay):
    names = {"hwmon0": "nvme", "hwmon1": "k10temp"}
    files = {}
    for folder, name in names.items():
        files |= {
            f"sys/class/hwmon/{folder}/name": name,
            f"sys/class/hwmon/{folder}/temp1_label": "Tctl",
            f"sys/class/hwmon/{folder}/temp1_input": 52500,
        }
    assert heat.temperatures(Machine(lay(files))) == {"Tctl": {"celsius": 52.5}}


def test_throttling_is_summed_over_processors(x86_server):
    assert heat.throttle_counts(Machine(x86_server)) == {
        "core_throttle_count": 10 + 11 + 12 + 13,
        "core_throttle_total_time_ms": 200,
        "package_throttle_count": 8,
    }


def test_cooling_by_fans_slows_nothing_down_and_is_left_out(jetson_orin):
    assert heat.cooling(Machine(jetson_orin)) == {"thermal-cpufreq-0": 0}


@pytest.mark.parametrize(
    ("word", "now", "since_start"),
    [
        # https://www.raspberrypi.com/documentation/computers/os.html#get_throttled
        ("50005", ["under-voltage", "throttled"], ["under-voltage", "throttled"]),
        ("80008", ["soft temperature limit"], ["soft temperature limit"]),
        ("20000", [], ["frequency capped"]),
        ("0", [], []),
    ],
)
def test_a_raspberry_pi_says_why_it_slows_down(raspberry_pi, write, word, now, since_start):
    write(raspberry_pi, "sys/devices/platform/soc/soc:firmware/get_throttled", f"{word}\n")
    assert heat.raspberry_pi(Machine(raspberry_pi)) == {"now": now, "since_start": since_start}


def test_a_raspberry_pi_without_the_file_is_asked_by_its_tool(raspberry_pi, lay, prints):
    (raspberry_pi / "sys/devices/platform/soc/soc:firmware/get_throttled").unlink()
    lay({}, {"vcgencmd": prints("throttled=0x10000")}, root=raspberry_pi)
    assert heat.raspberry_pi(Machine(raspberry_pi)) == {"now": [], "since_start": ["under-voltage"]}


def test_other_boards_are_no_raspberry_pi(jetson_orin):
    with pytest.raises(AbsentError, match="no Raspberry Pi"):
        heat.raspberry_pi(Machine(jetson_orin))
