"""Facts about the CPU: what it is, what of it this process may use, at what clock."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from unetplus_bench.device.cgroup import cpu_quota
from unetplus_bench.device.machine import AbsentError, Machine

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

INSTRUCTION_SETS = (
    *("avx", "f16c", "fma", "avx2", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16"),
    *("amx_tile", "amx_int8", "amx_bf16"),
    *("neon", "asimd", "asimdhp", "asimddp", "i8mm", "bf16", "sve", "sve2", "sme"),
)
"""Those that decide how fast a network can run, as Linux names them."""

# Implementer and part of Arm's MIDR_EL1, as lscpu has them (util-linux, sys-utils/lscpu-arm.c), of the boards that
# networks like ours are run on.
_ARM_CORES = {
    ("0x41", "0xd03"): "Cortex-A53",
    ("0x41", "0xd04"): "Cortex-A35",
    ("0x41", "0xd05"): "Cortex-A55",
    ("0x41", "0xd07"): "Cortex-A57",
    ("0x41", "0xd08"): "Cortex-A72",
    ("0x41", "0xd09"): "Cortex-A73",
    ("0x41", "0xd0a"): "Cortex-A75",
    ("0x41", "0xd0b"): "Cortex-A76",
    ("0x41", "0xd0c"): "Neoverse-N1",
    ("0x41", "0xd0d"): "Cortex-A77",
    ("0x41", "0xd40"): "Neoverse-V1",
    ("0x41", "0xd41"): "Cortex-A78",
    ("0x41", "0xd42"): "Cortex-A78AE",
    ("0x41", "0xd49"): "Neoverse-N2",
    ("0x41", "0xd4f"): "Neoverse-V2",
    ("0x41", "0xd83"): "Neoverse-V3AE",
    ("0x41", "0xd84"): "Neoverse-V3",
    ("0x41", "0xd85"): "Cortex-X925",
    ("0x41", "0xd87"): "Cortex-A725",
    ("0x4e", "0x003"): "Denver 2",
    ("0x4e", "0x004"): "Carmel",
    ("0xc0", "0xac3"): "Ampere-1",
}

_CPUS = "sys/devices/system/cpu"


def processors(machine: Machine) -> list[dict[str, str]]:
    """Return what /proc/cpuinfo says of each processor that is on.

    Raises
    ------
    AbsentError
        If it cannot be read, or names none.
    """
    found = []
    for block in machine.text("proc/cpuinfo").split("\n\n"):
        pairs = (line.partition(":") for line in block.splitlines())
        entry = {key.strip(): value.strip() for key, _, value in pairs}
        if "processor" in entry:
            found.append(entry)
    if not found:
        raise AbsentError("/proc/cpuinfo names no processor")
    return found


def model(machine: Machine) -> str:
    """Return the name of the cores, such as "Cortex-A76"; of unlike cores each name, with their number."""
    counted = Counter(_core_name(entry) for entry in processors(machine))
    if len(counted) == 1:
        return next(iter(counted))
    return ", ".join(f"{number} x {name}" for name, number in counted.items())


def _core_name(entry: dict[str, str]) -> str:
    part = (entry.get("CPU implementer", "").lower(), entry.get("CPU part", "").lower())
    # The "model name" of Arm's processors is that of the architecture.
    name = _ARM_CORES.get(part) or entry.get("model name") or entry.get("cpu model")
    if name:
        return name
    if not any(part):
        raise AbsentError("/proc/cpuinfo names no model")
    return f"implementer {part[0]}, part {part[1]}"


def signature(machine: Machine) -> str:
    """Return the numbers that tell an x86 processor whose name a hypervisor made up."""
    entry = processors(machine)[0]
    try:
        return (
            f"{entry['vendor_id']}, family {entry['cpu family']}, model {entry['model']}, stepping {entry['stepping']}"
        )
    except KeyError:
        raise AbsentError("only x86 processors have one") from None


def instruction_sets(machine: Machine) -> list[str]:
    """Return which of `INSTRUCTION_SETS` every processor has."""
    have = [set((entry.get("flags") or entry.get("Features") or "").split()) for entry in processors(machine)]
    common = set.intersection(*have)
    if not common:
        raise AbsentError("/proc/cpuinfo names no instruction sets")
    return [name for name in INSTRUCTION_SETS if name in common]


def cores(machine: Machine) -> dict[str, Any]:
    """Return how many processors there are, and how many this process may use.

    Returns
    -------
    dict
        "logical": processors that are on. "physical": cores, where the machine says which processors share one.
        "allowed": processors that this process may run on. "quota": cores' worth of time that its control group
        may use; null for no limit. "usable": the smaller of the two.
    """
    logical = len(processors(machine))
    allowed = _allowed(machine) or logical
    quota = cpu_quota(machine)
    return {
        "logical": logical,
        "physical": _physical(machine),
        "allowed": allowed,
        "quota": quota,
        "usable": allowed if quota is None else min(allowed, quota),
    }


def _allowed(machine: Machine) -> int:
    for line in machine.text("proc/self/status").splitlines():
        key, _, value = line.partition(":")
        if key == "Cpus_allowed_list":
            return sum(_span(part) for part in value.strip().split(","))
    return 0


def _span(part: str) -> int:
    first, _, last = part.partition("-")
    return int(last or first) - int(first) + 1


def _physical(machine: Machine) -> int | None:
    folders = machine.find(f"{_CPUS}/cpu[0-9]*/topology")
    try:
        pairs = {
            (machine.text(f"{folder}/physical_package_id"), machine.text(f"{folder}/core_id")) for folder in folders
        }
    except AbsentError:
        return None
    return len(pairs) or None


def frequency(machine: Machine) -> list[dict[str, Any]]:
    """Return how the kernel chooses clocks, one entry for all processors that are treated alike.

    Returns
    -------
    list of dict
        "processors": their number. "driver", "governor", "preference" (of energy or performance, where the driver
        has one). "minimum_mhz", "maximum_mhz": what the kernel may choose. "hardware_maximum_mhz": what the processor
        can. "current_mhz": lowest and highest of these processors. What the kernel does not say is null.

    Raises
    ------
    AbsentError
        If the kernel chooses no clocks here.
    """
    policies = machine.find(f"{_CPUS}/cpufreq/policy*")
    if not policies:
        raise AbsentError("the kernel controls no clocks here, as in most virtual machines")
    groups: dict[tuple[Any, ...], dict[str, Any]] = {}
    for policy in policies:
        entry: dict[str, Any] = {
            "driver": machine.text_or_none(f"{policy}/scaling_driver"),
            "governor": machine.text_or_none(f"{policy}/scaling_governor"),
            "preference": machine.text_or_none(f"{policy}/energy_performance_preference"),
            "minimum_mhz": _mhz(machine, f"{policy}/scaling_min_freq"),
            "maximum_mhz": _mhz(machine, f"{policy}/scaling_max_freq"),
            "hardware_maximum_mhz": _mhz(machine, f"{policy}/cpuinfo_max_freq"),
        }
        group = groups.setdefault(tuple(entry.values()), {"processors": 0, **entry, "current_mhz": None})
        group["processors"] += len((machine.text_or_none(f"{policy}/affected_cpus") or "0").split())
        now = _mhz(machine, f"{policy}/scaling_cur_freq")
        if now is not None:
            lowest, highest = group["current_mhz"] or (now, now)
            group["current_mhz"] = [min(lowest, now), max(highest, now)]
    return list(groups.values())


def _mhz(machine: Machine, path: str) -> float | None:
    khz = machine.number_or_none(path)
    return None if khz is None else khz / 1000


def clock(machine: Machine) -> list[float]:
    """Return the lowest and the highest clock of the processors in MHz, as /proc/cpuinfo has them now."""
    clocks = [float(entry["cpu MHz"]) for entry in processors(machine) if "cpu MHz" in entry]
    if not clocks:
        raise AbsentError("/proc/cpuinfo names no clock")
    return [min(clocks), max(clocks)]


def boost(machine: Machine) -> bool:
    """Return whether the processor may go past its nominal clock."""
    off = machine.number_or_none(f"{_CPUS}/intel_pstate/no_turbo")
    return off == 0 if off is not None else machine.number(f"{_CPUS}/cpufreq/boost") != 0


def caches(machine: Machine) -> list[dict[str, Any]]:
    """Return the caches: their name, the size of one in KiB, and how many of them there are."""
    seen: dict[tuple[str, str, int], set[str]] = {}
    for folder in machine.find(f"{_CPUS}/cpu[0-9]*/cache/index*"):
        kind = {"Data": "d", "Instruction": "i"}.get(machine.text(f"{folder}/type"), "")
        level = machine.text(f"{folder}/level")
        size = machine.text(f"{folder}/size")
        kib = int(size[:-1]) * {"K": 1, "M": 1024}[size[-1]]
        seen.setdefault((level, kind, kib), set()).add(machine.text(f"{folder}/shared_cpu_list"))
    if not seen:
        raise AbsentError("the kernel names no caches")
    return [{"name": f"L{key[0]}{key[1]}", "kib": key[2], "instances": len(seen[key])} for key in sorted(seen)]


READERS: Mapping[str, Callable[[Machine], Any]] = {
    "model": model,
    "signature": signature,
    "instruction_sets": instruction_sets,
    "cores": cores,
    "frequency": frequency,
    "clock_mhz": clock,
    "boost": boost,
    "caches": caches,
}
"""What `unetplus_bench.device` asks of this room."""
