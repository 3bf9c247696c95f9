"""What happened to a machine between two looks at it, or was set, that makes its times no one's but its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    Facts = Mapping[str, Any]

OTHERS_SHARE = 0.05
"""Of the processors that are usable: from which on what other programs use is told."""

STOLEN_SHARE = 0.01
"""Of all processor time: from which on what the hypervisor took is told."""

WAITING_PERCENT = 10.0
"""Of the last 10 s before: from which on that tasks waited for a processor is told."""

GPU_BUSY_PERCENT = 5.0
"""From which on it is told that a GPU had work before the measurement."""

_TOLERANCE = 0.99  # of a clock that is compared
_FOLLOWS_LOAD = ("ondemand", "conservative", "schedutil", "interactive")
# These drivers leave the clock to the processor, which is told a preference; "powersave" is their ordinary governor.
_PREFERENCE_DRIVERS = ("intel_pstate", "amd-pstate-epp", "amd_pstate_epp")
_FAST_PREFERENCES = ("performance", "balance_performance", "default")


def warnings_about(before: Facts, after: Facts) -> tuple[str, ...]:
    """Return what a reader of measured times must know of the machine, one sentence each.

    Parameters
    ----------
    before, after
        What `unetplus_bench.device.device_facts` found before and after the measurement. Children of the measuring
        process must have been waited for, else they count as other programs.

    Examples
    --------
    >>> facts = {"cpu": {"frequency": [{"governor": "powersave", "driver": "acpi-cpufreq"}]}}
    >>> warnings_about(facts, facts)
    ('the CPU governor is powersave, which saves power at the cost of speed; set performance for comparable times',)
    """
    checks = (
        *(_governor(before), _power_mode(before), _jetson_clocks(before), _gpu_power_limits(before)),
        *(_waiting(before), _busy_gpus(before), _others(before, after), _stolen(before, after)),
        *(_held_back(before, after), _processor_heat(before, after), _cooling(before, after), _too_hot(after)),
        *(_raspberry_pi(before, after), _gpu_slowdowns(before, after), _over_current(before, after)),
        *(_fallen_clocks(before, after),),
    )
    return tuple(dict.fromkeys(sentence for check in checks for sentence in check))


def _at(facts: Facts, *path: str) -> Any:
    """Return a fact, or None where it is absent."""
    value: Any = facts
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _gpus(facts: Facts) -> list[dict[str, Any]]:
    return facts.get("gpus") or []


def _governor(before: Facts) -> Iterator[str]:
    for group in _at(before, "cpu", "frequency") or ():
        governor, preference = group.get("governor"), group.get("preference")
        locked = group.get("minimum_mhz") is not None and group.get("minimum_mhz") == group.get("maximum_mhz")
        if locked:
            continue
        if group.get("driver") in _PREFERENCE_DRIVERS:
            if preference and preference not in _FAST_PREFERENCES:
                yield f"the CPU is told to prefer {preference}, which costs speed; set performance for comparable times"
        elif governor == "powersave":
            yield (
                "the CPU governor is powersave, which saves power at the cost of speed; set performance for comparable "
                "times"
            )
        elif governor in _FOLLOWS_LOAD:
            yield (
                f"the CPU governor is {governor}, which lowers the clock between calls; set performance for comparable "
                "times"
            )


def _power_mode(before: Facts) -> Iterator[str]:
    name, modes = _at(before, "jetson", "power_mode", "name"), _at(before, "jetson", "power_mode", "modes") or {}
    if not name or name.startswith("MAXN"):
        return
    fastest = sorted((mode for mode in modes.values() if mode.startswith("MAXN")), key=len)
    if fastest:
        yield f"the Jetson runs in power mode {name}, not {fastest[-1]}; set it with sudo nvpmodel -m, or name the mode"
    elif not modes or _watts(name) < max(map(_watts, modes.values())):
        yield f"the Jetson runs in power mode {name}, which is not its fastest; set it with sudo nvpmodel -m"


def _watts(mode: str) -> int:
    """Return what a mode such as "MODE_15W_6CORE" or "25W" is named after, 0 if nothing."""
    return max((int(part[:-1]) for part in mode.split("_") if part[-1:] == "W" and part[:-1].isdigit()), default=0)


def _jetson_clocks(before: Facts) -> Iterator[str]:
    clock = _at(before, "jetson", "gpu_clock")
    if clock and clock["minimum_mhz"] < clock["maximum_mhz"] and clock["governor"] != "performance":
        yield (
            f"the Jetson's GPU clock follows its load between {clock['minimum_mhz']:.0f} and "
            f"{clock['maximum_mhz']:.0f} MHz; run sudo jetson_clocks for comparable times"
        )


def _gpu_power_limits(before: Facts) -> Iterator[str]:
    for number, gpu in enumerate(_gpus(before)):
        limit, default = gpu.get("power_limit_watts"), gpu.get("default_power_limit_watts")
        if limit is not None and default is not None and limit < default:
            yield f"GPU {number} is limited to {limit:g} W, where {default:g} W is its default"


def _waiting(before: Facts) -> Iterator[str]:
    waited = _at(before, "load", "waiting_percent", "10_s")
    if waited is not None:
        if waited >= WAITING_PERCENT:
            yield f"before the measurement tasks waited for a processor {waited:.0f} % of the time: others use it too"
        return
    average, usable = _at(before, "load", "average"), _at(before, "cpu", "cores", "usable")
    if average and usable and average[0] >= max(1, usable / 2):
        yield f"the load average was {average[0]:.1f} before the measurement, on {usable:g} usable processors"


def _busy_gpus(before: Facts) -> Iterator[str]:
    for number, gpu in enumerate(_gpus(before)):
        if gpu.get("busy_percent", 0) >= GPU_BUSY_PERCENT:
            yield f"GPU {number} was {gpu['busy_percent']:.0f} % busy before the measurement: others use it too"


def _passed(before: Facts, after: Facts) -> dict[str, float] | None:
    """Return the seconds of all processors that passed, by who had them."""
    first, last = _at(before, "load", "processor_seconds"), _at(after, "load", "processor_seconds")
    if not first or not last:
        return None
    passed = {name: last[name] - first[name] for name in last}
    passed["all"] = passed["busy"] + passed["idle"] + passed["stolen"]
    return passed if passed["all"] > 0 else None


def _others(before: Facts, after: Facts) -> Iterator[str]:
    passed, cores = _passed(before, after), _at(before, "cpu", "cores")
    if not passed or not cores:
        return
    used = (passed["busy"] - passed["own"]) / passed["all"] * cores["logical"]
    if used >= OTHERS_SHARE * cores["usable"]:
        yield f"other programs used {used:.2g} of {cores['logical']} processors during the measurement"


def _stolen(before: Facts, after: Facts) -> Iterator[str]:
    passed = _passed(before, after)
    if passed and passed["stolen"] / passed["all"] >= STOLEN_SHARE:
        share = passed["stolen"] / passed["all"]
        yield f"the hypervisor took {share:.1%} of the processors' time during the measurement"


def _grown(before: Any, after: Any) -> dict[str, float]:
    """Return by how much each counter grew that both looks have."""
    if not before or not after:
        return {}
    return {name: after[name] - before[name] for name in after if name in before and after[name] > before[name]}


def _held_back(before: Facts, after: Facts) -> Iterator[str]:
    first, last = _at(before, "load", "times_held_back"), _at(after, "load", "times_held_back")
    if first is not None and last is not None and last > first:
        yield f"the control group's time limit stopped its programs {last - first} times during the measurement"


def _processor_heat(before: Facts, after: Facts) -> Iterator[str]:
    grown = _grown(_at(before, "heat", "throttle_counts"), _at(after, "heat", "throttle_counts"))
    counts = {name: number for name, number in grown.items() if name.endswith("_count")}
    if counts:
        units = ", ".join(f"{name.partition('_')[0]} counters +{number:.0f}" for name, number in sorted(counts.items()))
        yield f"the CPU was slowed down for heat during the measurement ({units})"


def _cooling(before: Facts, after: Facts) -> Iterator[str]:
    grown = _grown(_at(before, "heat", "cooling"), _at(after, "heat", "cooling"))
    active = [name for name in sorted(grown) if _at(after, "heat", "cooling", name) > 0]
    if active:
        yield f"the kernel slowed the machine down to cool it during the measurement ({', '.join(active)})"


def _too_hot(after: Facts) -> Iterator[str]:
    for name, sensor in (_at(after, "heat", "temperatures") or {}).items():
        limit = sensor.get("throttles_at")
        if limit is not None and sensor["celsius"] >= limit:
            yield (
                f"{name} had {sensor['celsius']:.0f} degrees Celsius after the measurement, and is slowed down from "
                f"{limit:.0f} on"
            )


def _raspberry_pi(before: Facts, after: Facts) -> Iterator[str]:
    first, last = _at(before, "heat", "raspberry_pi") or {}, _at(after, "heat", "raspberry_pi") or {}
    new = set(last.get("since_start", ())) - set(first.get("since_start", ()))
    reasons = sorted(new | set(first.get("now", ())) | set(last.get("now", ())))
    if reasons:
        yield f"the Raspberry Pi slowed itself down ({', '.join(reasons)}); see to its power supply and its cooling"


def _gpu_slowdowns(before: Facts, after: Facts) -> Iterator[str]:
    for number, (first, last) in enumerate(zip(_gpus(before), _gpus(after), strict=False)):
        now = {name for gpu in (first, last) for name, active in (gpu.get("slowed") or {}).items() if active}
        reasons = sorted(now | set(_grown(first.get("slowed_us"), last.get("slowed_us"))))
        if reasons:
            yield f"GPU {number} was slowed down ({', '.join(reasons)})"


def _over_current(before: Facts, after: Facts) -> Iterator[str]:
    grown = _grown(_at(before, "jetson", "over_current"), _at(after, "jetson", "over_current"))
    if grown:
        times = ", ".join(f"{name} +{number:.0f}" for name, number in sorted(grown.items()))
        yield f"the Jetson slowed down for low voltage or too much current ({times}); see to its power supply"


def _fallen_clocks(before: Facts, after: Facts) -> Iterator[str]:
    first, last = _cpu_limit(before), _cpu_limit(after)
    if first and last and last < first * _TOLERANCE:
        yield f"the CPU's highest allowed clock fell from {first:.0f} to {last:.0f} MHz during the measurement"
    clock, later = _at(before, "jetson", "gpu_clock"), _at(after, "jetson", "gpu_clock")
    if not clock or not later:
        return
    # A clock that follows the load falls when the work is done, which says nothing.
    locked = clock["minimum_mhz"] == clock["maximum_mhz"]
    key = "current_mhz" if locked else "maximum_mhz"
    if later[key] < clock[key] * _TOLERANCE:
        yield f"the Jetson's GPU clock fell from {clock[key]:.0f} to {later[key]:.0f} MHz during the measurement"


def _cpu_limit(facts: Facts) -> float | None:
    """Return the highest allowed clock in MHz, averaged over processors, so that one cluster's fall shows."""
    groups = [group for group in _at(facts, "cpu", "frequency") or () if group.get("maximum_mhz")]
    processors = sum(group["processors"] for group in groups)
    if not processors:
        return None
    return float(sum(group["processors"] * group["maximum_mhz"] for group in groups) / processors)
