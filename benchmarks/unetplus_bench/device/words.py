"""The facts of a result's machine, as readers need them: its name, what lasts of it, all of them in a list."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_UNKNOWN: Final = "unknown machine"

_STATES: Final = frozenset(
    {
        *("load", "heat", "absent", "before", "after", "trtexec", "rail_watts", "over_current", "tegrastats"),
        *("available", "clock_mhz", "current_mhz", "memory_clock_mhz", "performance_state", "power_watts", "celsius"),
        *("busy_percent", "memory_used_mib", "slowed", "slowed_us", "online"),
    }
)
"""Parts of names of facts that change from minute to minute."""


def flat_facts(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return all facts in a list, by names with points, in the order of the file.

    >>> flat_facts({"cpu": {"model": "N100", "flags": ["avx2", "vnni"]}, "gpus": []})
    [('cpu.model', 'N100'), ('cpu.flags', 'avx2, vnni'), ('gpus', 'none')]
    """
    return [(name, _said(value)) for name, value in _leaves(facts, "")]


def lasting_facts(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts that are the same tomorrow unless somebody changed the machine, by names with points."""
    return {name: value for name, value in _leaves(facts, "") if _STATES.isdisjoint(name.split("."))}


def device_title(facts: Mapping[str, Any]) -> str:
    """Return a machine's name in a few words: its board, its GPUs, its CPU, the power mode of a Jetson.

    >>> device_title({"cpu": {"model": "Intel N100", "cores": {"usable": 4}}})
    'Intel N100, 4 cores'
    """
    return ", ".join([*_names(facts), *filter(None, [_text(facts, "jetson", "power_mode", "name")])]) or _UNKNOWN


def same_machine(a: Mapping[str, Any], b: Mapping[str, Any]) -> bool:
    """Return whether two machines are of the same kind: board, GPUs, CPU and the cores that may be used of it."""
    return _names(a) == _names(b) and _text(a, "cpu", "signature") == _text(b, "cpu", "signature")


def others_share(facts: Mapping[str, Any]) -> float | None:
    """Return the share of all processor time that others had during a measurement, or None where that is not known.

    Others are the programs beside the measurement, and the other guests of a hypervisor.
    """
    try:
        before, after = (room["load"]["processor_seconds"] for room in (facts, facts["after"]))
        passed = {name: after[name] - before[name] for name in ("busy", "idle", "stolen", "own")}
        everything = passed["busy"] + passed["idle"] + passed["stolen"]
        return float((passed["busy"] - passed["own"] + passed["stolen"]) / everything) if everything > 0 else None
    except (KeyError, TypeError):
        return None


def _names(facts: Mapping[str, Any]) -> list[str]:
    names = [_text(facts, "name") or _text(facts, "system", "board")]
    gpus = facts.get("gpus")
    names += [_text(gpu, "name") for gpu in gpus] if isinstance(gpus, list) else [_text(facts, "gpu")]
    model, cores = _text(facts, "cpu", "model"), _text(facts, "cpu", "cores", "usable")
    names.append(f"{model}, {cores} core{'' if cores == '1' else 's'}" if model and cores else model)
    return list(dict.fromkeys(name for name in names if name))


def _text(facts: Any, *path: str) -> str:
    for part in path:
        facts = facts.get(part) if isinstance(facts, dict) else None
    return "" if facts is None or isinstance(facts, (dict, list)) else str(facts)


def _leaves(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _leaves(inner, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list) and any(isinstance(inner, (dict, list)) for inner in value):
        for index, inner in enumerate(value):
            yield from _leaves(inner, f"{name}.{index}")
    else:
        yield name, value


def _said(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return "none" if value is None or value == {} else str(value)
