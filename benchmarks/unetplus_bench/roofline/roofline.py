"""Where a network stands below this machine's roofs: what its layers could reach at most, and what they do.

The roofs are measured, not a datasheet's: what the machine computes at most in a precision, and what it
moves between memory and cores. A layer takes at least the longer of computing and of moving its input,
output and weights. Caches can hold the output of one layer until the next reads it, so that a layer may
beat the roof of the memory; none beats that of computing, unless by an algorithm with fewer products.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

import numpy as np

from unetplus_bench.roofline.layer_costs import layer_traffic
from unetplus_bench.roofline.layer_times import by_layer, part_times
from unetplus_edge.errors import UnetPlusError
from unetplus_runtime.engines import open_engine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from unetplus_bench.roofline.layer_costs import NetworkCost
    from unetplus_bench.roofline.layer_times import PartTime
    from unetplus_bench.roofline.peaks import Peaks
    from unetplus_edge.architecture_layers import LayerCost
    from unetplus_edge.bundle import Bundle
    from unetplus_edge.manifest import EngineName, Precision
    from unetplus_runtime.engines import Engine

_WARM_CALLS = 2


@dataclass(frozen=True)
class Roof:
    """The least time of a piece of work.

    Attributes
    ----------
    computing, moving
        Seconds of its multiply-accumulates at the machine's best rate, and of its bytes.
    """

    computing: float
    moving: float

    @property
    def seconds(self) -> float:
        """The longer of the two."""
        return max(self.computing, self.moving)

    @property
    def limit(self) -> str:
        """What is the longer: "computing" or "memory"."""
        return "computing" if self.computing >= self.moving else "memory"


@dataclass(frozen=True)
class LayerRoof:
    """A layer below its roof.

    Attributes
    ----------
    layer
        What it computes and moves.
    roof
        Its least time.
    seconds
        What it takes, by the backend's profiler; None where that does not name it.
    """

    layer: LayerCost
    roof: Roof
    seconds: float | None


@dataclass(frozen=True)
class EngineRoof:
    """What a backend reaches.

    Attributes
    ----------
    engine, library, stored, executed
        What computed, and in which precision.
    seconds
        Median of one patch; None where it failed.
    roof
        Least time of all layers, one after the other; None where there is no peak for the precision.
    error
        Why there is no time, or no roof, in one sentence.
    layers
        Where they were asked for and the backend can tell them.
    between
        What the profiler names beside the layers, such as copies and concatenations.
    without_layers
        Why there are none.
    """

    engine: str
    library: str
    stored: str
    executed: str
    seconds: float | None = None
    roof: float | None = None
    error: str | None = None
    layers: tuple[LayerRoof, ...] = ()
    between: tuple[PartTime, ...] = ()
    without_layers: str | None = None

    @property
    def fraction(self) -> float | None:
        """Of the roof: 1 is as fast as this machine can be."""
        return None if self.seconds is None or self.roof is None else self.roof / self.seconds


def roof_of(layer: LayerCost, precision: Precision, peaks: Peaks) -> Roof | None:
    """Return the least time of a layer, or None where no peak was measured for the precision."""
    if precision not in peaks.compute:
        return None
    return Roof(layer.macs / peaks.compute[precision].rate, layer_traffic(layer, precision) / peaks.memory.rate)


def choices(bundle: Bundle) -> list[tuple[EngineName, Precision]]:
    """Return what the bundle has verified for backends that compute on the CPU, each once."""
    found = [
        (verification.engine, verification.executed_precision)
        for record in bundle.manifest.conversions
        for verification in record.verifications
        if verification.verified
    ]
    return list(dict.fromkeys(found))


def engine_roofs(
    bundle: Bundle,
    chosen: Iterable[tuple[EngineName, Precision]],
    cost: NetworkCost,
    peaks: Peaks,
    *,
    rounds: int = 10,
    per_layer: bool = False,
    done: Callable[[], None] = lambda: None,
) -> list[EngineRoof]:
    """Time backends in turns, one patch a call, and return what each reaches.

    Parameters
    ----------
    bundle
        The model.
    chosen
        Backends with the precision to compute in.
    cost
        Of the model's network.
    peaks
        Of this machine; its number of threads is that of the backends.
    rounds
        Times that every backend has its turn, of one call each.
    per_layer
        Whether each backend's profiler is asked too.
    done
        Called after every backend, `rounds` times and once more.
    """
    runs = rounds if per_layer else 0
    opened = [(name, precision, _opened(bundle, name, precision, peaks.threads)) for name, precision in chosen]
    engines = [engine for _, _, engine in opened if not isinstance(engine, UnetPlusError)]
    try:
        times = _in_turns(engines, rounds, done)
        reached = []
        for name, precision, engine in opened:
            if isinstance(engine, UnetPlusError):
                reached.append(EngineRoof(name, "-", "-", precision, error=str(engine)))
            else:
                reached.append(_reached(engine, median(times[id(engine)]), cost, peaks, runs=runs))
            done()
        return reached
    finally:
        for engine in engines:
            engine.close()


def _opened(bundle: Bundle, name: EngineName, precision: Precision, threads: int) -> Engine | UnetPlusError:
    try:
        return open_engine(bundle, name, threads=threads, execution=precision)
    except UnetPlusError as error:
        return error


def _in_turns(engines: Sequence[Engine], rounds: int, done: Callable[[], None]) -> dict[int, list[float]]:
    times: dict[int, list[float]] = {id(engine): [] for engine in engines}
    for number in range(-_WARM_CALLS, rounds):
        for engine in engines:
            patch = np.random.default_rng(0).random((1, engine.info.patch_side, engine.info.patch_side, 1), np.float32)
            start = time.perf_counter()
            engine.infer(patch)
            if number >= 0:
                times[id(engine)].append(time.perf_counter() - start)
                done()
    return times


def _reached(engine: Engine, seconds: float, cost: NetworkCost, peaks: Peaks, *, runs: int) -> EngineRoof:
    """Return what an engine reaches, with its layers where there are runs for its profiler."""
    info = engine.info
    roofs = [roof_of(layer, info.executed_precision, peaks) for layer in cost.layers]
    known = [roof for roof in roofs if roof is not None]
    error = None if known else f"no peak of {info.executed_precision}: {_refusal(info.executed_precision, peaks)}"
    layers: tuple[LayerRoof, ...] = ()
    between: tuple[PartTime, ...] = ()
    without = None
    if runs and known:
        try:
            named, rest = by_layer(part_times(info, runs), cost.layers)
        except UnetPlusError as failure:
            without = str(failure)
        else:
            layers = tuple(
                LayerRoof(layer, roof, named.get(layer.name)) for layer, roof in zip(cost.layers, known, strict=True)
            )
            between = tuple(rest)
    return EngineRoof(
        info.engine,
        f"{info.library} {info.library_version}",
        info.stored_precision,
        info.executed_precision,
        seconds,
        sum(roof.seconds for roof in known) if known else None,
        error,
        layers,
        between,
        without,
    )


def _refusal(precision: Precision, peaks: Peaks) -> str:
    return peaks.refusals.get(precision, "it was not measured")
