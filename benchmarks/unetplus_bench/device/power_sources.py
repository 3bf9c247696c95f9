"""What measures power or counts energy in a machine, each as something that can be read again and again."""

from __future__ import annotations

import importlib
import threading
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from unetplus_bench.device.machine import AbsentError, end
from unetplus_bench.device.rails import find_rails, rails_of_all

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import ExitStack

    from unetplus_bench.device.machine import Machine

_PATIENCE = 10.0  # seconds until nvidia-smi has loaded its driver and printed


@dataclass(frozen=True)
class Source:
    """Something that can be read.

    Attributes
    ----------
    name
        What the power goes into.
    read
        Returns watts now, or joules counted so far. Raises AbsentError when it has failed.
    counts
        Whether it is joules.
    full
        The joules at which a counter begins anew; None for one that never does.
    """

    name: str
    read: Callable[[], float]
    counts: bool = False
    full: float | None = None


def board_rails(machine: Machine) -> list[Source]:
    """Return the rails of a Jetson whose powers add up to the board's.

    Raises
    ------
    AbsentError
        If it shows none.
    """
    return [Source(rail.name, partial(rail.watts, machine)) for rail in rails_of_all(find_rails(machine))]


def jtop_total(open_until: ExitStack) -> list[Source]:
    """Return the total power of a Jetson as the service of jetson-stats has it, which a container may see.

    Raises
    ------
    AbsentError
        If jetson-stats is not installed here, or its service does not answer.
    """
    jtop = _module("jtop", "jetson-stats")
    client = jtop.jtop(interval=0.5)
    try:
        client.start()
    except Exception as error:  # whatever an optional service raises does not end a measurement
        raise AbsentError(f"the service of jetson-stats does not answer ({error})") from error
    open_until.callback(client.close)

    def watts() -> float:
        try:
            runs, milliwatts = client.ok(spin=True), float(client.power["tot"]["power"])
        except Exception as error:
            raise AbsentError(f"jetson-stats tells no power ({type(error).__name__})") from error
        if not runs:
            raise AbsentError("the service of jetson-stats has ended")
        return milliwatts / 1000

    return [Source("all rails", watts)]


def rapl_zones(machine: Machine) -> list[Source]:
    """Return the energy counters of processors and of the memory that they count (RAPL).

    Raises
    ------
    AbsentError
        If there are none, or this user may not read one of them: since 2020 mostly root alone may.

    References
    ----------
    https://docs.kernel.org/power/powercap/powercap.html
    """
    found = []
    # Zones of the kind "intel-rapl-mmio" count the same energy again.
    for zone in machine.find("sys/class/powercap/intel-rapl:*"):
        name = machine.text(f"{zone}/name")
        # A package has its cores in it, not its memory; "psys" has all of them in it, where a maker wired it.
        if not (name.startswith("package") or name == "dram"):
            continue
        label = name if name.startswith("package") else f"dram {zone.split(':')[1]}"
        read = partial(_micro, machine, f"{zone}/energy_uj")
        read()
        found.append(Source(label, read, counts=True, full=_micro(machine, f"{zone}/max_energy_range_uj")))
    if not found:
        raise AbsentError("the kernel shows no energy counter of this processor")
    return found


def _micro(machine: Machine, path: str) -> float:
    return machine.number(path) * 1e-6


def gpu_counters(open_until: ExitStack) -> list[Source]:
    """Return the energy counters of all NVIDIA GPUs, which those have that are newer than Pascal.

    Raises
    ------
    AbsentError
        If pynvml is not installed, there is no GPU, or one does not count.
    """
    nvml = _module("pynvml", "nvidia-ml-py")
    try:
        nvml.nvmlInit()
        open_until.callback(nvml.nvmlShutdown)
        handles = [nvml.nvmlDeviceGetHandleByIndex(number) for number in range(nvml.nvmlDeviceGetCount())]
    except nvml.NVMLError as error:
        raise AbsentError(f"NVML does not answer ({error})") from error
    if not handles:
        raise AbsentError("NVML counts no GPU")

    def joules(handle: Any) -> float:
        try:
            return float(nvml.nvmlDeviceGetTotalEnergyConsumption(handle)) / 1000
        except nvml.NVMLError as error:
            raise AbsentError(f"NVML tells no energy ({error})") from error

    found = [Source(f"gpu {number}", partial(joules, handle), counts=True) for number, handle in enumerate(handles)]
    for source in found:
        source.read()
    return found


def gpu_monitors(machine: Machine, open_until: ExitStack, interval: float) -> list[Source]:
    """Return the power of every NVIDIA GPU that tells it, as one nvidia-smi prints it until the end.

    Raises
    ------
    AbsentError
        If nvidia-smi is not installed, or tells no power.
    """
    stream = _PowerStream(machine, interval)
    open_until.callback(stream.close)
    numbers = stream.first()
    return [Source(f"gpu {number}", partial(stream.watts, number)) for number in numbers]


class _PowerStream:
    """The newest line that nvidia-smi printed of each GPU."""

    def __init__(self, machine: Machine, interval: float) -> None:
        self._newest: dict[str, float] = {}
        self._answered = threading.Event()
        milliseconds = max(1, round(interval * 1000))
        self._process = machine.start(
            "nvidia-smi",
            "--query-gpu=index,power.draw",
            "--format=csv,noheader,nounits",
            f"--loop-ms={milliseconds}",
        )
        self._reader = threading.Thread(target=self._read, name="nvidia-smi", daemon=True)
        self._reader.start()

    def _read(self) -> None:
        lines = self._process.stdout
        seen: set[str] = set()
        for line in lines or ():
            number, _, watts = (part.strip() for part in line.decode(errors="replace").partition(","))
            # From the second line of a GPU on, all have been named once.
            if number in seen:
                self._answered.set()
            seen.add(number)
            try:
                self._newest[number] = float(watts)
            except ValueError:
                continue  # "[N/A]"
        self._answered.set()

    def first(self) -> list[str]:
        """Return the numbers of the GPUs that tell their power, once each has been asked."""
        self._answered.wait(_PATIENCE)
        if not self._newest or not self._reader.is_alive():
            raise AbsentError("nvidia-smi tells no power")
        return sorted(self._newest)

    def watts(self, number: str) -> float:
        """Return the newest power of a GPU."""
        if not self._reader.is_alive():
            raise AbsentError("nvidia-smi has ended")
        return self._newest[number]

    def close(self) -> None:
        """End nvidia-smi."""
        with self._process:
            end(self._process)
            self._reader.join()


def _module(name: str, package: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise AbsentError(f"{package} is not installed") from None
