from __future__ import annotations

import pytest

from unetplus_bench.device import cpu
from unetplus_bench.device.machine import AbsentError, Machine


def test_arm_cores_are_named_by_their_part(jetson_orin, raspberry_pi):
    assert cpu.model(Machine(jetson_orin)) == "Cortex-A78AE"
    assert cpu.model(Machine(raspberry_pi)) == "Cortex-A76"


def test_an_unknown_part_is_given_by_its_numbers(lay):
    root = lay({"proc/cpuinfo": "processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xfff\n"})
    assert cpu.model(Machine(root)) == "implementer 0x41, part 0xfff"


def test_unlike_cores_are_counted(lay):
    # A Jetson TX2 has two kinds.
    arm, nvidia = ("0x41", "0xd07"), ("0x4e", "0x003")
    blocks = [
        f"processor\t: {number}\nmodel name\t: ARMv8 Processor rev 3 (v8l)\nCPU implementer\t: {part[0]}\n"
        f"CPU part\t: {part[1]}\n"
        for number, part in enumerate((arm, nvidia, nvidia, arm, arm, arm))
    ]
    assert cpu.model(Machine(lay({"proc/cpuinfo": "\n".join(blocks)}))) == "4 x Cortex-A57, 2 x Denver 2"


def test_x86_processors_have_a_name_and_a_signature(x86_server):
    assert cpu.model(Machine(x86_server)) == "Intel(R) Xeon(R) Gold 6430"
    assert cpu.signature(Machine(x86_server)) == "GenuineIntel, family 6, model 143, stepping 8"


def test_instruction_sets_that_matter_are_found_and_no_others(x86_server, jetson_orin):
    assert cpu.instruction_sets(Machine(x86_server)) == [
        *("avx", "f16c", "fma", "avx2", "avx512f", "avx512_vnni", "amx_tile", "amx_int8", "amx_bf16"),
    ]
    assert cpu.instruction_sets(Machine(jetson_orin)) == ["asimd", "asimdhp", "asimddp"]


def test_an_instruction_set_that_one_core_lacks_is_not_counted_on(lay):
    root = lay({"proc/cpuinfo": "processor : 0\nflags : avx avx2\n\nprocessor : 1\nflags : avx\n"})
    assert cpu.instruction_sets(Machine(root)) == ["avx"]


def test_usable_cores_heed_affinity_and_the_control_groups_quota(x86_server):
    assert cpu.cores(Machine(x86_server)) == {
        "logical": 4,
        "physical": 2,
        "allowed": 3,
        "quota": 1.5,
        "usable": 1.5,
    }


def test_usable_cores_are_the_allowed_ones_where_no_quota_is_set(jetson_orin):
    cores = cpu.cores(Machine(jetson_orin))
    assert (cores["quota"], cores["usable"], cores["physical"]) == (None, 6, None)


def test_processors_of_like_clocks_are_one_entry(jetson_orin):
    (group,) = cpu.frequency(Machine(jetson_orin))
    assert group == {
        "processors": 6,
        "driver": "tegra194",
        "governor": "schedutil",
        "preference": None,
        "minimum_mhz": 729.6,
        "maximum_mhz": 1344.0,
        "hardware_maximum_mhz": 1728.0,
        "current_mhz": [729.6, 1190.4],
    }


def test_the_preference_of_a_driver_is_told(x86_server):
    (group,) = cpu.frequency(Machine(x86_server))
    assert (group["governor"], group["preference"]) == ("powersave", "balance_performance")


def test_a_machine_without_clock_control_says_so(lay):
    with pytest.raises(AbsentError, match="controls no clocks"):
        cpu.frequency(Machine(lay({})))


def test_the_clock_of_x86_is_lowest_and_highest(x86_server):
    assert cpu.clock(Machine(x86_server)) == [2100.0, 2400.0]


@pytest.mark.parametrize(
    ("path", "content", "boosts"),
    [("intel_pstate/no_turbo", 0, True), ("intel_pstate/no_turbo", 1, False), ("cpufreq/boost", 1, True)],
)
def test_boost_is_told_by_whichever_driver(lay, path, content, boosts):
    assert cpu.boost(Machine(lay({f"sys/devices/system/cpu/{path}": content}))) is boosts


def test_caches_that_processors_share_count_once(x86_server):
    assert cpu.caches(Machine(x86_server)) == [
        {"name": "L1d", "kib": 48, "instances": 2},
        {"name": "L3", "kib": 61440, "instances": 2},
    ]
