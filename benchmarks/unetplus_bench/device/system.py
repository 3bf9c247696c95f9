"""Facts about the machine around its processors: the board, its memory, the system, whether it is virtual."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING, Any

from unetplus_bench.device.cgroup import memory_limit
from unetplus_bench.device.cpu import processors
from unetplus_bench.device.machine import AbsentError, Machine

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def board(machine: Machine) -> str:
    """Return the model of the board, or the maker and the model of the computer."""
    model = machine.text_or_none("proc/device-tree/model")
    if model:
        return model
    # Nothing else of what the firmware says is read: it has serial numbers.
    return " ".join(machine.text(f"sys/class/dmi/id/{name}") for name in ("sys_vendor", "product_name"))


def kernel(machine: Machine) -> str:
    """Return the release of the kernel, without what its builder added."""
    return machine.text("proc/sys/kernel/osrelease").partition("-")[0].partition("+")[0]


def distribution(machine: Machine) -> str:
    """Return the name of the system with its version."""
    for line in machine.text("etc/os-release").splitlines():
        key, _, value = line.partition("=")
        if key == "PRETTY_NAME":
            return value.strip("\"'")
    raise AbsentError("/etc/os-release has no PRETTY_NAME")


def architecture(machine: Machine) -> str:
    """Return the kind of processor that programs are built for, such as "aarch64"."""
    try:
        return machine.text("proc/sys/kernel/arch")
    except AbsentError:
        # Kernels older than 6.1 have no such file.
        if not machine.is_this_one:
            raise
        return platform.machine()


def virtual_machine(machine: Machine) -> str | None:
    """Return what hypervisor the system runs under, "unnamed" if it has no known name; None for a real machine."""
    try:
        # Exit code 1 is that of the answer "none".
        answer = machine.run("systemd-detect-virt", "--vm", accept=(0, 1)).strip()
    except AbsentError:
        flags = processors(machine)[0].get("flags")
        if flags is None:
            raise AbsentError("without systemd-detect-virt only x86 processors tell") from None
        return "unnamed" if "hypervisor" in flags.split() else None
    return None if answer == "none" else answer


def container(machine: Machine) -> str | None:
    """Return what kind of container this process is in; None for none."""
    try:
        answer = machine.run("systemd-detect-virt", "--container", accept=(0, 1)).strip()
    except AbsentError:
        marks = {".dockerenv": "docker", "run/.containerenv": "podman"}
        return next((name for path, name in marks.items() if machine.text_or_none(path) is not None), None)
    return None if answer == "none" else answer


def memory(machine: Machine) -> dict[str, Any]:
    """Return the bytes of memory: "total", "available", "swap", and the "limit" of the control group or null."""
    entries = {}
    for line in machine.text("proc/meminfo").splitlines():
        key, _, value = line.partition(":")
        entries[key] = int(value.split()[0]) * 1024
    return {
        "total": entries["MemTotal"],
        "available": entries.get("MemAvailable"),
        "swap": entries.get("SwapTotal"),
        "limit": memory_limit(machine),
    }


READERS: Mapping[str, Callable[[Machine], Any]] = {
    "architecture": architecture,
    "kernel": kernel,
    "distribution": distribution,
    "virtual_machine": virtual_machine,
    "container": container,
    "memory_bytes": memory,
}
"""What `unetplus_bench.device` asks of this room."""
