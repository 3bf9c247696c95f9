"""Images to segment, a segmenter whose answers are known, and a look at what a run leaves."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from unetplus_runtime.segmenter import Segmenter

if TYPE_CHECKING:
    from pathlib import Path

    from unetplus_edge.bundle import Bundle


class Results:
    """What lies in a folder of results."""

    @staticmethod
    def names(folder: Path) -> list[str]:
        return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())

    @staticmethod
    def summary(folder: Path) -> list[dict[str, str]]:
        with (folder / "summary.csv").open(newline="") as file:
            return list(csv.DictReader(file))

    @classmethod
    def content(cls, folder: Path) -> dict[str, Any]:
        """Every file of a folder; of the summary what does not differ from run to run."""
        files = {name: (folder / name).read_bytes() for name in cls.names(folder) if name != "summary.csv"}
        return {**files, "summary.csv": [{**row, "seconds": ""} for row in cls.summary(folder)]}


@pytest.fixture(scope="session")
def results() -> type[Results]:
    """Looks at a folder of results."""
    return Results


@pytest.fixture
def segmenter(plain_bundle: Bundle, map_engine: Any) -> Segmenter:
    """Finds one nucleus of 100 pixels in every frame of 64 x 64."""
    answers = np.zeros((1, 64, 64, 1), np.float32)
    answers[0, 10:20, 10:20] = 1
    return Segmenter(plain_bundle, map_engine(answers))
