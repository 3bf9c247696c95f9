"""What a log of trtexec shows of the precision that was computed in."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from unetplus_runtime.engines.layer_report import convolutions, executed_precision

if TYPE_CHECKING:
    from unetplus_edge.manifest import Precision

_LAYER = re.compile(
    r"^(?:\[.*?\] \[I\] )?Name: (?P<name>.*?), LayerType: (?P<kind>\w+), Inputs: \[(?P<inputs>.*?)\], Outputs: \[.*$",
    re.MULTILINE,
)
_TENSOR_FLOAT_SINCE = 8


@dataclass(frozen=True)
class Run:
    """What decides how far a log can be believed.

    Attributes
    ----------
    compute_capability
        Of the GPU, such as "8.7".
    is_engine
        Whether a built engine was loaded: what trtexec prints of precision then is what it would
        build with, not what the engine was built with.
    allows_rounding
        Whether float32 may be multiplied as tf32, where the GPU has that.
    on_dla
        Whether a deep-learning accelerator was asked for, which has no fp32.
    allowed
        What the builder might choose from, such as "FP32+FP16".
    """

    compute_capability: str
    is_engine: bool
    allows_rounding: bool
    on_dla: bool
    allowed: str

    @property
    def may_round(self) -> bool:
        """Whether what has the type fp32 may have been computed in tf32."""
        has_it = int(self.compute_capability.partition(".")[0]) >= _TENSOR_FLOAT_SINCE
        return has_it and (self.is_engine or self.allows_rounding)


def shown_precision(text: str, run: Run) -> Precision | None:
    """Return the precision of most convolutions where the log shows it, or None.

    It is shown by the list of layers that `--profilingVerbosity=detailed --dumpLayerInfo` prints,
    or where the builder was allowed fp32 alone and cannot have rounded to tf32.

    Parameters
    ----------
    text
        The log.
    run
        What it says of the run.
    """
    layers = list(_LAYER.finditer(text))
    found = executed_precision(convolutions(json.dumps({"Layers": [_layer(layer) for layer in layers]})))
    if found == "fp32" and run.may_round:
        return "tf32" if _rounds(layers) else None
    if found is not None:
        return found
    return "fp32" if run.allowed == "FP32" and not (run.is_engine or run.on_dla or run.may_round) else None


def _rounds(layers: list[re.Match[str]]) -> bool:
    """Return whether most convolutions have a kernel that says tf32: types are the same with and without."""
    named = Counter(
        "tf32" in layer[0].partition("TacticName:")[2] for layer in layers if "convolution" in layer[0].lower()
    )
    return named[True] > named[False]


def _layer(found: re.Match[str]) -> dict[str, object]:
    """Return a line of the list of layers as the inspector's JSON has it."""
    line = found[0]
    # "Format/Datatype" up to TensorRT 10; "Format" and "Datatype" apart from 11 on.
    inputs = re.findall(r"Datatype: ([^,}]+)", found["inputs"])
    kind = re.search(r"ParameterType: (\w+)", line)
    weights = re.search(r'Weights: \{"Type": "(\w+)"', line)
    return {
        "Name": found["name"],
        "LayerType": found["kind"],
        "ParameterType": kind[1] if kind else "",
        "Inputs": [{"Datatype": value.strip()} for value in inputs],
        "Weights": {"Type": weights[1]} if weights else {},
    }
