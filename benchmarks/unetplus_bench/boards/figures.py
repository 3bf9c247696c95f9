"""What is known of a device's speed, each figure with where it is said."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from unetplus_edge.manifest import Precision


class Source(NamedTuple):
    """Where a figure is said.

    Attributes
    ----------
    title
        Of the page or the document; or, after "no source", how the figure was come by.
    address
        Where it is read; empty where there is none.
    """

    title: str
    address: str


class Figure(NamedTuple):
    """A number and where it is said."""

    value: float
    source: Source


@dataclass(frozen=True)
class Device:
    """A GPU or a board.

    Attributes
    ----------
    name
        As the project's pages call it.
    gpu_names
        How drivers call its GPU.
    multiprocessors, clock
        Number, and highest clock in Hz.
    rates
        Multiply-accumulates of one multiprocessor in a clock, by precision; one that is not there is
        not to be used, see `refusals`.
    bandwidth
        Of the memory, in bytes a second.
    refusals
        Why a precision is not there, as a clause.
    remark
        What a reader must know of the figures; empty where nothing.
    """

    name: str
    gpu_names: tuple[str, ...]
    multiprocessors: Figure
    clock: Figure
    rates: Mapping[Precision, Figure]
    bandwidth: Figure
    refusals: Mapping[Precision, str]
    remark: str = ""

    @property
    def sources(self) -> tuple[Source, ...]:
        """Where its figures are said, each once."""
        figures = (self.multiprocessors, self.clock, self.bandwidth, *self.rates.values())
        return tuple(dict.fromkeys(figure.source for figure in figures))

    def peak(self, precision: Precision) -> float | None:
        """Return multiply-accumulates a second, or None where the precision is not to be used."""
        rate = self.rates.get(precision)
        return None if rate is None else self.multiprocessors.value * rate.value * self.clock.value
