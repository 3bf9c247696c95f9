from __future__ import annotations

import pytest

from unetplus_bench.device import jetson
from unetplus_bench.device.machine import AbsentError, Machine

# Jetson Orin NX: https://github.com/open-rdc/orne-box/issues/121, by "jetson_clocks --show" of JetPack 5.
SHOWN = """SOC family:tegra234  Machine:NVIDIA Jetson Orin NX Engineering Reference Developer Kit
Online CPUs: 0-7
cpu0:  Online=1 Governor=schedutil MinFreq=729600 MaxFreq=1984000 CurrentFreq=1728000 IdleStates: WFI=1 c7=1
cpu1:  Online=1 Governor=schedutil MinFreq=729600 MaxFreq=1984000 CurrentFreq=1881600 IdleStates: WFI=1 c7=1
GPU MinFreq=306000000 MaxFreq=918000000 CurrentFreq=306000000
Active GPU TPCs: 4
EMC MinFreq=204000000 MaxFreq=3199000000 CurrentFreq=2133000000 FreqOverride=0
FAN Dynamic Speed Control=nvfancontrol hwmon0_pwm1=69
NV Power Mode: 25W"""
# Jetson Nano, JetPack 4, after jetson_clocks.
SHOWN_4 = """SOC family:tegra210  Machine:jetson-nano
Online CPUs: 0-3
CPU Cluster Switching: Disabled
cpu0: Online=1 Governor=schedutil MinFreq=1479000 MaxFreq=1479000 CurrentFreq=1479000 IdleStates: WFI=0 c7=0
GPU MinFreq=921600000 MaxFreq=921600000 CurrentFreq=921600000
EMC MinFreq=204000000 MaxFreq=1600000000 CurrentFreq=1600000000 FreqOverride=1
Fan: PWM=0
NV Power Mode: MAXN"""


def test_a_jetson_is_told_by_its_device_tree(jetson_orin, raspberry_pi, x86_server):
    assert [jetson.is_jetson(Machine(root)) for root in (jetson_orin, raspberry_pi, x86_server)] == [True, False, False]


def test_in_a_container_without_the_tree_a_jetson_is_told_by_its_release(lay):
    assert jetson.is_jetson(Machine(lay({"etc/nv_tegra_release": "# R36 (release), REVISION: 4.4"})))


def test_the_chip_gives_the_compute_capability(jetson_orin):
    assert jetson.chip(Machine(jetson_orin)) == "tegra234"
    assert jetson.compute_capability(Machine(jetson_orin)) == "8.7"


@pytest.mark.parametrize(
    ("line", "release", "jetpack"),
    [
        # https://github.com/rbonghi/jetson_stats/issues/711
        (
            "# R38 (release), REVISION: 2.0, GCID: 41844464, BOARD: generic, EABI: aarch64, DATE: Fri Aug 22 2025",
            "38.2.0",
            7,
        ),
        (
            "# R32 (release), REVISION: 7.1, GCID: 29818004, BOARD: t210ref, EABI: aarch64, DATE: Sat Feb 19",
            "32.7.1",
            4,
        ),
        (
            "# R36 (release), REVISION: 4.4, GCID: 41062509, BOARD: generic, EABI: aarch64, DATE: Mon Jun 16",
            "36.4.4",
            6,
        ),
    ],
)
def test_the_release_gives_the_jetpack(lay, line, release, jetpack):
    machine = Machine(lay({"etc/nv_tegra_release": line}))
    assert (jetson.release(machine), jetson.jetpack(machine)) == (release, jetpack)


def test_an_unknown_release_has_no_jetpack(lay):
    with pytest.raises(AbsentError):
        jetson.jetpack(Machine(lay({"etc/nv_tegra_release": "# R99 (release), REVISION: 1.0"})))


def test_the_power_mode_is_told_with_all_that_there_are(jetson_orin):
    assert jetson.power_mode(Machine(jetson_orin)) == {
        "name": "25W",
        "number": 1,
        "modes": {"0": "15W", "1": "25W", "2": "MAXN_SUPER"},
    }


def test_warnings_before_the_power_mode_are_passed_over(jetson_orin, lay, prints):
    lay({}, {"nvpmodel": prints("NVPM WARN: fan mode is not set!\nNV Power Mode: MODE_15W_6CORE\n2")}, root=jetson_orin)
    mode = jetson.power_mode(Machine(jetson_orin))
    assert (mode["name"], mode["number"]) == ("MODE_15W_6CORE", 2)


def test_without_the_tool_its_file_tells_the_power_mode(jetson_orin):
    (jetson_orin / "usr/sbin/nvpmodel").unlink()
    mode = jetson.power_mode(Machine(jetson_orin))
    assert (mode["name"], mode["number"]) == ("25W", 1)


def test_clocks_are_in_mhz_whatever_the_tool_prints(jetson_orin, lay, prints):
    lay({}, {"jetson_clocks": prints(SHOWN)}, root=jetson_orin)
    clocks = jetson.clocks(Machine(jetson_orin))
    assert clocks.keys() == {"cpu0", "cpu1", "gpu", "emc"}
    assert clocks["cpu1"] == {
        "minimum_mhz": 729.6,
        "maximum_mhz": 1984.0,
        "current_mhz": 1881.6,
        "governor": "schedutil",
        "online": True,
    }
    assert clocks["gpu"] == {"minimum_mhz": 306.0, "maximum_mhz": 918.0, "current_mhz": 306.0}
    assert clocks["emc"] == {"minimum_mhz": 204.0, "maximum_mhz": 3199.0, "current_mhz": 2133.0, "locked": False}


def test_memory_that_jetson_clocks_locked_is_told(jetson_orin, lay, prints):
    lay({}, {"jetson_clocks": prints(SHOWN_4)}, root=jetson_orin)
    assert jetson.clocks(Machine(jetson_orin))["emc"]["locked"] is True


def test_clocks_that_only_root_may_see_are_absent_with_that_reason(jetson_orin):
    with pytest.raises(AbsentError, match="as a root user"):
        jetson.clocks(Machine(jetson_orin))


@pytest.mark.parametrize("name", ["57000000.gpu", "17000000.gv11b", "17000000.ga10b", "17000000.gpu", "gpu-gpc-0"])
def test_the_gpus_clock_is_found_under_the_name_of_every_board(lay, name):
    others = {"15340000.vic": 1, "gpu-nvd-0": 2, "13e10000.host1x": 3}
    files = {}
    for folder, clock in {**others, name: 918}.items():
        for key in ("min_freq", "max_freq", "cur_freq"):
            files[f"sys/class/devfreq/{folder}/{key}"] = clock * 1_000_000
        files[f"sys/class/devfreq/{folder}/governor"] = "nvhost_podgov"
    assert jetson.gpu_clock(Machine(lay(files))) == {
        "governor": "nvhost_podgov",
        "minimum_mhz": 918.0,
        "maximum_mhz": 918.0,
        "current_mhz": 918.0,
    }


def test_over_current_is_counted(jetson_orin):
    assert jetson.over_current(Machine(jetson_orin)) == {"oc1": 0, "oc2": 15, "oc3": 37}


def test_one_line_of_tegrastats_is_read(jetson_orin):
    found = jetson.tegrastats(Machine(jetson_orin))
    assert found["milliwatts"]["VDD_IN"] == {"now": 16321, "average": 11204}
