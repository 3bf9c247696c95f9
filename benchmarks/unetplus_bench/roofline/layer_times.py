"""How long each layer of a network takes, by each backend's own profiler."""

from __future__ import annotations

from importlib import import_module
from statistics import median
from typing import TYPE_CHECKING, NamedTuple, Protocol

from unetplus_edge.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from unetplus_edge.architecture_layers import LayerCost
    from unetplus_edge.manifest import EngineName
    from unetplus_runtime.engines import EngineInfo


class PartTime(NamedTuple):
    """What a profiler tells of one part of a network, which may be a layer with what is fused into it.

    Attributes
    ----------
    name
        As the backend calls it.
    kind
        What computes it.
    seconds
        Of one patch: the median of all runs.
    nodes
        Nodes of the file that went into it, where the backend tells them.
    """

    name: str
    kind: str
    seconds: float
    nodes: tuple[str, ...] = ()


class _Profiler(Protocol):
    def __call__(self, info: EngineInfo, runs: int) -> list[PartTime]: ...


_PROFILERS: dict[EngineName, str] = {
    "onnxruntime": "unetplus_bench.roofline.layer_times_onnxruntime:part_times",
    "openvino": "unetplus_bench.roofline.layer_times_openvino:part_times",
    "tensorrt": "unetplus_bench.roofline.layer_times_tensorrt:part_times",
}
_WITHOUT: dict[EngineName, str] = {
    "litert": "the profiler of LiteRT is not part of its Python package",
    "keras": "Keras has no profiler of its own",
}
_SEPARATORS = "_/.: "


def part_times(info: EngineInfo, runs: int = 20) -> list[PartTime]:
    """Return the time of every part of an opened engine's network, in its order.

    The file is opened once more, with the library's profiler on and otherwise as the engine has it,
    and run on a random patch. Profiling itself takes time.

    Parameters
    ----------
    info
        Of the engine.
    runs
        Number of runs, after one that is not counted.

    Raises
    ------
    EngineError
        If the backend has no profiler.
    """
    if info.engine in _WITHOUT:
        raise EngineError(f"{_WITHOUT[info.engine]}; ask for layers of {', '.join(_PROFILERS)}")
    module, _, name = _PROFILERS[info.engine].partition(":")
    profiler: _Profiler = getattr(import_module(module), name)
    return profiler(info, runs)


def medians(runs: Sequence[Mapping[tuple[str, str], float]]) -> list[PartTime]:
    """Return the parts of several runs, each with the median of its times.

    Parameters
    ----------
    runs
        Seconds by name and kind, of every run; the first run has all parts.
    """
    return [PartTime(*part, median(run.get(part, 0.0) for run in runs)) for part in runs[0]] if runs else []


def by_layer(parts: Iterable[PartTime], layers: Iterable[LayerCost]) -> tuple[dict[str, float], list[PartTime]]:
    """Return seconds by layer, and the parts that belong to none, such as copies and concatenations.

    A part belongs to a layer whose name its own, or that of a node in it, begins with: `c1_0_relu` is
    what a backend calls the layer `c1_0_conv` with its activation.

    Parameters
    ----------
    parts
        As a profiler tells them.
    layers
        Of the same network.
    """
    stems = {layer.name.removesuffix("_conv"): layer.name for layer in layers}
    times: dict[str, float] = {}
    rest: list[PartTime] = []
    for part in parts:
        found = next(filter(None, (_stem(name, stems) for name in (part.name, *part.nodes))), None)
        if found is None:
            rest.append(part)
        else:
            times[stems[found]] = times.get(stems[found], 0.0) + part.seconds
    return times, rest


def _stem(name: str, stems: Iterable[str]) -> str | None:
    """Return the longest stem that a name begins with as a whole word or more, or None."""
    fitting = [stem for stem in stems if name == stem or (name.startswith(stem) and name[len(stem)] in _SEPARATORS)]
    return max(fitting, key=len, default=None)
