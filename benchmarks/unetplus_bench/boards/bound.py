"""Lower bounds of a network's time on devices that are not at hand, and what was reached of them.

A lower bound is no measurement and no forecast. It counts every product of the convolutions as they are
defined: what computes them so cannot take less, and takes more. Winograd's algorithm, which libraries use
for 3x3 convolutions in floating point, needs 2.25 to 4 times fewer products, and could take less.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from unetplus_bench.article_figures import ARTICLE, ARTICLE_FIGURES
from unetplus_bench.boards.datasheets import device_of, find_device
from unetplus_bench.results import NET_SCOPES
from unetplus_bench.roofline.layer_costs import layer_traffic, network_cost
from unetplus_bench.statistics import median_ms
from unetplus_edge.architectures import architecture_from_name
from unetplus_edge.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from unetplus_bench.boards.figures import Device
    from unetplus_bench.results import BenchmarkResult, Row
    from unetplus_bench.roofline.layer_costs import NetworkCost
    from unetplus_edge.manifest import Precision

ARTICLE_DEVICE = "GTX 1080 Ti"


@dataclass(frozen=True)
class Bound:
    """The least that a network can take on a device, by its datasheet.

    Attributes
    ----------
    device
        Its name.
    network
        Its name.
    precision
        Of every product and every value in memory.
    batch
        Patches a call.
    compute_ms
        Milliseconds a patch for the multiply-accumulates at the peak rate.
    memory_ms
        For the weights once a batch, the patch and its answer at the full bandwidth, all else
        staying in caches.
    layers_ms
        A tighter figure for what computes one layer after the other and keeps nothing in a cache
        between them: for each the longer of computing and moving its input, output and weights.
        What keeps more in its caches can take less than this.
    """

    device: str
    network: str
    precision: Precision
    batch: int
    compute_ms: float
    memory_ms: float
    layers_ms: float

    @property
    def ms(self) -> float:
        """The lower bound, in milliseconds a patch."""
        return max(self.compute_ms, self.memory_ms)


@dataclass(frozen=True)
class Reached:
    """What a measurement reached of a lower bound.

    Attributes
    ----------
    source
        Where the measurement is from.
    scope
        What its time covers: that of a row, or "article" for what the article's times cover.
    measured_ms
        Median, or the article's average, in milliseconds a patch.
    bound
        Of that network on that device, in that precision.
    """

    source: str
    scope: str
    measured_ms: float
    bound: Bound

    @property
    def fraction(self) -> float:
        """Of the lower bound. More than 1 means fewer products than a convolution is defined by, or a wrong figure."""
        return self.bound.ms / self.measured_ms


def lower_bound(device: Device, cost: NetworkCost, precision: Precision, batch: int = 1) -> Bound | None:
    """Return a lower bound, or None where the precision is not to be used on the device.

    Parameters
    ----------
    device
        The device.
    cost
        Of the network.
    precision
        Of every product and every value in memory.
    batch
        Patches a call, at least 1.
    """
    peak = device.peak(precision)
    if peak is None:
        return None
    bandwidth = device.bandwidth.value
    # Weights are moved once a batch, whichever layer they are of.
    layers = [(layer.macs / peak, layer_traffic(layer, precision, batch) / bandwidth) for layer in cost.layers]
    return Bound(
        device=device.name,
        network=cost.name,
        precision=precision,
        batch=batch,
        compute_ms=1e3 * cost.macs / peak,
        memory_ms=1e3 * cost.least_traffic(precision, batch) / bandwidth,
        layers_ms=1e3 * sum(map(max, layers)),
    )


def article_reached() -> list[Reached]:
    """Return what the article's times reached on its own GPU."""
    device = find_device(ARTICLE_DEVICE)
    reached = []
    for name, figure in ARTICLE_FIGURES.items():
        bound = lower_bound(device, network_cost(architecture_from_name(name)), "fp32")
        if bound is not None:
            reached.append(Reached(ARTICLE, "article", figure.ms, bound))
    return reached


def results_reached(results: Iterable[tuple[str, BenchmarkResult]]) -> tuple[list[Reached], list[str]]:
    """Return what results reached, and why the rest of them cannot be compared.

    Parameters
    ----------
    results
        With the name that a table gives each.

    Returns
    -------
    list of Reached
        One a row whose scope is the network's, in order.
    list of str
        A sentence for each row that has a time but no bound.
    """
    reached, apart = [], []
    for name, result in results:
        for row in result.rows:
            measured = median_ms(row) if row.scope in NET_SCOPES else None
            if measured is None:
                continue
            try:
                reached.append(Reached(f"{name}: {row.name}", row.scope, measured, _bound_of(row, result)))
            except InputError as error:
                apart.append(f"{name}: {row.name} has no lower bound: {error}")
    return reached, apart


def _bound_of(row: Row, result: BenchmarkResult) -> Bound:
    device = device_of(result.device)
    if device is None or row.device.lower() == "cpu":
        raise InputError("no datasheet of its device is known here")
    if row.network is None:
        raise InputError("it does not name its network; import it with --bundle")
    cost = network_cost(architecture_from_name(row.network.name), row.network.side)
    if row.network.macs not in (None, cost.macs):
        raise InputError(f"its {row.network.name} is another network than the one of that name here")
    if row.executed_precision is None:
        raise InputError("it does not say what was computed in")
    bound = lower_bound(device, cost, row.executed_precision, row.batch)  # type: ignore[arg-type]
    if bound is None:
        raise InputError(f"{device.name} has no {row.executed_precision}")
    return bound
