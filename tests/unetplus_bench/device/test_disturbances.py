from __future__ import annotations

import copy

import pytest

from unetplus_bench.device import device_facts
from unetplus_bench.device.disturbances import warnings_about

QUIET = {
    "cpu": {
        "cores": {"logical": 4, "usable": 4},
        "frequency": [
            {
                "processors": 4,
                "driver": "acpi-cpufreq",
                "governor": "performance",
                "preference": None,
                "minimum_mhz": 800.0,
                "maximum_mhz": 3000.0,
            }
        ],
    },
    "load": {
        "average": [0.1, 0.1, 0.1],
        "waiting_percent": {"10_s": 0.5},
        "processor_seconds": {"busy": 1000.0, "idle": 5000.0, "stolen": 10.0, "own": 5.0},
        "times_held_back": 3,
    },
    "heat": {
        "temperatures": {"cpu-thermal": {"celsius": 50.0, "throttles_at": 99.0}},
        "throttle_counts": {"core_throttle_count": 7, "core_throttle_total_time_ms": 50},
        "cooling": {"thermal-cpufreq-0": 0},
        "raspberry_pi": {"now": [], "since_start": ["under-voltage"]},
    },
    "jetson": {
        "power_mode": {"name": "MAXN", "number": 0, "modes": {"0": "MAXN", "1": "15W"}},
        "gpu_clock": {
            "governor": "nvhost_podgov",
            "minimum_mhz": 918.0,
            "maximum_mhz": 918.0,
            "current_mhz": 918.0,
        },
        "over_current": {"oc1": 0, "oc3": 37},
    },
    "gpus": [
        {
            "busy_percent": 0,
            "power_limit_watts": 350,
            "default_power_limit_watts": 350,
            "slowed": {"sw_power_cap": False},
            "slowed_us": {"sw_power_cap": 5},
        }
    ],
}


def changed(facts, *path, to):
    """Return facts with one of them another."""
    found = copy.deepcopy(facts)
    target = found
    for key in path[:-1]:
        target = target[key]
    target[path[-1]] = to
    return found


# Ten seconds of four processors, of which this process used two.
LATER = changed(QUIET, "load", "processor_seconds", to={"busy": 1020.0, "idle": 5020.0, "stolen": 10.0, "own": 25.0})


def test_a_quiet_machine_needs_no_warning():
    assert warnings_about(QUIET, LATER) == ()


def test_no_facts_are_no_warnings():
    assert warnings_about({}, {}) == ()


def governor(name, driver="acpi-cpufreq", preference=None):
    (group,) = QUIET["cpu"]["frequency"]
    return changed(
        QUIET, "cpu", "frequency", to=[{**group, "governor": name, "driver": driver, "preference": preference}]
    )


@pytest.mark.parametrize("name", ["powersave", "ondemand", "schedutil", "conservative"])
def test_a_governor_that_saves_power_is_told(name):
    (warning,) = warnings_about(governor(name), LATER)
    assert warning.startswith(f"the CPU governor is {name}, which ")


def test_a_processor_that_chooses_itself_is_judged_by_its_preference():
    ordinary = governor("powersave", "intel_pstate", "balance_performance")
    assert warnings_about(ordinary, LATER) == ()
    (warning,) = warnings_about(governor("powersave", "intel_pstate", "balance_power"), LATER)
    assert "prefer balance_power" in warning


def test_a_locked_clock_needs_no_governor():
    facts = governor("schedutil")
    facts["cpu"]["frequency"][0]["minimum_mhz"] = 3000.0
    assert warnings_about(facts, LATER) == ()


