from __future__ import annotations

import os
import sys
import time
import types
from contextlib import ExitStack

import pytest

from unetplus_bench.device.machine import AbsentError, Machine
from unetplus_bench.device.power_sources import board_rails, gpu_counters, gpu_monitors, jtop_total, rapl_zones


def read(sources):
    return {source.name: source.read() for source in sources}


def failure(source):
    """Return why a source fails, once it does."""
    for _ in range(1000):
        try:
            source.read()
        except AbsentError as error:
            return str(error)
        time.sleep(0.01)
    return None


def test_a_boards_power_is_that_of_its_whole_input(jetson_orin):
    assert read(board_rails(Machine(jetson_orin))) == {"VDD_IN": pytest.approx(4.984 * 1.856)}


def test_packages_and_their_memory_count_once(x86_server):
    # Neither cores, which packages have in them, nor "psys", which has packages in it, nor the second interface.
    assert read(rapl_zones(Machine(x86_server))) == {"package-0": pytest.approx(5), "dram 0": pytest.approx(1)}


def test_counters_that_only_root_may_read_are_absent(x86_server):
    (x86_server / "sys/class/powercap/intel-rapl:0/energy_uj").unlink()
    with pytest.raises(AbsentError, match="energy_uj: No such file"):
        rapl_zones(Machine(x86_server))


def test_a_board_without_counters_has_none(raspberry_pi):
    with pytest.raises(AbsentError):
        rapl_zones(Machine(raspberry_pi))


def test_gpus_that_tell_their_power_are_read_from_one_running_tool(lay):
    script = "while :; do echo '0, 23.50'; echo '1, [N/A]'; echo '2, 100'; sleep 0.01; done"
    machine = Machine(lay({}, {"nvidia-smi": script}))
    with ExitStack() as stack:
        assert read(gpu_monitors(machine, stack, 0.1)) == {"gpu 0": 23.5, "gpu 2": 100.0}


def test_a_tool_that_has_ended_tells_no_power(lay):
    script = "echo '0, 10'; echo '0, 10'; read line < \"$(dirname \"$0\")/end\""
    root = lay({}, {"nvidia-smi": script})
    pipe = root / "usr/sbin/end"
    os.mkfifo(pipe)
    with ExitStack() as stack:
        (gpu,) = gpu_monitors(Machine(root), stack, 0.1)
        assert gpu.read() == 10.0
        pipe.write_text("now\n")
        assert failure(gpu) == "nvidia-smi has ended"


@pytest.mark.parametrize("script", ["echo '0, [N/A]'; echo '0, [N/A]'; sleep 600", "exit 9", "echo '0, 10'"])
def test_a_tool_that_tells_no_power_is_absent(lay, script):
    with ExitStack() as stack, pytest.raises(AbsentError):
        gpu_monitors(Machine(lay({}, {"nvidia-smi": script})), stack, 0.1)


class NVMLError(Exception):
    """As pynvml has it."""


@pytest.fixture
def pynvml(monkeypatch):
    """A pynvml of two GPUs that have used 1.5 and 2 J; there is no real one without a GPU."""
    module = types.ModuleType("pynvml")
    module.NVMLError = NVMLError
    module.shut = 0
    module.energy = {0: 1500, 1: 2000}
    module.nvmlInit = lambda: None
    module.nvmlShutdown = lambda: setattr(module, "shut", module.shut + 1)
    module.nvmlDeviceGetCount = lambda: len(module.energy)
    module.nvmlDeviceGetHandleByIndex = lambda number: number

    def energy(handle):
        if module.energy[handle] is None:
            raise NVMLError("Not Supported")
        return module.energy[handle]

    module.nvmlDeviceGetTotalEnergyConsumption = energy
    monkeypatch.setitem(sys.modules, "pynvml", module)
    return module


def test_gpus_count_in_millijoules(pynvml):
    with ExitStack() as stack:
        assert read(gpu_counters(stack)) == {"gpu 0": 1.5, "gpu 1": 2.0}
        assert pynvml.shut == 0
    assert pynvml.shut == 1


def test_one_gpu_that_does_not_count_leaves_all_to_their_monitors(pynvml):
    pynvml.energy[1] = None
    with ExitStack() as stack, pytest.raises(AbsentError, match="Not Supported"):
        gpu_counters(stack)


@pytest.mark.parametrize(("module", "find"), [("pynvml", gpu_counters), ("jtop", jtop_total)])
def test_a_library_that_is_not_installed_is_absent(monkeypatch, module, find):
    monkeypatch.setitem(sys.modules, module, None)
    with ExitStack() as stack, pytest.raises(AbsentError, match="not installed"):
        find(stack)


class JtopError(Exception):
    """As jtop's JtopException."""


@pytest.fixture
def jtop(monkeypatch):
    """A jtop whose service runs; there is none without a Jetson."""
    module = types.ModuleType("jtop")
    module.JtopException = JtopError
    module.runs = True
    module.closed = False

    class Client:
        power = {"rail": {}, "tot": {"power": 6500, "avg": 6000}}  # noqa: RUF012

        def __init__(self, interval):
            self.interval = interval

        def start(self):
            if not module.runs:
                raise JtopError("The jtop.service is not active")

        def ok(self, spin=False):
            assert spin, "it must not wait"
            return module.runs

        def close(self):
            module.closed = True

    module.jtop = Client
    monkeypatch.setitem(sys.modules, "jtop", module)
    return module


def test_jetson_stats_tells_the_total_in_milliwatts(jtop):
    with ExitStack() as stack:
        assert read(jtop_total(stack)) == {"all rails": 6.5}
    assert jtop.closed


def test_a_service_that_does_not_run_is_absent(jtop):
    jtop.runs = False
    with ExitStack() as stack, pytest.raises(AbsentError, match="not active"):
        jtop_total(stack)


def test_a_service_that_ended_tells_nothing_more(jtop):
    with ExitStack() as stack:
        (total,) = jtop_total(stack)
        jtop.runs = False
        with pytest.raises(AbsentError, match="ended"):
            total.read()
