"""Picture of a frame with the outlines of its nuclei, as PNG."""

from __future__ import annotations

from typing import TYPE_CHECKING

from unetplus_edge.evaluation import outline_overlay
from unetplus_runtime.results import write_picture

if TYPE_CHECKING:
    from pathlib import Path

    from unetplus_runtime.formats.segmented import Segmented


def write(path: Path, segmented: Segmented) -> None:
    """Write the picture; see `unetplus_edge.evaluation.outline_overlay`."""
    write_picture(path, outline_overlay(segmented.frame, segmented.result.labels))
