"""The limits of the control group that this process is in, of both versions of control groups."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from unetplus_bench.device.machine import AbsentError, Machine

if TYPE_CHECKING:
    from collections.abc import Iterator

_MOUNT = "sys/fs/cgroup"
_NO_LIMIT = 2**60  # version 1 says the largest number of pages


def cpu_quota(machine: Machine) -> float | None:
    """Return how many cores' worth of time the group may use; None for no limit, or none that can be read."""
    quotas = []
    for folder in _folders(machine, "cpu"):
        time, _, period = (machine.text_or_none(f"{folder}/cpu.max") or "max").partition(" ")
        if time != "max":
            quotas.append(int(time) / int(period))
        older = machine.number_or_none(f"{folder}/cpu.cfs_quota_us")
        if older is not None and older > 0:
            quotas.append(older / machine.number(f"{folder}/cpu.cfs_period_us"))
    return min(quotas, default=None)


def times_held_back(machine: Machine) -> int:
    """Return how often the group was stopped since it began because its time was used up.

    Raises
    ------
    AbsentError
        If the kernel does not count it.
    """
    for folder in _folders(machine, "cpu"):
        for line in (machine.text_or_none(f"{folder}/cpu.stat") or "").splitlines():
            name, _, value = line.partition(" ")
            if name == "nr_throttled":
                return int(value)
    raise AbsentError("no control group counts it")


def memory_limit(machine: Machine) -> int | None:
    """Return how many bytes of memory the group may use; None for no limit, or none that can be read."""
    limits = []
    for folder in _folders(machine, "memory"):
        for name in ("memory.max", "memory.limit_in_bytes"):
            limit = machine.text_or_none(f"{folder}/{name}") or "max"
            if limit != "max" and int(limit) < _NO_LIMIT:
                limits.append(int(limit))
    return min(limits, default=None)


def _folders(machine: Machine, controller: str) -> Iterator[str]:
    """Yield the folders that may limit this process, its own group first.

    Inside a container the kernel may give the group's path on the host, which is not there: the mount itself is then
    the group's folder, and the last that is yielded.
    """
    for line in (machine.text_or_none("proc/self/cgroup") or "").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        mounts = [f"{_MOUNT}/{controllers}", f"{_MOUNT}/{controller}"] if controllers else [_MOUNT]
        for mount in dict.fromkeys(mounts):
            group = PurePosixPath(path)
            for inner in (group, *group.parents):
                yield f"{mount}/{inner.as_posix().lstrip('/')}".rstrip("/")
