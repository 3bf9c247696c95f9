"""A float32 ONNX graph as int8, quantised in the way that TensorRT computes, by onnxruntime's tools."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np

from unetplus_edge.errors import ConversionError
from unetplus_export.calibration import required_patches
from unetplus_export.layer_losses import some_of, worst_first
from unetplus_export.onnx_answers import answers
from unetplus_export.onnx_graph import CONVOLUTIONS, name_batch
from unetplus_export.onnx_ranges import activation_ranges

if TYPE_CHECKING:
    from collections.abc import Sequence

    import onnx
    from numpy.typing import NDArray

    from unetplus_export.conversion import Request

_SHOWN = 4
"""Patches that a layer's error is taken of."""


def quantised(model: onnx.ModelProto, request: Request) -> tuple[onnx.ModelProto, tuple[str, ...]]:
    """Return a graph with int8 convolutions, and the names of those that are left out.

    In front of every convolution its input and its weights are quantised and dequantised again
    (Q/DQ), each pair for one convolution only, symmetrically: int8 with zero point 0, one scale for
    an input, one a channel for weights. Biases stay as they are, and so does what a convolution
    gives: TensorRT joins the activation to it and quantises what comes out of that. To quantise
    between the two as well would spend half of the range on values that the activation drops.

    Left out are the convolution that gives the answer, with its sigmoid, and what the request keeps.

    Parameters
    ----------
    model
        Float32, whose nodes bear the names of the Keras layers; not changed.
    request
        With patches to calibrate on.

    Raises
    ------
    ConversionError
        If there is nothing to calibrate on, or what is to be kept is no convolution.
    """
    import onnx
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    patches = required_patches(request)
    left_out = _left_out(model, request.keep)
    ranges = activation_ranges(model, patches, request.method)
    prepared = type(model)()
    prepared.CopyFrom(model)
    # Said of a graph whose batch norms are folded and whose shapes are known, or onnxruntime asks for it.
    prepared.metadata_props.add(key="onnx.quant.pre_process", value="onnxruntime.quant")
    with TemporaryDirectory() as folder:
        file = Path(folder) / "model.onnx"
        quantize_static(
            prepared,
            file,
            _Patches(model.graph.input[0].name, patches[:1]),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=sorted(CONVOLUTIONS),
            nodes_to_exclude=list(left_out),
            per_channel=True,
            activation_type=QuantType.QInt8,
            weight_type=QuantType.QInt8,
            extra_options={
                "ActivationSymmetric": True,
                "WeightSymmetric": True,
                "AddQDQPairToWeight": True,
                "DedicatedQDQPair": True,
                "QuantizeBias": False,
                "OpTypesToExcludeOutputQuantization": sorted(CONVOLUTIONS),
                # Its own ranges would hold the tensors of all patches in memory at once.
                "TensorQuantOverrides": {
                    name: [{"rmin": np.float32(-limit), "rmax": np.float32(limit)}] for name, limit in ranges.items()
                },
            },
        )
        return onnx.load(file), left_out


class _Patches:
    """Patches as onnxruntime's tools read them."""

    def __init__(self, name: str, patches: NDArray[np.float32]) -> None:
        self._feeds = iter([{name: patch[None]} for patch in patches])

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        return next(self._feeds, None)


def _left_out(model: onnx.ModelProto, keep: Sequence[str]) -> tuple[str, ...]:
    convolutions = [node.name for node in model.graph.node if node.op_type in CONVOLUTIONS]
    unknown = sorted(set(keep) - set(convolutions))
    if unknown:
        raise ConversionError(
            f"{', '.join(unknown)} cannot be kept out of int8, being no convolution of the network; it has "
            f"{', '.join(convolutions)}"
        )
    # The last one gives the answer: its steps would be seen in every probability.
    return tuple(name for name in convolutions if name in keep or name == convolutions[-1])


def layer_errors(request: Request, file: Path) -> list[tuple[str, float]]:
    """Return how much int8 disturbs the answer in each layer alone, worst first.

    For every quantised convolution all others get their values unrounded, and the answer is
    compared with the one where none is rounded.

    Parameters
    ----------
    request
        What the file was made for; four of its calibration patches, spread over the set, are shown.
    file
        A file that this target wrote in int8.

    Returns
    -------
    list of (str, float)
        Layers by their names in the Keras model, with the ratio of signal to noise of the
        probabilities in dB; infinite where nothing changes.
    """
    import onnx

    model = onnx.load(file)
    name_batch(model, None)
    shown = some_of(required_patches(request), _SHOWN)
    layers = _unrounded_inputs(model)
    alone = ((name, _rounding(model, layers, name)) for name in layers)
    return worst_first(lambda network: answers(network, shown), _rounding(model, layers, None), alone)


def _unrounded_inputs(model: onnx.ModelProto) -> dict[str, dict[int, str]]:
    """Return, for every quantised convolution, what goes into its Q/DQ pairs, by the place of its input."""
    producers = {output: node for node in model.graph.node for output in node.output}
    found: dict[str, dict[int, str]] = {}
    for node in model.graph.node:
        for place, name in enumerate(node.input):
            source = producers.get(name)
            if node.op_type in CONVOLUTIONS and source is not None and source.op_type == "DequantizeLinear":
                found.setdefault(node.name, {})[place] = producers[source.input[0]].input[0]
    return found


def _rounding(model: onnx.ModelProto, layers: dict[str, dict[int, str]], only: str | None) -> onnx.ModelProto:
    """Return the graph with the Q/DQ pairs of one layer only, or of none."""
    changed = type(model)()
    changed.CopyFrom(model)
    for node in changed.graph.node:
        if node.name in layers and node.name != only:
            for place, name in layers[node.name].items():
                node.input[place] = name
    return changed
