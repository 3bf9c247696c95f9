"""Facts about NVIDIA's GPUs, as nvidia-smi has them."""

from __future__ import annotations

import csv
import math
import re
from typing import TYPE_CHECKING, Any

from unetplus_bench.device.machine import AbsentError

if TYPE_CHECKING:
    from collections.abc import Callable

    from unetplus_bench.device.machine import Machine

# Drivers older than 535 call the events throttling.
_EVENTS, _OLD_EVENTS = "clocks_event_reasons", "clocks_throttle_reasons"
_SLOWDOWNS = (
    "sw_power_cap",
    "hw_slowdown",
    "hw_thermal_slowdown",
    "hw_power_brake_slowdown",
    "sw_thermal_slowdown",
)
_UNKNOWN_FIELD = re.compile(r'Field "([^"]+)" is not a valid field to query')


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError
    return value


def _active(text: str) -> bool:
    return {"Active": True, "Not Active": False}[text]


def _enabled(text: str) -> bool:
    return {"Enabled": True, "Disabled": False}[text]


_FIELDS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "name": ("name", str),
    "compute_cap": ("compute_capability", str),
    "driver_version": ("driver", str),
    "memory.total": ("memory_mib", _number),
    "memory.used": ("memory_used_mib", _number),
    "persistence_mode": ("persistence", _enabled),
    "pstate": ("performance_state", str),
    "clocks.sm": ("clock_mhz", _number),
    "clocks.max.sm": ("maximum_clock_mhz", _number),
    "clocks.mem": ("memory_clock_mhz", _number),
    "clocks.max.mem": ("maximum_memory_clock_mhz", _number),
    "power.draw": ("power_watts", _number),
    "power.limit": ("power_limit_watts", _number),
    "power.default_limit": ("default_power_limit_watts", _number),
    "temperature.gpu": ("celsius", _number),
    "utilization.gpu": ("busy_percent", _number),
    **{f"{_EVENTS}.{reason}": (f"slowed.{reason}", _active) for reason in _SLOWDOWNS},
    **{f"{_EVENTS}_counters.{reason}": (f"slowed_us.{reason}", _number) for reason in _SLOWDOWNS},
}
"""What is asked, and the name and the kind of what is answered."""


def gpus(machine: Machine) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Return the facts of every GPU, and why which are absent.

    Returns
    -------
    list of dict
        By GPU, in the order of nvidia-smi, those that it tells of "name", "compute_capability", "driver",
        "memory_mib", "memory_used_mib", "persistence", "performance_state", "clock_mhz" (of the multiprocessors),
        "maximum_clock_mhz", "memory_clock_mhz", "maximum_memory_clock_mhz", "power_watts", "power_limit_watts",
        "default_power_limit_watts", "celsius", "busy_percent"; "slowed": {reason: whether now}, "slowed_us":
        {reason: microseconds since the driver was loaded}.
    dict
        Reasons by what is absent: "gpus" itself, or such as "gpus.0.power_limit_watts".
    """
    try:
        fields, rows = _query(machine)
    except AbsentError as error:
        return [], {"gpus": str(error)}
    found, absent = [], {}
    for number, row in enumerate(rows):
        facts, missing = _facts(dict(zip(fields, row, strict=False)))
        found.append(facts)
        absent.update({f"gpus.{number}.{name}": reason for name, reason in missing.items()})
    return found, absent


def _query(machine: Machine) -> tuple[list[str], list[list[str]]]:
    """Ask for all fields, again without each that this driver's tool does not know."""
    names = {field: field for field in _FIELDS}
    for _ in range(2 * len(_FIELDS)):
        if not names:
            break
        output = machine.run(
            "nvidia-smi",
            f"--query-gpu={','.join(names.values())}",
            "--format=csv,noheader,nounits",
            seconds=20,
            accept=tuple(range(256)),
        )
        unknown = _UNKNOWN_FIELD.search(output)
        if unknown is None:
            rows = [row for row in csv.reader(output.splitlines(), skipinitialspace=True) if row]
            # A driver that does not answer is a sentence on the same stream.
            if not rows or any(len(row) != len(names) for row in rows):
                first = output.strip().splitlines()[:1]
                raise AbsentError(f"nvidia-smi names no GPU ({first[0] if first else 'it printed nothing'})")
            return list(names), rows
        field = next((known for known, asked in names.items() if asked == unknown[1]), None)
        if field is None:
            break
        older = field.replace(_EVENTS, _OLD_EVENTS)
        if names[field] != older and not field.startswith(f"{_EVENTS}_counters"):
            names[field] = older
        else:
            del names[field]
    raise AbsentError("nvidia-smi knows none of what is asked")


def _facts(answers: dict[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    facts: dict[str, Any] = {}
    absent: dict[str, str] = {}
    for field, (name, read) in _FIELDS.items():
        group, _, inner = name.rpartition(".")
        answer = answers.get(field)
        try:
            if answer is None:
                raise AbsentError(f"this driver's nvidia-smi has no {field}")
            # "[N/A]", "[Not Supported]", "[Unknown Error]"
            if answer.startswith("[") or answer == "N/A":
                raise AbsentError(f"nvidia-smi says {answer}")
            value = read(answer)
        except AbsentError as error:
            absent[name] = str(error)
        except (ValueError, KeyError):
            absent[name] = f"nvidia-smi says {answer}"
        else:
            target = facts.setdefault(group, {}) if group else facts
            target[inner] = value
    return facts, absent
