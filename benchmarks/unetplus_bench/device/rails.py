"""The power rails that a board measures itself: the INA monitors of a Jetson, as Linux shows them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from unetplus_bench.device.machine import AbsentError

if TYPE_CHECKING:
    from unetplus_bench.device.machine import Machine

WHOLE_INPUT = ("VDD_IN", "POM_5V_IN", "VIN")
"""Rails that feed all others: Orin Nano and NX, Xavier NX, TX2; Nano; Thor."""


@dataclass(frozen=True)
class Rail:
    """A rail and where its power is read.

    Attributes
    ----------
    name
        As the board's makers call it.
    power
        File with the power, below the machine's root; None where voltage and current are read.
    watts_per_unit
        Of that file.
    voltage, current
        Files with millivolts and milliamperes.
    """

    name: str
    power: str | None = None
    watts_per_unit: float = 1e-6
    voltage: str = ""
    current: str = ""

    def watts(self, machine: Machine) -> float:
        """Return the power now.

        Raises
        ------
        AbsentError
            If it cannot be read.
        """
        if self.power:
            return machine.number(self.power) * self.watts_per_unit
        return machine.number(self.voltage) * machine.number(self.current) * 1e-6


def find_rails(machine: Machine) -> list[Rail]:
    """Return the rails whose power can be read.

    Raises
    ------
    AbsentError
        If there are none.
    """
    found = []
    for rail in [*_hwmon(machine), *_iio(machine)]:
        try:
            rail.watts(machine)
        except AbsentError:
            continue  # an unused input, which has no current
        found.append(rail)
    if not found:
        raise AbsentError("the board shows no power monitor")
    return found


def rails_of_all(rails: list[Rail]) -> list[Rail]:
    """Return those whose powers add up to the board's: the one that feeds all others, else all of them.

    So does jetson-stats. The sum of an AGX Xavier or an AGX Orin, which have no such rail, leaves out what its
    carrier board takes.
    """
    for name in WHOLE_INPUT:
        whole = [rail for rail in rails if rail.name == name]
        if whole:
            return whole
    return rails


def _hwmon(machine: Machine) -> list[Rail]:
    """Return rails as of JetPack 5: ina3221 with three inputs, on Thor beside it ina238 with one and its power."""
    rails = []
    for name in machine.find("sys/class/hwmon/hwmon*/name"):
        folder = name.rpartition("/")[0]
        if not (machine.text_or_none(name) or "").startswith("ina"):
            continue
        for label in machine.find(f"{folder}/in*_label"):
            number = label.rpartition("/in")[2].removesuffix("_label")
            called = machine.text_or_none(label)
            if called and called != "NC":
                voltage, current = f"{folder}/in{number}_input", f"{folder}/curr{number}_input"
                rails.append(Rail(called, voltage=voltage, current=current))
        single = machine.text_or_none(f"{folder}/label")
        if single:
            rails.append(Rail(single, power=f"{folder}/power1_input"))
    return rails


def _iio(machine: Machine) -> list[Rail]:
    """Return rails as of JetPack 4."""
    rails = []
    for name in machine.find("sys/bus/i2c/drivers/ina3221x/*/iio:device*/rail_name_*"):
        folder, _, file = name.rpartition("/")
        number = file.removeprefix("rail_name_")
        called = machine.text_or_none(name)
        if called and called != "NC":
            rails.append(Rail(called, power=f"{folder}/in_power{number}_input", watts_per_unit=1e-3))
    return rails