@pytest.mark.parametrize(
    ("name", "modes", "said"),
    [
        ("25W", {"0": "15W", "1": "25W", "2": "MAXN_SUPER"}, "power mode 25W, not MAXN_SUPER"),
        ("MODE_10W_2CORE", {"0": "MODE_15W_6CORE", "3": "MODE_10W_2CORE"}, "MODE_10W_2CORE, which is not its fastest"),
        ("15W", {}, "15W, which is not its fastest"),
        ("MAXN", {"0": "MAXN", "1": "15W"}, None),
        ("MODE_15W_2CORE", {"0": "MODE_15W_2CORE", "3": "MODE_10W_2CORE"}, None),
    ],
)
def test_a_jetson_in_a_slower_mode_is_told(name, modes, said):
    facts = changed(QUIET, "jetson", "power_mode", to={"name": name, "number": 0, "modes": modes})
    warnings = warnings_about(facts, LATER)
    assert len(warnings) == (said is not None)
    assert said is None or said in warnings[0]


def test_a_jetson_without_locked_clocks_is_told():
    facts = changed(QUIET, "jetson", "gpu_clock", "minimum_mhz", to=306.0)
    (warning,) = warnings_about(facts, facts)
    assert "between 306 and 918 MHz; run sudo jetson_clocks" in warning


def test_a_gpu_with_less_power_than_it_is_made_for_is_told():
    facts = changed(QUIET, "gpus", 0, "power_limit_watts", to=230)
    assert warnings_about(facts, LATER) == ("GPU 0 is limited to 230 W, where 350 W is its default",)


def test_tasks_that_wait_before_the_measurement_are_told():
    (warning,) = warnings_about(changed(QUIET, "load", "waiting_percent", "10_s", to=40.0), LATER)
    assert "waited for a processor 40 % of the time" in warning


def test_a_kernel_without_pressure_is_judged_by_its_load():
    facts = changed(QUIET, "load", "average", to=[2.5, 1.0, 1.0])
    assert warnings_about(facts, LATER) == ()  # by its pressure
    del facts["load"]["waiting_percent"]
    (warning,) = warnings_about(facts, LATER)
    assert warning == "the load average was 2.5 before the measurement, on 4 usable processors"


def test_a_gpu_that_others_use_is_told():
    (warning,) = warnings_about(changed(QUIET, "gpus", 0, "busy_percent", to=37), LATER)
    assert "GPU 0 was 37 % busy" in warning


def test_other_programs_are_told_by_the_processors_that_they_used():
    # Of 40 processor seconds 28 were busy, 20 of them for this process: 8 of 10 seconds on one processor.
    later = changed(
        QUIET, "load", "processor_seconds", to={"busy": 1028.0, "idle": 5012.0, "stolen": 10.0, "own": 25.0}
    )
    assert warnings_about(QUIET, later) == ("other programs used 0.8 of 4 processors during the measurement",)


def test_own_work_is_not_that_of_other_programs():
    later = changed(
        QUIET, "load", "processor_seconds", to={"busy": 1040.0, "idle": 5000.0, "stolen": 10.0, "own": 45.0}
    )
    assert warnings_about(QUIET, later) == ()


def test_time_that_the_hypervisor_took_is_told():
    later = changed(
        QUIET, "load", "processor_seconds", to={"busy": 1020.0, "idle": 5018.0, "stolen": 12.0, "own": 25.0}
    )
    assert warnings_about(QUIET, later) == ("the hypervisor took 5.0% of the processors' time during the measurement",)


def test_a_control_group_that_was_held_back_is_told():
    (warning,) = warnings_about(QUIET, changed(LATER, "load", "times_held_back", to=10))
    assert "stopped its programs 7 times" in warning


def test_throttling_for_heat_is_told_if_it_happened_between():
    counts = {"core_throttle_count": 12, "core_throttle_total_time_ms": 80}
    (warning,) = warnings_about(QUIET, changed(LATER, "heat", "throttle_counts", to=counts))
    assert warning == "the CPU was slowed down for heat during the measurement (core counters +5)"


def test_cooling_that_began_is_told():
    (warning,) = warnings_about(QUIET, changed(LATER, "heat", "cooling", to={"thermal-cpufreq-0": 3}))
    assert "thermal-cpufreq-0" in warning


