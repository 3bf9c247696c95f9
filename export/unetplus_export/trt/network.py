"""An ONNX file as TensorRT parses it, and the proof of its precision before anything is built."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from unetplus_edge.errors import ConversionError
from unetplus_runtime.engines.tensorrt_flavour import first_line

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from unetplus_edge.manifest import Precision
    from unetplus_runtime.engines.tensorrt_flavour import Flavour

_MOST_NAMED = 4


@dataclass(frozen=True)
class Network:
    """A parsed network.

    Attributes
    ----------
    file
        The ONNX file that it is of.
    image
        Name of its input.
    batch
        Patches a call; None for any number.
    patch_side
        Side of a patch in pixels.
    builder, parsed
        TensorRT's own; the builder must live as long as the network.
    """

    file: Path
    image: str
    batch: int | None
    patch_side: int
    builder: Any
    parsed: Any


@dataclass(frozen=True)
class Evidence:
    """What every convolution and deconvolution of a network is computed in.

    Attributes
    ----------
    proven
        Names of those in the precision asked for.
    kept
        Names of those that were stated to stay in another one.
    widened
        Names of the deconvolutions of an int8 engine that the library computes in another one,
        with it, though the network has them between Q/DQ pairs.
    """

    proven: tuple[str, ...]
    kept: tuple[str, ...]
    widened: tuple[str, ...] = ()


def parse(flavour: Flavour, onnx_file: Path) -> Network:
    """Return an ONNX file as TensorRT understands it.

    Raises
    ------
    ConversionError
        If TensorRT does not take it, with the reason it gives, or it is no network from float32
        patches to float32 patches.
    """
    logger = flavour.logger()
    builder = flavour.trt.Builder(logger)
    parsed = flavour.create_network(builder)
    parser = flavour.trt.OnnxParser(parsed, logger)
    if not parser.parse(onnx_file.read_bytes()):
        reason = _reason(parser, flavour)
        raise ConversionError(f"{onnx_file.name} is no network for {flavour.title}: {reason}; convert it again")
    return _network(flavour, onnx_file, builder, parsed)


def precision_evidence(flavour: Flavour, network: Network, precision: Precision, kept: tuple[str, ...]) -> Evidence:
    """Prove on the parsed network that its convolutions are in the precision asked for.

    For fp16 each has float16 output, for int8 each takes image and weights through Q/DQ pairs, for
    fp32 and tf32 each has float32 output and no Q/DQ pair before it.

    Parameters
    ----------
    flavour
        The library that parsed it.
    network
        The network; of a weakly typed one, what its layers ask for counts.
    precision
        Asked for.
    kept
        Layers that are stated to stay out of it, as `is_of_layer` takes them.

    Raises
    ------
    ConversionError
        If any other convolution is not in it, or none is.
    """
    makers = {output.name: layer for layer in _layers(network.parsed) for output in _outputs(layer)}
    proven, stated, others = [], [], []
    for layer in convolution_layers(flavour, network):
        if any(is_of_layer(layer.name, name) for name in kept):
            stated.append(layer.name)
        elif _is_in(precision, layer, makers, flavour):
            proven.append(layer.name)
        else:
            others.append(layer.name)
    require_proof(network.file.name, precision, len(proven), others)
    return Evidence(tuple(proven), tuple(stated))


def require_proof(name: str, precision: Precision, proven: int, others: list[str]) -> None:
    """Refuse a network with convolutions in another precision than its name says, or with none in it.

    Raises
    ------
    ConversionError
        Naming them.
    """
    if others:
        more = f" and {len(others) - _MOST_NAMED} more" if len(others) > _MOST_NAMED else ""
        raise ConversionError(
            f"{name} is not {precision}: {len(others)} of its {len(others) + proven} convolutions are not "
            f"({', '.join(others[:_MOST_NAMED])}{more}); convert it again"
        )
    if not proven:
        raise ConversionError(f"{name} is not {precision}: it has no convolution that could be; convert it again")


def convolution_layers(flavour: Flavour, network: Network) -> Iterator[Any]:
    """Give the convolutions and deconvolutions of a network."""
    kinds = (flavour.trt.LayerType.CONVOLUTION, flavour.trt.LayerType.DECONVOLUTION)
    return (layer for layer in _layers(network.parsed) if layer.type in kinds)


def is_of_layer(node: str, layer: str) -> bool:
    """Return whether a node of the graph was made of a layer of the Keras model, by their names.

    >>> is_of_layer("tiny/conv_1/convolution", "conv_1"), is_of_layer("tiny/conv_11/convolution", "conv_1")
    (True, False)
    """
    return re.search(rf"(?<![A-Za-z0-9_]){re.escape(layer)}(?![A-Za-z0-9_])", node) is not None


def _network(flavour: Flavour, file: Path, builder: Any, parsed: Any) -> Network:
    ends = [parsed.get_input(number) for number in range(parsed.num_inputs)]
    ends += [parsed.get_output(number) for number in range(parsed.num_outputs)]
    shapes = {tuple(end.shape) for end in ends}
    shape = next(iter(shapes), ())
    is_ours = (
        (parsed.num_inputs, parsed.num_outputs, len(shapes)) == (1, 1, 1)
        and len(shape) == 4
        and shape[1] == shape[2] > 0
        and shape[3] == 1
        and all(end.dtype == flavour.trt.DataType.FLOAT for end in ends)
    )
    if not is_ours:
        found = "; ".join(f"{end.name} {tuple(end.shape)} {str(end.dtype).rpartition('.')[2].lower()}" for end in ends)
        raise ConversionError(
            f"{file.name} has inputs and outputs {found or 'none'}, where float32 patches of shape (n, side, side, 1) "
            "should go in and come out; convert it again: unetplus-export BUNDLE --target onnx"
        )
    return Network(file, ends[0].name, None if shape[0] < 0 else shape[0], shape[1], builder, parsed)


def _reason(parser: Any, flavour: Flavour) -> str:
    if not parser.num_errors:
        return flavour.first_error()
    flavour.logger().errors.clear()
    error = parser.get_error(0)
    lines = [line for line in error.desc().splitlines() if not line.startswith("Invalid Node")]
    return flavour.refused_node(error) + first_line("\n".join(lines))


def _layers(parsed: Any) -> Iterator[Any]:
    return (parsed.get_layer(number) for number in range(parsed.num_layers))


def _outputs(layer: Any) -> Iterator[Any]:
    return (layer.get_output(number) for number in range(layer.num_outputs))


def _is_in(precision: Precision, layer: Any, makers: dict[str, Any], flavour: Flavour) -> bool:
    image, weights = _is_quantised(layer, 0, makers, flavour), _is_quantised(layer, 1, makers, flavour)
    if precision == "int8":
        return image and weights
    if image or weights:
        return False
    if precision == "fp16":
        return flavour.asks_for_half(layer)
    return bool(layer.get_output(0).dtype == flavour.trt.DataType.FLOAT)


def _is_quantised(layer: Any, number: int, makers: dict[str, Any], flavour: Flavour) -> bool:
    """Return whether an input of a layer comes through a quantise and a dequantise layer."""
    kinds = flavour.trt.LayerType
    found = _before(layer, number, makers)
    # What moves values without changing them may stand between: TensorRT swaps it with the pair.
    while found is not None and found.type == kinds.SHUFFLE:
        found = _before(found, 0, makers)
    if found is None or found.type != kinds.DEQUANTIZE:
        return False
    before = _before(found, 0, makers)
    return before is not None and before.type in (kinds.QUANTIZE, kinds.CONSTANT)


def _before(layer: Any, number: int, makers: dict[str, Any]) -> Any:
    tensor = layer.get_input(number) if number < layer.num_inputs else None
    return None if tensor is None else makers.get(tensor.name)
