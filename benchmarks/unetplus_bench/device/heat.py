"""Facts about heat: temperatures, and every sign by which a machine says that it slowed itself down."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from unetplus_bench.device.machine import AbsentError, Machine

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

COLDEST = -100
"""Degrees Celsius below which a reading is that of a sensor whose unit is switched off: Jetsons say -256."""

_AMD_SENSORS = ("k10temp", "zenpower")  # AMD's processors have no thermal zone
_RASPBERRY_PI = "sys/devices/platform/soc/soc:firmware/get_throttled"
# https://www.raspberrypi.com/documentation/computers/os.html#get_throttled: bit n now, bit n + 16 since the start.
_PI_BITS = ("under-voltage", "frequency capped", "throttled", "soft temperature limit")
_SINCE_START = 16


def temperatures(machine: Machine) -> dict[str, dict[str, float]]:
    """Return the temperatures in degrees Celsius by sensor.

    Returns
    -------
    dict of dict
        "celsius", and where the kernel has one "throttles_at": from which it slows down what gets too hot.
    """
    found: dict[str, dict[str, float]] = {}
    for zone in machine.find("sys/class/thermal/thermal_zone*"):
        name, now = machine.text_or_none(f"{zone}/type"), machine.number_or_none(f"{zone}/temp")
        # A unit that is switched off has none.
        if name and now is not None and now / 1000 > COLDEST:
            entry = {"celsius": now / 1000}
            limit = _passive_trip(machine, zone)
            if limit is not None:
                entry["throttles_at"] = limit
            found[_unused(name, found)] = entry
    for sensor in machine.find("sys/class/hwmon/hwmon*/temp*_input"):
        now = machine.number_or_none(sensor)
        if machine.text_or_none(f"{sensor.rpartition('/')[0]}/name") in _AMD_SENSORS and now is not None:
            label = machine.text_or_none(sensor.replace("_input", "_label")) or "CPU"
            found[_unused(label, found)] = {"celsius": now / 1000}
    if not found:
        raise AbsentError("no sensor can be read")
    return found


def _passive_trip(machine: Machine, zone: str) -> float | None:
    kinds = machine.find(f"{zone}/trip_point_*_type")
    passive = [path.replace("_type", "_temp") for path in kinds if machine.text_or_none(path) == "passive"]
    trips = [machine.number_or_none(path) for path in passive]
    # 0 and less stand for one that is not set.
    return min((trip / 1000 for trip in trips if trip is not None and trip > 0), default=None)


def _unused(name: str, taken: Mapping[str, Any]) -> str:
    number = 2
    unused = name
    while unused in taken:
        unused, number = f"{name} {number}", number + 1
    return unused


def throttle_counts(machine: Machine) -> dict[str, int]:
    """Return how often cores and packages were slowed down for heat, summed over processors, and for how many ms."""
    counts: dict[str, int] = {}
    for path in machine.find("sys/devices/system/cpu/cpu[0-9]*/thermal_throttle/*"):
        name = path.rpartition("/")[2]
        if name.endswith(("_throttle_count", "_throttle_total_time_ms")):
            counts[name] = counts.get(name, 0) + machine.number(path)
    if not counts:
        raise AbsentError("the kernel counts no throttling of this processor")
    return counts


def cooling(machine: Machine) -> dict[str, int]:
    """Return how strongly each means of cooling but fans is applied, 0 for not at all; the strongest of each kind."""
    states: dict[str, int] = {}
    for device in machine.find("sys/class/thermal/cooling_device*"):
        kind, state = machine.text_or_none(f"{device}/type"), machine.number_or_none(f"{device}/cur_state")
        if kind and state is not None and "fan" not in kind.lower():
            states[kind] = max(state, states.get(kind, 0))
    if not states:
        raise AbsentError("the kernel has none")
    return states


def raspberry_pi(machine: Machine) -> dict[str, list[str]]:
    """Return why the firmware of a Raspberry Pi slows it down: "now", and at any time "since_start"."""
    if "raspberrypi" not in (machine.text_or_none("proc/device-tree/compatible") or ""):
        raise AbsentError("this is no Raspberry Pi")
    word = machine.text_or_none(_RASPBERRY_PI)
    if not word:
        word = machine.run("vcgencmd", "get_throttled").strip().rpartition("=")[2]
    bits = int(word, 16)
    return {
        "now": [name for bit, name in enumerate(_PI_BITS) if bits >> bit & 1],
        "since_start": [name for bit, name in enumerate(_PI_BITS, _SINCE_START) if bits >> bit & 1],
    }


READERS: Mapping[str, Callable[[Machine], Any]] = {
    "temperatures": temperatures,
    "throttle_counts": throttle_counts,
    "cooling": cooling,
    "raspberry_pi": raspberry_pi,
}
"""What `unetplus_bench.device` asks of this room."""
