from __future__ import annotations

import time

import pytest

from unetplus_bench.device.power import PowerMeter

INTERVAL = 0.01


def sleep(seconds):
    """Return how long it took."""
    began = time.perf_counter()
    time.sleep(seconds)
    return time.perf_counter() - began


def set_joules(root, write, joules):
    write(root, "sys/class/powercap/intel-rapl:0/energy_uj", round(joules * 1e6))


def test_constant_power_gives_power_times_time(jetson_orin):
    with PowerMeter(jetson_orin, interval=INTERVAL) as meter:
        seconds = sleep(0.05)
    watts = 4.984 * 1.856
    # The samples begin before what the block does and end after it, within the time that the meter takes.
    assert watts * seconds <= meter.joules <= watts * meter.seconds
    assert meter.parts == {"VDD_IN": meter.joules}


def test_power_that_rises_is_between_its_ends(jetson_orin, write):
    current = "sys/class/hwmon/hwmon1/curr1_input"
    write(jetson_orin, "sys/class/hwmon/hwmon1/in1_input", 5000)
    write(jetson_orin, current, 1000)
    with PowerMeter(jetson_orin, interval=INTERVAL) as meter:
        seconds = sleep(0.03)
        temporary = jetson_orin / "new"
        temporary.write_text("3000")
        temporary.replace(jetson_orin / current)
        seconds += sleep(0.03)
    assert 5 * seconds < meter.joules < 15 * meter.seconds


def test_counters_give_what_they_counted(x86_server, write):
    with PowerMeter(x86_server, interval=60) as meter:
        set_joules(x86_server, write, 7.25)
    assert meter.parts == {"package-0": pytest.approx(2.25), "dram 0": 0.0}
    assert meter.joules == pytest.approx(2.25)


def test_a_counter_that_began_anew_is_followed(x86_server, write):
    write(x86_server, "sys/class/powercap/intel-rapl:0/max_energy_range_uj", 10_000_000)
    set_joules(x86_server, write, 9.5)
    with PowerMeter(x86_server, interval=60) as meter:
        set_joules(x86_server, write, 0.25)
    assert meter.parts["package-0"] == pytest.approx(0.75)


def test_processors_and_gpus_are_added_up(x86_server, lay, write):
    lay({}, {"nvidia-smi": "while :; do echo '0, 100.00'; sleep 0.01; done"}, root=x86_server)
    with PowerMeter(x86_server, interval=INTERVAL) as meter:
        set_joules(x86_server, write, 8)
        seconds = sleep(0.05)
    assert 100 * seconds <= meter.parts["gpu 0"] <= 100 * meter.seconds
    assert meter.joules == pytest.approx(3 + meter.parts["gpu 0"])


def test_where_nothing_measures_there_is_no_energy_and_the_reason_is_told(raspberry_pi):
    with PowerMeter(raspberry_pi) as meter:
        pass
    assert (meter.joules, meter.parts) == (None, {})
    assert meter.absent == {
        "rapl": "the kernel shows no energy counter of this processor",
        "gpus": "nvidia-smi is not installed",
    }
    assert meter.seconds > 0


def test_a_monitor_that_fails_on_the_way_leaves_no_sum(x86_server):
    with PowerMeter(x86_server, interval=60) as meter:
        (x86_server / "sys/class/powercap/intel-rapl:0:0/energy_uj").unlink()
    assert meter.joules is None
    assert meter.parts == {"package-0": 0.0}
    assert "No such file" in meter.absent["dram 0"]


def test_an_error_of_the_block_passes_and_what_was_opened_is_closed(x86_server, lay):
    script = 'echo $$ > "$(dirname "$0")/self"; while :; do echo "0, 1"; sleep 0.01; done'
    lay({}, {"nvidia-smi": script}, root=x86_server)
    with pytest.raises(RuntimeError, match="of the block"), PowerMeter(x86_server, interval=INTERVAL) as meter:
        raise RuntimeError("of the block")
    assert meter.joules is not None
    number = int((x86_server / "usr/sbin/self").read_text())
    for _ in range(500):
        try:
            with open(f"/proc/{number}/stat") as file:  # noqa: PTH123
                if file.read().rpartition(")")[2].split()[0] == "Z":
                    return
        except OSError:
            return
        time.sleep(0.01)
    pytest.fail("nvidia-smi still runs")
