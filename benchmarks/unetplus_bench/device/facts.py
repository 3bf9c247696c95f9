"""Facts about the machine that measures, for every result file: what it is, and what it was doing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from unetplus_bench.device import cpu, heat, jetson, load, system
from unetplus_bench.device.libraries import library_versions
from unetplus_bench.device.machine import Machine, gather
from unetplus_bench.device.nvidia import gpus

_ROOMS = {"system": system.READERS, "cpu": cpu.READERS, "load": load.READERS, "heat": heat.READERS}


def device_facts(root: Path = Path("/")) -> dict[str, Any]:
    """Return what this machine is and what it is doing, as JSON can have it.

    Nothing about people is among it: no host, user, folder of theirs, serial number or address.

    Parameters
    ----------
    root
        The folder below which the machine's files and commands are.

    Returns
    -------
    dict
        "board": its model. "system", "cpu", "load", "heat": what the functions of those names' rooms return, by name.
        "gpus": NVIDIA's, an empty list for none. "jetson": on a Jetson, as its room has it. "libraries": versions by
        package. "absent": why a fact is not there, by its path, such as "cpu.frequency"; that one is absent is never
        an error.
    """
    machine = Machine(root)
    facts, absent = gather(machine, {"board": system.board})
    rooms = {**_ROOMS, **({"jetson": jetson.READERS} if jetson.is_jetson(machine) else {})}
    for room, readers in rooms.items():
        facts[room], missing = gather(machine, readers)
        absent.update({f"{room}.{name}": reason for name, reason in missing.items()})
    if "jetson" not in rooms:
        absent["jetson"] = "this is no Jetson"
    facts["gpus"], missing = gpus(machine)
    return {**facts, "libraries": library_versions(), "absent": {**absent, **missing}}
