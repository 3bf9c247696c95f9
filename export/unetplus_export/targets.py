"""The formats that a bundle's Keras model is converted to, and what runs each."""

from __future__ import annotations

from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple, Protocol
from zipfile import ZipFile

if TYPE_CHECKING:
    from collections.abc import Iterator

    from unetplus_edge.manifest import CalibrationMethod, EngineName, Precision, Target
    from unetplus_export.conversion import Convert, Request

    class LayerErrors(Protocol):
        """The function of a target that says which layers a precision harms most."""

        def __call__(self, request: Request, file: Path) -> list[tuple[str, float]]:
            """Return layers of the Keras model with their signal to noise in dB, worst first."""
            ...


PACKAGED_NETWORK = "model.onnx"
"""Name of the network in a bioimage.io package that engines here open."""


class TargetKind(NamedTuple):
    """What is known of a target.

    Attributes
    ----------
    module
        Where its function `convert_TARGET` is.
    suffix
        Of its files.
    engines
        What runs them. The first has to keep the limits; the others are measured beside it.
    precisions
        Of the weights.
    methods
        How int8 ranges can be taken, in the order in which they are tried.
    repairs
        Precisions whose files can be repaired by keeping layers out of them, each with the module
        whose function `layer_errors` says which.
    """

    module: str
    suffix: str
    engines: tuple[EngineName, ...]
    precisions: tuple[Precision, ...] = ("fp32", "fp16", "int8")
    methods: tuple[CalibrationMethod, ...] = ("min-max",)
    repairs: tuple[tuple[Precision, str], ...] = ()


TARGETS: dict[Target, TargetKind] = {
    "tflite": TargetKind(
        "unetplus_export.tflite",
        ".tflite",
        ("litert",),
        repairs=(("fp16", "unetplus_export.tflite_float"), ("int8", "unetplus_export.tflite_int8")),
    ),
    "onnx": TargetKind(
        "unetplus_export.onnx",
        ".onnx",
        ("onnxruntime", "openvino"),
        methods=("min-max", "entropy", "percentile"),
        repairs=(("fp16", "unetplus_export.onnx_fp16"), ("int8", "unetplus_export.onnx_int8")),
    ),
    "openvino": TargetKind(
        "unetplus_export.openvino",
        ".xml",
        ("openvino",),
        methods=("min-max", "percentile"),
        repairs=(("fp16", "unetplus_export.openvino_fp16"), ("int8", "unetplus_export.openvino_int8")),
    ),
    "bioimageio": TargetKind("unetplus_export.bioimageio", ".zip", ("onnxruntime",), precisions=("fp32",)),
}
"""Every target that is written into the bundle. TensorRT engines, which are not, are made of `onnx`."""


@contextmanager
def runnable(file: Path) -> Iterator[Path]:
    """Give the file that an engine opens: the converted one, or of a package the network in it."""
    if file.suffix != ".zip":
        yield file
        return
    with TemporaryDirectory(prefix="unetplus-package-") as folder, ZipFile(file) as package:
        yield Path(package.extract(PACKAGED_NETWORK, folder))


def converter(target: Target) -> Convert:
    """Return the function that writes a format.

    Raises
    ------
    ImportError
        If the library that writes it is not installed.
    """
    convert: Convert = getattr(import_module(TARGETS[target].module), f"convert_{target}")
    return convert


def layer_errors(target: Target, precision: Precision) -> LayerErrors | None:
    """Return the function that says which layers a precision harms most, or None where there is none."""
    module = dict(TARGETS[target].repairs).get(precision)
    if module is None:
        return None
    found: LayerErrors = import_module(module).layer_errors
    return found
