from __future__ import annotations

import shlex

import pytest

from unetplus_bench.device.machine import Machine
from unetplus_bench.device.nvidia import gpus

# What a driver of branch 580 answers, by field.
RTX_3090 = {
    "name": "NVIDIA GeForce RTX 3090",
    "compute_cap": "8.6",
    "driver_version": "580.126.09",
    "memory.total": "24576",
    "memory.used": "512",
    "persistence_mode": "Enabled",
    "pstate": "P8",
    "clocks.sm": "210",
    "clocks.max.sm": "2100",
    "clocks.mem": "405",
    "clocks.max.mem": "9751",
    "power.draw": "23.45",
    "power.limit": "230.00",
    "power.default_limit": "350.00",
    "temperature.gpu": "41",
    "utilization.gpu": "0",
    "clocks_event_reasons.sw_power_cap": "Active",
    "clocks_event_reasons.hw_slowdown": "Not Active",
    "clocks_event_reasons.hw_thermal_slowdown": "Not Active",
    "clocks_event_reasons.hw_power_brake_slowdown": "Not Active",
    "clocks_event_reasons.sw_thermal_slowdown": "Not Active",
    "clocks_event_reasons_counters.sw_power_cap": "91403239",
    "clocks_event_reasons_counters.sw_thermal_slowdown": "0",
}
# A driver of branch 470 beside a GTX 1080 Ti: no compute capability, the older name of the reasons, no counters.
GTX_1080_TI = {
    "name": "NVIDIA GeForce GTX 1080 Ti",
    "driver_version": "470.256.02",
    "memory.total": "11178",
    "persistence_mode": "Disabled",
    "clocks.sm": "1771",
    "power.draw": "211.44",
    "power.limit": "212.50",
    "power.default_limit": "250.00",
    "clocks_throttle_reasons.sw_power_cap": "Active",
    "clocks_throttle_reasons.hw_slowdown": "Not Active",
    "clocks_throttle_reasons.hw_thermal_slowdown": "Not Active",
    "clocks_throttle_reasons.hw_power_brake_slowdown": "[N/A]",
}


def nvidia_smi(answers):
    """Return a script that answers as nvidia-smi does: a line of a GPU, or which field it does not know."""
    cases = "\n".join(f"  {field}) value={shlex.quote(answer)};;" for field, answer in answers.items())
    return f"""
for word; do case "$word" in --query-gpu=*) fields=${{word#*=}};; esac; done
line=
IFS=,
for field in $fields; do
  case "$field" in
{cases}
  *) echo "Field \\"$field\\" is not a valid field to query."; exit 2;;
  esac
  line="$line${{line:+, }}$value"
done
echo "$line" """


def test_every_fact_of_a_new_driver_is_read(lay):
    found, absent = gpus(Machine(lay({}, {"nvidia-smi": nvidia_smi(RTX_3090)})))
    assert found == [
        {
            "name": "NVIDIA GeForce RTX 3090",
            "compute_capability": "8.6",
            "driver": "580.126.09",
            "memory_mib": 24576,
            "memory_used_mib": 512,
            "persistence": True,
            "performance_state": "P8",
            "clock_mhz": 210,
            "maximum_clock_mhz": 2100,
            "memory_clock_mhz": 405,
            "maximum_memory_clock_mhz": 9751,
            "power_watts": 23.45,
            "power_limit_watts": 230,
            "default_power_limit_watts": 350,
            "celsius": 41,
            "busy_percent": 0,
            "slowed": {
                "sw_power_cap": True,
                "hw_slowdown": False,
                "hw_thermal_slowdown": False,
                "hw_power_brake_slowdown": False,
                "sw_thermal_slowdown": False,
            },
            "slowed_us": {"sw_power_cap": 91403239, "sw_thermal_slowdown": 0},
        }
    ]
    assert set(absent) == {
        "gpus.0.slowed_us.hw_slowdown",
        "gpus.0.slowed_us.hw_thermal_slowdown",
        "gpus.0.slowed_us.hw_power_brake_slowdown",
    }


def test_fields_that_an_old_driver_lacks_are_absent_and_the_others_read(lay):
    (gpu,), absent = gpus(Machine(lay({}, {"nvidia-smi": nvidia_smi(GTX_1080_TI)})))
    assert (gpu["name"], gpu["memory_mib"], gpu["persistence"]) == ("NVIDIA GeForce GTX 1080 Ti", 11178, False)
    assert gpu["slowed"] == {"sw_power_cap": True, "hw_slowdown": False, "hw_thermal_slowdown": False}
    assert absent["gpus.0.compute_capability"] == "this driver's nvidia-smi has no compute_cap"
    assert absent["gpus.0.slowed.hw_power_brake_slowdown"] == "nvidia-smi says [N/A]"


def test_gpus_are_in_the_order_of_the_tool(lay):
    first = {"name": "NVIDIA H100", "driver_version": "610.43"}
    script = nvidia_smi(first) + "; echo 'NVIDIA H200, 610.43'"
    found, _ = gpus(Machine(lay({}, {"nvidia-smi": script})))
    assert [gpu["name"] for gpu in found] == ["NVIDIA H100", "NVIDIA H200"]


def test_a_jetsons_gpu_has_a_name_and_nothing_else(jetson_orin):
    found, absent = gpus(Machine(jetson_orin))
    assert found == [{"name": "Orin (nvgpu)"}]
    assert absent["gpus.0.power_limit_watts"] == "nvidia-smi says [N/A]"


def test_no_tool_is_no_gpu(raspberry_pi):
    assert gpus(Machine(raspberry_pi)) == ([], {"gpus": "nvidia-smi is not installed"})


@pytest.mark.parametrize(
    "said",
    [
        "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. Make sure that it is running.",
        "No devices were found",
        "Failed to initialize NVML: Driver/library version mismatch",
    ],
)
def test_a_driver_that_does_not_answer_is_no_gpu_and_says_why(lay, prints, said):
    found, absent = gpus(Machine(lay({}, {"nvidia-smi": prints(said, code=9)})))
    assert found == []
    assert absent == {"gpus": f"nvidia-smi names no GPU ({said})"}


@pytest.mark.parametrize("value", ["nan", "garbage", ""])
def test_a_number_that_is_none_is_absent(lay, value):
    (gpu,), absent = gpus(Machine(lay({}, {"nvidia-smi": nvidia_smi({**RTX_3090, "power.draw": value})})))
    assert "power_watts" not in gpu
    assert "gpus.0.power_watts" in absent


def test_a_tool_that_knows_no_field_is_no_gpu(lay):
    found, absent = gpus(Machine(lay({}, {"nvidia-smi": nvidia_smi({"index": "0"})})))
    assert (found, absent) == ([], {"gpus": "nvidia-smi knows none of what is asked"})
