"""Facts that only an NVIDIA Jetson has: its release, its power mode, its clocks, its rails."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from unetplus_bench.device.machine import AbsentError, Machine
from unetplus_bench.device.rails import find_rails
from unetplus_bench.device.tegrastats import parse_tegrastats

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# By the chip: https://developer.nvidia.com/cuda-gpus.
_COMPUTE_CAPABILITIES = {
    "tegra210": "5.3",
    "tegra186": "6.2",
    "tegra194": "7.2",
    "tegra234": "8.7",
    "tegra264": "11.0",
}
# https://developer.nvidia.com/embedded/jetpack-archive
_JETPACKS = {"32": 4, "34": 5, "35": 5, "36": 6, "38": 7, "39": 7}
_MODE_FILE, _MODES_FILE = "var/lib/nvpmodel/status", "etc/nvpmodel.conf"
_CLOCKS = re.compile(r"^\s*(cpu\d+|GPU|EMC)\b[: ](.*)$", re.MULTILINE)


def is_jetson(machine: Machine) -> bool:
    """Return whether the machine is one, as far as a container lets that be seen."""
    compatible = machine.text_or_none("proc/device-tree/compatible")
    if compatible is not None:
        return "nvidia,tegra" in compatible
    return machine.text_or_none("etc/nv_tegra_release") is not None


def chip(machine: Machine) -> str:
    """Return the chip, such as "tegra234" of the Orins."""
    names = re.findall(r"nvidia,(tegra\d+)", machine.text("proc/device-tree/compatible"))
    if not names:
        raise AbsentError("/proc/device-tree/compatible names no Tegra")
    return str(names[-1])


def compute_capability(machine: Machine) -> str:
    """Return that of the GPU in the chip."""
    try:
        return _COMPUTE_CAPABILITIES[chip(machine)]
    except KeyError:
        raise AbsentError("that of this chip is not known here") from None


def release(machine: Machine) -> str:
    """Return the release of Jetson Linux (L4T), such as "36.4.4"."""
    match = re.search(r"R(\d+) \(release\), REVISION: ([\d.]+)", machine.text("etc/nv_tegra_release"))
    if match is None:
        raise AbsentError("/etc/nv_tegra_release names no release")
    return f"{match[1]}.{match[2]}"


def jetpack(machine: Machine) -> int:
    """Return the JetPack that the release belongs to, without its minor version."""
    try:
        return _JETPACKS[release(machine).partition(".")[0]]
    except KeyError:
        raise AbsentError("that of this release is not known here") from None


def power_mode(machine: Machine) -> dict[str, Any]:
    """Return the power mode (nvpmodel) that is set.

    Returns
    -------
    dict
        "name", "number"; "modes": the names of all that the board has, by number as text, empty where they are not
        to be read.

    Raises
    ------
    AbsentError
        If neither nvpmodel nor its file tells.
    """
    modes = _modes(machine)
    try:
        name, number = _mode_by_command(machine)
    except AbsentError as error:
        match = re.search(r"pmode:(\d+)", machine.text(_MODE_FILE))
        if match is None:
            raise AbsentError(f"/{_MODE_FILE} names no mode") from error
        number = int(match[1])
        name = modes.get(str(number), str(number))
    return {"name": name, "number": number, "modes": modes}


def _modes(machine: Machine) -> dict[str, str]:
    text = machine.text_or_none(_MODES_FILE) or ""
    return dict(re.findall(r"^\s*<\s*POWER_MODEL\s+ID=(\d+)\s+NAME=([^\s>]+)", text, re.MULTILINE))


def _mode_by_command(machine: Machine) -> tuple[str, int]:
    output = machine.run("nvpmodel", "-q")
    match = re.search(r"NV Power Mode:[ \t]*(\S.*?)\s*\n\s*(\d+)", output)
    if match is None:
        raise AbsentError("nvpmodel -q names no mode")
    return match[1], int(match[2])


def clocks(machine: Machine) -> dict[str, dict[str, Any]]:
    """Return what `jetson_clocks --show` says of processors, GPU and memory (EMC); it wants root.

    Returns
    -------
    dict of dict
        By unit, such as "cpu0", "gpu", "emc": of "minimum_mhz", "maximum_mhz", "current_mhz" those that are named,
        "governor" and "online" of processors, "locked" of memory.
    """
    output = machine.run("jetson_clocks", "--show")
    found: dict[str, dict[str, Any]] = {}
    for unit, rest in _CLOCKS.findall(output):
        said = dict(re.findall(r"(\w+)=(\S+)", rest))
        # Clocks of processors are in kHz, the others in Hz.
        per_mhz = 1e3 if unit.startswith("cpu") else 1e6
        entry: dict[str, Any] = {
            name: int(said[key]) / per_mhz
            for name, key in (("minimum_mhz", "MinFreq"), ("maximum_mhz", "MaxFreq"), ("current_mhz", "CurrentFreq"))
            if key in said
        }
        if "Governor" in said:
            entry["governor"] = said["Governor"]
        for name, key in (("online", "Online"), ("locked", "FreqOverride")):
            if key in said:
                entry[name] = said[key] == "1"
        if entry:
            found[unit.lower()] = entry
    if not found:
        raise AbsentError("jetson_clocks --show names no clocks")
    return found


def gpu_clock(machine: Machine) -> dict[str, Any]:
    """Return the GPU's clock as the kernel has it, which wants no root: "governor" and MHz as in `clocks`."""
    for folder in machine.find("sys/class/devfreq/*"):
        # 57000000.gpu, 17000000.gv11b, 17000000.ga10b, 17000000.gpu; gpu-gpc-0 on Thor.
        if re.search(r"(\.(gpu|gp10b|gv11b|ga10b)|/gpu-gpc-\d+)$", folder):
            return {
                "governor": machine.text(f"{folder}/governor"),
                "minimum_mhz": machine.number(f"{folder}/min_freq") / 1e6,
                "maximum_mhz": machine.number(f"{folder}/max_freq") / 1e6,
                "current_mhz": machine.number(f"{folder}/cur_freq") / 1e6,
            }
    raise AbsentError("the kernel shows no clock of a GPU")


def rail_watts(machine: Machine) -> dict[str, float]:
    """Return the power of each rail that the board measures, in watts."""
    return {rail.name: rail.watts(machine) for rail in find_rails(machine)}


def over_current(machine: Machine) -> dict[str, int]:
    """Return how often the board slowed down for want of voltage ("oc1") or for too much current, since it started."""
    paths = machine.find("sys/class/hwmon/hwmon*/oc*_event_cnt")
    if not paths:
        raise AbsentError("the kernel does not count it")
    return {path.rpartition("/")[2].removesuffix("_event_cnt"): machine.number(path) for path in paths}


def tegrastats(machine: Machine) -> dict[str, Any]:
    """Return one line of tegrastats, as `parse_tegrastats` reads it."""
    return parse_tegrastats(machine.first_line("tegrastats", "--interval", "100"))


READERS: Mapping[str, Callable[[Machine], Any]] = {
    "chip": chip,
    "compute_capability": compute_capability,
    "release": release,
    "jetpack": jetpack,
    "power_mode": power_mode,
    "clocks": clocks,
    "gpu_clock": gpu_clock,
    "rail_watts": rail_watts,
    "over_current": over_current,
    "tegrastats": tegrastats,
}
"""What `unetplus_bench.device` asks of this room, of a Jetson."""
