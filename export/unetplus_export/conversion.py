"""What goes into a conversion and what comes out of it, the same for every target."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from unetplus_edge.bundle import Bundle
    from unetplus_edge.manifest import CalibrationMethod, Precision
    from unetplus_export.calibration import Calibration


@dataclass(frozen=True)
class Request:
    """What to convert, and how.

    Attributes
    ----------
    bundle
        Whose Keras model is converted.
    precision
        Of the weights: fp32, fp16 or int8.
    patch_side
        Side of a patch in pixels.
    batch
        Patches a call; None for any number, where the format allows it, else one.
    calibration
        For int8: what ranges are taken of. For what layers cost: what answers are compared on.
    method
        For int8: how they are taken.
    keep
        Layers, by their names in the Keras model, that int8 leaves in the remainder's precision, or
        whose weights fp16 leaves in fp32.
    remainder
        For int8: stored precision of what stays out of it.
    integer_ends
        For int8 in TFLite: input and output are int8 too, instead of float32.
    """

    bundle: Bundle
    precision: Precision
    patch_side: int
    batch: int | None = None
    calibration: Calibration | None = None
    method: CalibrationMethod = "min-max"
    keep: tuple[str, ...] = ()
    remainder: Literal["fp32", "fp16"] = "fp32"
    integer_ends: bool = False


@dataclass(frozen=True)
class Converted:
    """What a conversion says of the file that it wrote.

    Attributes
    ----------
    tools
        Versions of what made it, by name.
    companions
        Names of the files beside it that it cannot be opened without.
    operators
        How often each operator is in the file, by name; empty where the format cannot tell.
    higher_precision
        Layers, by their names in the Keras model, that are not computed in int8, or parts of such
        layers, as LAYER:OPERATOR; for fp16, those whose weights are stored in fp32.
    """

    tools: Mapping[str, str]
    companions: tuple[str, ...] = ()
    operators: Mapping[str, int] = field(default_factory=dict)
    higher_precision: tuple[str, ...] = ()


class Convert(Protocol):
    """The function of a target that writes its format."""

    def __call__(self, request: Request, destination: Path) -> Converted:
        """Write the file, whole or not at all, and say what it is.

        A model, a calibration or a graph that the format cannot hold is a `ConversionError`; a
        library that is not installed is left to raise its ImportError.
        """
        ...
