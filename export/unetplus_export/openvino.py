"""OpenVINO: an IR file (`.xml`) and its weights (`.bin`), for Intel's and other CPUs."""

from __future__ import annotations

from collections import Counter
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import unetplus_edge
from unetplus_edge.errors import ConversionError
from unetplus_edge.files import whole_file
from unetplus_export.conversion import Converted
from unetplus_export.openvino_fp16 import full_precision, halve
from unetplus_export.openvino_int8 import higher_precision, quantised
from unetplus_export.openvino_model import float_model, name_nodes
from unetplus_runtime.engines.openvino import import_openvino

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from unetplus_edge.manifest import Precision
    from unetplus_export.conversion import Request

METADATA = "unetplus_edge"
"""Where a file's `rt_info` says what it was made of."""

_KEPT: dict[Precision, Callable[[Any], tuple[str, ...]]] = {
    "fp32": lambda model: (),
    "fp16": full_precision,
    "int8": higher_precision,
}
"""What tells the layers of a written file that are in a higher precision than it is."""

_NO_OPERATORS = ("Parameter", "Constant", "Result")


def convert_openvino(request: Request, destination: Path) -> Converted:
    """Write a bundle's Keras model as OpenVINO IR.

    Weights are stored as float32, as float16 but for the layers that are kept, or as int8 by NNCF's
    quantisation after training.
    Input and output are float32 and bear the bundle's names. With the same versions of the tools
    the same request makes the same files, byte for byte.

    Parameters
    ----------
    request
        What to convert.
    destination
        The `.xml` file; the weights go beside it, under the same name with the suffix `.bin`.

    Raises
    ------
    ConversionError
        If the network has an operator that OpenVINO has not, or the precision cannot be had as asked.
    """
    if request.precision not in _KEPT:
        raise ConversionError(f"OpenVINO files are written in {', '.join(_KEPT)}, not in {request.precision}")
    ov = import_openvino()
    model = float_model(request)
    if request.precision == "int8":
        model = quantised(request, model)
    elif request.precision == "fp16":
        halve(request, model)
    if request.precision != "fp32":
        name_nodes(model)
    manifest = request.bundle.manifest
    model.reshape({manifest.input.name: [request.batch or -1, request.patch_side, request.patch_side, 1]})
    _describe(model, request)
    weights = destination.with_suffix(".bin")
    with whole_file(destination) as unfinished, whole_file(weights):
        # The weights are written beside the file, under its stem: where the second block waits for them.
        ov.save_model(model, unfinished, compress_to_fp16=False)
        written = ov.Core().read_model(unfinished)
        operators = Counter(node.get_type_name() for node in written.get_ops())
        kept = _KEPT[request.precision](written)
        # The weights get their name first. Without an earlier file there is never one of another's weights.
        destination.unlink(missing_ok=True)
    tools = ("openvino", "tensorflow", "keras", *(("nncf",) if request.precision == "int8" else ()))
    return Converted(
        tools={name: version(name) for name in tools},
        companions=(weights.name,),
        operators={name: operators[name] for name in sorted(operators) if name not in _NO_OPERATORS},
        higher_precision=kept,
    )


def _describe(model: Any, request: Request) -> None:
    manifest = request.bundle.manifest
    facts = {
        "bundle": manifest.name,
        "keras_sha256": manifest.keras_sha256,
        "version": unetplus_edge.__version__,
        "precision": request.precision,
    }
    if request.precision == "int8" and request.calibration:
        facts |= {
            "calibration": request.calibration.source,
            "calibration_sha256": request.calibration.sha256,
            "calibration_method": request.method,
        }
    for name, fact in facts.items():
        model.set_rt_info(fact, [METADATA, name])
