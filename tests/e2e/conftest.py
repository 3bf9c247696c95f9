"""`unetplus-runtime segment` as a test types it, and what it leaves."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any

import pytest
import tifffile
from click.testing import CliRunner, Result
from PIL import Image

from unetplus_runtime.command import main

if TYPE_CHECKING:
    from pathlib import Path


class Segmenting:
    """A run of the command, and a look at its results."""

    @staticmethod
    def segment(*typed: str, out: str = "out") -> Result:
        return CliRunner().invoke(main, ["segment", "--out", out, *typed])

    @staticmethod
    def complete(out: Path) -> set[str]:
        """Ids of the frames whose results can all be read; there must be nothing else but summary and record."""
        files = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
        ids = {name.removesuffix("_labels.tif") for name in files if name.endswith("_labels.tif")}
        expected = {f"{frame}_{kind}" for frame in ids for kind in ("labels.tif", "overlay.png", "nuclei.csv")}
        assert files - {"summary.csv", "unfinished.jsonl"} == expected
        for frame in ids:
            labels = tifffile.imread(out / f"{frame}_labels.tif")
            with Image.open(out / f"{frame}_overlay.png") as overlay:
                assert overlay.size == labels.shape[::-1]
            with (out / f"{frame}_nuclei.csv").open(newline="") as table:
                assert len(list(csv.DictReader(table))) == labels.max()
        return ids

    @staticmethod
    def summary(out: Path) -> list[dict[str, str]]:
        with (out / "summary.csv").open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))

    @classmethod
    def unchanging(cls, out: Path) -> dict[str, Any]:
        """Everything in a folder of results, but for the time that it took."""
        files: dict[str, Any] = {
            path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*") if path.is_file()
        }
        return files | {"summary.csv": [{**row, "seconds": "", "file": ""} for row in cls.summary(out)]}


@pytest.fixture(scope="session")
def segmenting() -> type[Segmenting]:
    """Runs the command in this process."""
    return Segmenting
