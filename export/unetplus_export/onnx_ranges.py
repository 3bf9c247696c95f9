"""The ranges that int8 spreads its steps over: of what every convolution of an ONNX graph reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from unetplus_export.onnx_graph import CONVOLUTIONS

if TYPE_CHECKING:
    import onnx
    from numpy.typing import NDArray

    from unetplus_edge.manifest import CalibrationMethod

_BINS = 2048
_LEVELS = 128
"""Magnitudes that symmetric int8 tells apart, zero among them."""

_PERCENTILE = 99.999


def activation_ranges(
    model: onnx.ModelProto, patches: NDArray[np.float32], method: CalibrationMethod
) -> dict[str, float]:
    """Return up to which magnitude the values that convolutions read are to be told apart.

    Patches go through one at a time, twice where a histogram is made, so that memory does not grow
    with their number.

    Parameters
    ----------
    model
        The graph, in float32.
    patches
        float32 in [0, 1], shape (n, side, side, 1), n at least 1.
    method
        "min-max": up to the largest. "percentile": up to what 99.999 % of the values do not
        exceed. "entropy": up to where the values, cut off there and rounded, are distributed most
        like what they were, by Kullback and Leibler's measure, as TensorRT's calibrator had it
        (Migacz 2017, "8-bit inference with TensorRT").

    Returns
    -------
    dict
        By the name of what is read.
    """
    names = sorted({node.input[0] for node in model.graph.node if node.op_type in CONVOLUTIONS})
    session = _observed(model, names)
    feed = model.graph.input[0].name
    largest = np.zeros(len(names), np.float32)
    for patch in patches:
        values = session.run(names, {feed: patch[None]})
        largest = np.maximum(largest, [np.abs(value).max() for value in values])
    if method == "min-max":
        return dict(zip(names, largest.tolist(), strict=True))
    histograms = np.zeros((len(names), _BINS), np.int64)
    for patch in patches:
        values = session.run(names, {feed: patch[None]})
        for histogram, value, limit in zip(histograms, values, largest, strict=True):
            # Several times as fast as numpy.histogram, which looks for edges.
            bins = (np.abs(value) * (_BINS / (limit or 1))).astype(np.int32)
            histogram += np.bincount(np.minimum(bins, _BINS - 1).ravel(), minlength=_BINS)
    choose = percentile_bins if method == "percentile" else entropy_bins
    return {
        name: float(limit) * choose(histogram) / _BINS
        for name, limit, histogram in zip(names, largest, histograms, strict=True)
    }


def _observed(model: onnx.ModelProto, names: list[str]) -> Any:
    """Return a session that gives what the convolutions read."""
    import onnx
    import onnxruntime

    observed = type(model)()
    observed.CopyFrom(model)
    del observed.graph.output[:]
    value = onnx.helper.make_tensor_value_info
    observed.graph.output.extend(value(name, onnx.TensorProto.FLOAT, None) for name in names)
    return onnxruntime.InferenceSession(observed.SerializeToString(), providers=["CPUExecutionProvider"])


def percentile_bins(histogram: NDArray[np.int64]) -> int:
    """Return how many bins, from zero on, hold 99.999 % of the values.

    >>> percentile_bins(np.array([10, 10, 0, 0]))
    2
    """
    return int(np.searchsorted(histogram.cumsum(), histogram.sum() * (_PERCENTILE / 100))) + 1


def entropy_bins(histogram: NDArray[np.int64]) -> int:
    """Return how many bins, from zero on, to keep so that rounding to 128 magnitudes changes the distribution least.

    Values past them are taken as the largest kept. The first bin is taken as full as the second,
    since zero, which activations give in plenty, is never rounded.
    """
    counts = histogram.astype(np.float64)
    counts[0] = counts[1]
    best, least = len(counts), np.inf
    for kept in range(_LEVELS, len(counts) + 1):
        before, there = counts[:kept].copy(), counts[:kept] > 0
        # Bins share the levels as equally as can be, and a level's values spread over its bins again.
        levels = np.arange(kept) * _LEVELS // kept
        spread = np.bincount(levels, before, _LEVELS) / np.maximum(np.bincount(levels, there, _LEVELS), 1)
        before[-1] += counts[kept:].sum()
        divergence = _divergence(before, np.where(there, spread[levels], 0))
        if divergence < least:
            best, least = kept, divergence
    return best


def _divergence(before: NDArray[np.float64], after: NDArray[np.float64]) -> float:
    """Return how much the second distribution tells of the first, after Kullback and Leibler: 0 where all."""
    there = before > 0
    if not (after[there] > 0).all():
        return float("inf")
    before, after = before[there] / before.sum(), after[there] / after.sum()
    return float(np.sum(before * np.log(before / after)))
