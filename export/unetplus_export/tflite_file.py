"""What is in a TFLite file: its operators, their precision, the Keras layers that they compute; and its answers."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple

from unetplus_runtime.engines.litert import LiteRTEngine

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

CONVOLUTIONS = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV"})
"""Operators that hold a kernel, which is their second input."""


class Operator(NamedTuple):
    """An operator, in the order of computation.

    Attributes
    ----------
    kind
        As TFLite calls it: CONV_2D.
    output
        Name of the tensor that it writes.
    computed, weights
        Types of that tensor and, for a convolution, of its kernel: INT8, FLOAT32; FLOAT16 where it
        is stored so and widened before use.
    layers
        Layers of the Keras model that it computes, in the order of the model: a convolution with
        the batch norm and the ReLU that became part of it.
    ends
        Whether it writes the output of the network.
    """

    kind: str
    output: str
    computed: str
    weights: str | None
    layers: tuple[str, ...]
    ends: bool


def operator_counts(content: bytes) -> dict[str, int]:
    """Return how often each operator is in a TFLite file, by name; those of TensorFlow begin with "Flex"."""
    return dict(sorted(Counter(operator.kind for operator in operators(content)).items()))


def custom_operators(content: bytes) -> list[str]:
    """Return the names of the operators in a TFLite file that interpreters do not have of their own, sorted."""
    from ai_edge_litert import schema_py_generated as schema

    model = schema.Model.GetRootAs(content)
    names = (model.OperatorCodes(number).CustomCode() for number in range(model.OperatorCodesLength()))
    return sorted({name.decode() for name in names if name})


def operators(content: bytes, layers: Sequence[str] = ()) -> list[Operator]:
    """Return the operators of a TFLite file.

    TensorFlow names a tensor after the layers that it was made of. An operator whose tensor bears
    no such name has the layers of its kernel, and without those the ones of its first input.

    Parameters
    ----------
    content
        Of the file.
    layers
        Names of the layers of the Keras model that it was made of, in the model's order.
    """
    from ai_edge_litert import schema_py_generated as schema

    kinds, types = (
        {value: name for name, value in vars(group).items() if isinstance(value, int)}
        for group in (schema.BuiltinOperator, schema.TensorType)
    )
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content))
    (graph,) = model.subgraphs
    names = [tensor.name.decode() for tensor in graph.tensors]
    order = {layer: number for number, layer in enumerate(layers)}
    made_of: dict[int, tuple[str, ...]] = {}
    halves: set[int] = set()
    found = []
    for operator in graph.operators:
        code = model.operatorCodes[operator.opcodeIndex]
        kind = code.customCode.decode() if code.customCode else kinds[code.builtinCode]
        output, inputs = operator.outputs[0], [number for number in operator.inputs if number >= 0]
        kernel = operator.inputs[1] if kind in CONVOLUTIONS else None
        own = _layers_in(names[output], order) or (() if kernel is None else _layers_in(names[kernel], order))
        made_of[output] = own or next((made_of[number] for number in inputs if number in made_of), ())
        if kind == "DEQUANTIZE" and types[graph.tensors[inputs[0]].type] == "FLOAT16":
            halves.add(output)
        found.append(
            Operator(
                kind,
                names[output],
                types[graph.tensors[output].type],
                None if kernel is None else "FLOAT16" if kernel in halves else types[graph.tensors[kernel].type],
                made_of[output],
                output in graph.outputs,
            )
        )
    return found


def layers_out_of_int8(operators: Iterable[Operator]) -> tuple[str, ...]:
    """Return what does not compute in int8, in order.

    Returns
    -------
    tuple of str
        Names of layers of the Keras model, by the first one where several became an operator;
        followed by an operator's kind, as in `c1_conv:ELU`, where the rest of the layer is int8.
    """
    computing = [operator for operator in operators if operator.kind not in ("QUANTIZE", "DEQUANTIZE")]
    in_int8 = {_name(operator) for operator in computing if operator.computed == "INT8"}
    return tuple(
        dict.fromkeys(
            f"{_name(operator)}:{operator.kind}" if _name(operator) in in_int8 else _name(operator)
            for operator in computing
            if operator.computed != "INT8"
        )
    )


def answers(content: bytes, patches: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return what LiteRT answers with a TFLite file."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "model.tflite"
        file.write_bytes(content)
        with LiteRTEngine(file) as engine:
            return engine.infer(patches).copy()


def _name(operator: Operator) -> str:
    return operator.layers[0] if operator.layers else operator.output


def _layers_in(name: str, order: Mapping[str, int]) -> tuple[str, ...]:
    """Return the layers that a tensor is named after.

    >>> order = {"c1_conv": 0, "c1_relu": 1}
    >>> _layers_in("net_1/c1_relu_1/Relu;net_1/c1_conv_1/convolution", order)
    ('c1_conv', 'c1_relu')
    """
    # TensorFlow numbers a name that it met before.
    parts = re.split("[/;]", name)
    met = {part if part in order else re.sub(r"_\d+$", "", part) for part in parts}
    return tuple(sorted(met & order.keys(), key=order.__getitem__))
