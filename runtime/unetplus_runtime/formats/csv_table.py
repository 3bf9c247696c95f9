"""Table of nuclei as CSV."""

from __future__ import annotations

from typing import TYPE_CHECKING

from unetplus_runtime.results import write_nuclei

if TYPE_CHECKING:
    from pathlib import Path

    from unetplus_runtime.formats.segmented import Segmented


def write(path: Path, segmented: Segmented) -> None:
    """Write the table; see `unetplus_runtime.results.write_nuclei`."""
    write_nuclei(path, segmented.result.nuclei)