def test_a_part_at_the_heat_at_which_it_is_slowed_down_is_told():
    hot = {"cpu-thermal": {"celsius": 99.5, "throttles_at": 99.0}, "gpu-thermal": {"celsius": 120.0}}
    (warning,) = warnings_about(QUIET, changed(LATER, "heat", "temperatures", to=hot))
    assert warning.startswith("cpu-thermal had 100 degrees")


@pytest.mark.parametrize(
    ("now", "since_start", "said"),
    [
        ([], ["under-voltage"], None),
        ([], ["under-voltage", "throttled"], "(throttled)"),
        (["under-voltage"], ["under-voltage"], "(under-voltage)"),
    ],
)
def test_a_raspberry_pi_that_slowed_down_is_told_but_not_what_was_long_before(now, since_start, said):
    after = changed(LATER, "heat", "raspberry_pi", to={"now": now, "since_start": since_start})
    warnings = warnings_about(QUIET, after)
    assert len(warnings) == (said is not None)
    assert said is None or said in warnings[0]


@pytest.mark.parametrize(
    ("path", "value"), [(("slowed", "sw_power_cap"), True), (("slowed_us", "sw_power_cap"), 91403239)]
)
def test_a_gpu_that_was_slowed_down_is_told_now_or_by_its_counter(path, value):
    assert warnings_about(QUIET, changed(LATER, "gpus", 0, *path, to=value)) == (
        "GPU 0 was slowed down (sw_power_cap)",
    )


def test_a_jetson_that_lacked_power_is_told():
    (warning,) = warnings_about(QUIET, changed(LATER, "jetson", "over_current", to={"oc1": 0, "oc3": 40}))
    assert "(oc3 +3)" in warning


def test_a_locked_gpu_clock_that_fell_is_told():
    (warning,) = warnings_about(QUIET, changed(LATER, "jetson", "gpu_clock", "current_mhz", to=510.0))
    assert "GPU clock fell from 918 to 510 MHz" in warning


def test_a_clock_that_falls_with_its_load_says_nothing_of_heat():
    free = changed(QUIET, "jetson", "gpu_clock", "minimum_mhz", to=306.0)
    after = changed(free, "jetson", "gpu_clock", "current_mhz", to=306.0)
    assert not any("fell" in warning for warning in warnings_about(free, after))


def test_a_lowered_limit_of_the_cpus_clock_is_told():
    after = copy.deepcopy(LATER)
    after["cpu"]["frequency"][0]["maximum_mhz"] = 2000.0
    (warning,) = warnings_about(QUIET, after)
    assert "fell from 3000 to 2000 MHz" in warning


def test_every_warning_is_one_sentence_and_said_once():
    facts = governor("ondemand")
    facts["cpu"]["frequency"] *= 2
    warnings = warnings_about(facts, LATER)
    assert len(warnings) == 1
    assert "\n" not in warnings[0]


def test_a_throttling_server_is_told_from_its_files(x86_server, write):
    before = device_facts(x86_server)
    write(x86_server, "sys/devices/system/cpu/cpu3/thermal_throttle/core_throttle_count", 20)
    write(x86_server, "sys/devices/system/cpu/cpu3/thermal_throttle/package_throttle_count", 5)
    write(x86_server, "sys/fs/cgroup/bench.slice/job/cpu.stat", "nr_throttled 5\n")
    assert warnings_about(before, device_facts(x86_server)) == (
        "the control group's time limit stopped its programs 2 times during the measurement",
        "the CPU was slowed down for heat during the measurement (core counters +7, package counters +3)",
    )


def test_an_orin_as_it_comes_is_told_what_to_set(jetson_orin):
    facts = device_facts(jetson_orin)
    mode, governor, clocks = sorted(
        warnings_about(facts, facts), key=lambda text: "governor" in text or "clock" in text
    )
    assert "power mode 25W, not MAXN_SUPER" in mode
    assert "schedutil" in governor
    assert "sudo jetson_clocks" in clocks
