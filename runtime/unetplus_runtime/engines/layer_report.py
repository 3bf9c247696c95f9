"""What engine inspectors of TensorRT 8, 10 and 11, and the builder of TensorRT-RTX, say of convolutions."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from unetplus_edge.manifest import Precision

_TYPES: tuple[tuple[tuple[str, ...], Precision], ...] = (
    (("int8",), "int8"),
    (("bf16", "bfloat16"), "bf16"),
    (("fp16", "half"), "fp16"),
    (("fp32", "float"), "fp32"),
)
# "correlation" is how the compiler of TensorRT 11 and TensorRT-RTX calls a convolution.
_KINDS = ("conv", "correlation")
_LINE = re.compile(
    r"^Name: (?P<name>.*?), LayerType: (?P<kind>.*?), Inputs: \[(?P<inputs>.*?)\], Constants: "
    r".*Metadata: (?P<metadata>.*)$",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Convolution:
    """A convolution or deconvolution of a built engine.

    Attributes
    ----------
    name
        Of the engine's layer.
    precision
        What it computes in; None where the report does not say.
    is_transposed
        Whether it is a deconvolution.
    nodes
        Names of the graph's nodes that went into it, as the report has them.
    """

    name: str
    precision: Precision | None
    is_transposed: bool = False
    nodes: str = ""


def convolutions(report: str) -> tuple[Convolution, ...]:
    """Return the convolutions and deconvolutions of an engine, in its order.

    Parameters
    ----------
    report
        The inspector's, as JSON, of an engine built with detailed profiling.

    Examples
    --------
    >>> convolutions('''{"Layers": [{"Name": "down", "LayerType": "CaskConvolution",
    ...     "Inputs": [{"Name": "x", "Format/Datatype": "Channel major FP16 format"}]}]}''')
    (Convolution(name='down', precision='fp16', is_transposed=False, nodes='down'),)
    """
    # An engine without detailed profiling has names in place of layers.
    layers = [layer for layer in json.loads(report).get("Layers", []) if isinstance(layer, dict)]
    return _convolutions(layers)


def built_convolutions(report: str) -> tuple[Convolution, ...]:
    """Return the convolutions and deconvolutions of an engine by what its builder lists.

    Parameters
    ----------
    report
        One line a layer, as `Flavour.builder_report` gives it.
    """
    return _convolutions([_layer_of_line(found) for found in _LINE.finditer(report)])


def executed_precision(found: tuple[Convolution, ...]) -> Precision | None:
    """Return what most convolutions compute in; None where the report does not say."""
    counts = Counter(convolution.precision for convolution in found if convolution.precision)
    return counts.most_common(1)[0][0] if counts else None


def _convolutions(layers: list[dict[str, Any]]) -> tuple[Convolution, ...]:
    kinds = [f"{layer.get('LayerType', '')} {layer.get('ParameterType', '')}".lower() for layer in layers]
    return tuple(
        Convolution(_name(layer), _precision(layer), "deconv" in kind, _nodes(layer))
        for layer, kind in zip(layers, kinds, strict=True)
        if any(name in kind for name in _KINDS)
    )


def _layer_of_line(line: re.Match[str]) -> dict[str, Any]:
    """Return a layer of the builder's list as the inspector has it."""
    types = re.findall(r"Datatype: (\w+)", line["inputs"])
    return {
        "Name": line["name"],
        "LayerType": line["kind"],
        "Inputs": [{"Datatype": kind} for kind in types],
        "Metadata": line["metadata"],
    }


def _name(layer: dict[str, Any]) -> str:
    # The compiler numbers what it makes of a node.
    return re.sub(r"_myl\d+_\d+$", "", layer.get("Name", ""))


def _nodes(layer: dict[str, Any]) -> str:
    return " ".join(filter(None, (_name(layer), layer.get("Metadata", ""))))


def _precision(layer: dict[str, Any]) -> Precision | None:
    inputs = layer.get("Inputs") or [{}]
    image, weights = _tensor_type(inputs[0]), _type(str((layer.get("Weights") or {}).get("Type", "")))
    if "int8" in (image, weights):
        # Weights in int8 alone are widened before they are multiplied.
        return "int8" if image == "int8" else image
    # A kernel may take a float32 image and narrow it itself.
    return next((kind for kind in ("fp16", "bf16") if kind in (image, weights)), image or weights)


def _tensor_type(tensor: dict[str, Any]) -> Precision | None:
    # "Format/Datatype" up to TensorRT 10; "Format" and "Datatype" apart from 11 on.
    return next((_type(str(value)) for key, value in tensor.items() if key.lower().endswith("datatype")), None)


def _type(text: str) -> Precision | None:
    return next((kind for names, kind in _TYPES if any(name in text.lower() for name in names)), None)
