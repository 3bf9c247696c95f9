"""What a kill leaves behind, and how much memory a process takes."""

from __future__ import annotations

import csv
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
import zarr

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from unetplus_edge.bundle import Bundle

CHILD = Path(__file__).with_name("child.py")


def run(bundle: Bundle, image: Path, out: Path, side: int, name: str = "-", call: int = 0) -> Any:
    command = [sys.executable, str(CHILD), *map(str, (bundle.path, image, out, side, name, call))]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


def content(out: Path) -> dict[str, Any]:
    """Every result, but for the time that it took."""
    with (out / "summary.csv").open(newline="") as file:
        rows = [{**row, "seconds": ""} for row in csv.DictReader(file)]
    group = zarr.open_group(out / "a_labels.ome.zarr", mode="r")
    levels = [np.asarray(group[str(level)][:]).tobytes() for level in range(2)]  # type: ignore[index]
    return {
        "files": sorted(path.name for path in out.iterdir()),
        "summary": rows,
        "attributes": dict(group.attrs),
        "levels": levels,
        "table": (out / "a_nuclei.csv").read_text(),
    }


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("write_range", 1),
        ("write_mask", 4),
        ("write_pieces", 4),
        ("write_table", 1),
        ("write_table", 4),
        ("add_level", 1),
        ("finish_folder", 1),
        ("remove_work", 1),
    ],
)
def test_a_run_that_was_killed_goes_on_to_the_same_results(
    tmp_path: Path,
    plain_bundle: Bundle,
    make_blobs: Callable[..., NDArray[np.uint16]],
    name: str,
    call: int,
) -> None:
    tifffile.imwrite(tmp_path / "a.tif", make_blobs(100, 1100), tile=(64, 64))
    arguments = (plain_bundle, tmp_path / "a.tif")
    dead = run(*arguments, tmp_path / "out", 256, name, call)
    assert dead.returncode == -signal.SIGKILL, dead.stderr
    for out in ("out", "whole"):
        done = run(*arguments, tmp_path / out, 256)
        assert done.returncode == 0, done.stderr
    found = content(tmp_path / "out")
    assert found == content(tmp_path / "whole")
    assert found["files"] == ["a_labels.ome.zarr", "a_nuclei.csv", "summary.csv"]
    assert len(found["table"].splitlines()) > 50


def test_masks_that_are_there_after_a_kill_are_kept(
    tmp_path: Path, plain_bundle: Bundle, make_blobs: Callable[..., NDArray[np.uint16]]
) -> None:
    tifffile.imwrite(tmp_path / "a.tif", make_blobs(100, 1100), tile=(64, 64))
    run(plain_bundle, tmp_path / "a.tif", tmp_path / "out", 256, "write_mask", 4)
    masks = tmp_path / "out" / ".unfinished-a_labels.ome.zarr" / "mask"
    before = {path.name: path.stat().st_mtime_ns for path in masks.iterdir()}
    assert sorted(before) == ["0_0", "0_1", "0_2"]
    run(plain_bundle, tmp_path / "a.tif", tmp_path / "out", 256, "write_pieces", 1)
    assert {name: (masks / name).stat().st_mtime_ns for name in before} == before
    assert len(list(masks.iterdir())) == 5


def sparse(path: Path, side: int) -> Path:
    """An OME-Zarr image of which one chunk in four exists, with a disc over every corner of four blocks."""
    axes = [{"name": axis, "type": "space"} for axis in "yx"]
    multiscale = {"version": "0.4", "axes": axes, "datasets": [{"path": "0"}]}
    group = zarr.open_group(path, mode="w", zarr_format=2, attributes={"multiscales": [multiscale]})
    array = group.create_array("0", shape=(side, side), chunks=(256, 256), dtype="uint16")
    y, x = np.mgrid[:200, :200]
    rng = np.random.default_rng(0)
    for top in range(1024, side, 1024):
        for left in range(1024, side, 1024):
            noise = rng.normal(300, 15, (200, 200))
            noise[np.hypot(y - 100, x - 100) < 40] = 3000
            array[top - 100 : top + 100, left - 100 : left + 100] = noise.astype(np.uint16)
    return path


def test_memory_does_not_grow_with_the_frame(tmp_path: Path, plain_bundle: Bundle) -> None:
    peaks = {}
    for side in (2048, 8192):
        image = sparse(tmp_path / f"{side}.zarr", side)
        done = run(plain_bundle, image, tmp_path / f"out{side}", 1024)
        assert done.returncode == 0, done.stderr
        peaks[side] = int(done.stdout)
        with (tmp_path / f"out{side}" / "summary.csv").open(newline="") as file:
            (row,) = csv.DictReader(file)
        assert int(row["nuclei"]) == (side // 1024 - 1) ** 2
    # Of 16 times as many pixels, not even the raw frame is in memory, let alone its float32 copies.
    assert peaks[8192] - peaks[2048] < 2 * 8192**2
