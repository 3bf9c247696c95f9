"""Facts about who uses the processors: the load, the waiting, and the time that went to whom."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from unetplus_bench.device.cgroup import times_held_back
from unetplus_bench.device.machine import AbsentError, Machine

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def load_average(machine: Machine) -> list[float]:
    """Return how many tasks ran or waited, averaged over 1, 5 and 15 minutes."""
    return [float(word) for word in machine.text("proc/loadavg").split()[:3]]


def pressure(machine: Machine) -> dict[str, float]:
    """Return which per cent of the time a task waited for a processor, averaged over 10, 60 and 300 s."""
    for line in machine.text("proc/pressure/cpu").splitlines():
        kind, *pairs = line.split()
        if kind == "some":
            values = dict(pair.split("=") for pair in pairs)
            return {f"{span}_s": float(values[f"avg{span}"]) for span in (10, 60, 300)}
    raise AbsentError("/proc/pressure/cpu has no line 'some'")


def processor_time(machine: Machine) -> dict[str, float]:
    """Return the seconds of all processors since the machine started, by who had them.

    Returns
    -------
    dict
        "busy": programs and the kernel. "idle". "stolen": other guests of the hypervisor. "own": of the busy ones
        this process, with every child that it has waited for.
    """
    first = machine.text("proc/stat").splitlines()[0].split()
    if first[0] != "cpu":
        raise AbsentError("/proc/stat does not begin with the line of all processors")
    user, nice, system, idle, waiting, interrupts, soft = map(int, first[1:8])
    stolen = int(first[8]) if len(first) > 8 else 0  # not in every container
    # The second field is the program's name in parentheses, which may contain anything.
    own = machine.text("proc/self/stat").rpartition(")")[2].split()
    tick = os.sysconf("SC_CLK_TCK")
    return {
        "busy": (user + nice + system + interrupts + soft) / tick,
        "idle": (idle + waiting) / tick,
        "stolen": stolen / tick,
        "own": sum(map(int, own[11:15])) / tick,
    }


READERS: Mapping[str, Callable[[Machine], Any]] = {
    "average": load_average,
    "waiting_percent": pressure,
    "processor_seconds": processor_time,
    "times_held_back": times_held_back,
}
"""What `unetplus_bench.device` asks of this room."""
