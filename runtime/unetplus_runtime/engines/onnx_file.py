"""What an ONNX file stores its weights in, read from the file itself: edge boxes have no `onnx` package."""

from __future__ import annotations

import re
from collections import Counter
from math import prod
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from unetplus_edge.manifest import Precision

# Numbers of fields in onnx.proto, which never change.
_MODEL_GRAPH = 7
_GRAPH_NODE, _GRAPH_INITIALIZER = 1, 5
_NODE_OPERATOR, _NODE_ATTRIBUTE = 4, 5
_ATTRIBUTE_TENSOR = 5
_TENSOR_DIMENSIONS, _TENSOR_TYPE = 1, 2

_QUANTISED = re.compile(rb"uantizeLinear$|^QLinear|Integer$")
_FLOATS: dict[int, Precision] = {1: "fp32", 10: "fp16", 16: "bf16"}

_VARINT, _EIGHT_BYTES, _LENGTH, _FOUR_BYTES = 0, 1, 2, 5


class StoredPrecision(NamedTuple):
    """What a file stores its weights in.

    Attributes
    ----------
    weights
        int8 where they are quantised, or are so as soon as the file is loaded (Q/DQ).
    remainder
        Of what is in floating point.
    """

    weights: Precision
    remainder: Precision


def stored_precision(path: Path) -> StoredPrecision:
    """Return what an ONNX file stores its weights in.

    The float type that most values have counts; a file without any counts as fp32.

    Parameters
    ----------
    path
        A whole file, such as a library has opened already.

    Raises
    ------
    ValueError
        If it is no ONNX file.
    """
    values: Counter[int] = Counter()
    quantised = False
    for graph in _parts(memoryview(path.read_bytes()), _MODEL_GRAPH):
        for tensor in _parts(graph, _GRAPH_INITIALIZER):
            values += _size(tensor)
        for node in _parts(graph, _GRAPH_NODE):
            quantised |= any(_QUANTISED.search(bytes(name)) for name in _parts(node, _NODE_OPERATOR))
            for attribute in _parts(node, _NODE_ATTRIBUTE):
                for tensor in _parts(attribute, _ATTRIBUTE_TENSOR):
                    values += _size(tensor)
    floats = Counter({_FLOATS[kind]: count for kind, count in values.items() if kind in _FLOATS})
    remainder: Precision = floats.most_common(1)[0][0] if floats else "fp32"
    return StoredPrecision("int8" if quantised else remainder, remainder)


def _size(tensor: memoryview) -> Counter[int]:
    """Return the number of values of a tensor under the number of their type."""
    kind, dimensions = 0, []
    for field, value in _fields(tensor):
        if field == _TENSOR_TYPE and isinstance(value, int):
            kind = value
        elif field == _TENSOR_DIMENSIONS:
            dimensions += [value] if isinstance(value, int) else _packed(value)
    return Counter({kind: prod(dimensions)})


def _parts(message: memoryview, wanted: int) -> Iterator[memoryview]:
    for field, value in _fields(message):
        if field == wanted and isinstance(value, memoryview):
            yield value


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Yield the fields of a protocol-buffer message by their numbers."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        kind = key & 7
        if kind == _VARINT:
            number, at = _varint(message, at)
            yield key >> 3, number
            continue
        length = {_EIGHT_BYTES: 8, _FOUR_BYTES: 4}.get(kind, -1)
        if kind == _LENGTH:
            length, at = _varint(message, at)
        if length < 0 or at + length > len(message):
            raise ValueError("it is no ONNX file, or not a whole one")
        yield key >> 3, message[at : at + length]
        at += length


def _packed(values: memoryview) -> list[int]:
    at, found = 0, []
    while at < len(values):
        value, at = _varint(values, at)
        found.append(value)
    return found


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(message):
        byte = message[at]
        value |= (byte & 0x7F) << shift
        shift, at = shift + 7, at + 1
        if byte < 0x80:
            return value, at
    raise ValueError("it is no ONNX file, or not a whole one")
