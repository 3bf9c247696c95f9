"""Lines of tegrastats, the tool that every Jetson has, in the formats of JetPack 4 to 7.

What a line has differs from board to board and from release to release: rails with and without a unit, with an average
and a peak or without, clocks with and without a load. What is not in a line is not in what is returned.

References
----------
https://docs.nvidia.com/jetson/archives/r38.4/DeveloperGuide/AT/JetsonLinuxDevelopmentTools/TegrastatsUtility.html and
the pages of the same name of older releases.
"""

from __future__ import annotations

import re
from typing import Any

from unetplus_bench.device.heat import COLDEST
from unetplus_bench.device.machine import AbsentError

_RAM = re.compile(r"\bRAM (\d+)/(\d+)MB")
_SWAP = re.compile(r"\bSWAP (\d+)/(\d+)MB")
# "CPU [3%@1904,off]", and in the oldest form one clock for all of them: "CPU [3%,off]@1904".
_CPU = re.compile(r"\bCPU \[([^\]]*)\](?:@(\d+))?")
# "GR3D_FREQ 14%@[407,407]", "GR3D_FREQ 62%@306", "GR3D_FREQ 72%", "GR3D_FREQ @[0,0,0]", "EMC_FREQ 0%@2133".
_UNIT = re.compile(r"\b(EMC|GR3D)_FREQ (?:(\d+)%)?(?:@(?:\[([\d,]*)\]|(\d+)))?")
# "tj@50.5C", and in JetPack 7.2 with the highest since the tool began: "tj@50.5C/61.7C".
_TEMPERATURE = re.compile(r"\b(\w+)@(-?\d+(?:\.\d+)?)C\b")
# "VDD_IN 1022/1022", "VDD_IN 4319mW/4319mW", "VIN 87426mW/43713mW/87426mW": now, average, peak. A number without a
# unit must be followed by another, for "APE 174" is a clock.
_RAIL = re.compile(r"(?<!\S)(\w+) (-?\d+)(?:mW(?:/(-?\d+)mW)?|/(-?\d+))(?:/-?\d+(?:mW)?)?(?!\S)")


def parse_tegrastats(line: str) -> dict[str, Any]:
    """Return what a line of tegrastats says.

    Parameters
    ----------
    line
        As the tool prints it, with or without a time at its beginning.

    Returns
    -------
    dict
        Of these, those that the line has. "ram_mb", "swap_mb": {"used", "total"}. "processors": a list of {"percent",
        "mhz"}, null for one that is off. "emc", "gr3d" (memory and GPU): {"percent", "mhz"}, the latter a list, one a
        cluster. "celsius": by sensor, those of units that are off left out. "milliwatts": by rail, {"now", "average"}.

    Raises
    ------
    AbsentError
        If it is no line of tegrastats.

    Examples
    --------
    >>> parse_tegrastats("RAM 724/3965MB (lfb 81x4MB) CPU [1%@102,off] POM_5V_IN 877/901")["milliwatts"]
    {'POM_5V_IN': {'now': 877, 'average': 901}}
    """
    ram = _RAM.search(line)
    if ram is None:
        raise AbsentError("tegrastats printed something else than its line")
    found: dict[str, Any] = {"ram_mb": _used(ram)}
    swap = _SWAP.search(line)
    if swap:
        found["swap_mb"] = _used(swap)
    processors = _CPU.search(line)
    if processors:
        found["processors"] = [_processor(part, processors[2]) for part in processors[1].split(",")]
    for unit, percent, clocks, clock in _UNIT.findall(line):
        entry: dict[str, Any] = {}
        if percent:
            entry["percent"] = int(percent)
        if clocks or clock:
            entry["mhz"] = [int(part) for part in (clocks or clock).split(",") if part]
        found[unit.lower()] = entry
    found["celsius"] = {name: float(value) for name, value in _TEMPERATURE.findall(line) if float(value) > COLDEST}
    found["milliwatts"] = {
        name: {"now": int(now), **({"average": int(with_unit or bare)} if with_unit or bare else {})}
        for name, now, with_unit, bare in _RAIL.findall(line)
    }
    return found


def _used(match: re.Match[str]) -> dict[str, int]:
    return {"used": int(match[1]), "total": int(match[2])}


def _processor(part: str, common_clock: str | None) -> dict[str, int] | None:
    percent, _, clock = part.partition("%")
    if not percent.strip().isdigit():
        return None
    mhz = clock.lstrip("@") or common_clock
    return {"percent": int(percent), **({"mhz": int(mhz)} if mhz else {})}
