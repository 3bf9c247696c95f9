"""Counts of `serve` on a folder are those of `segment` on it, and on the frames that it has recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import tifffile

from unetplus_bench.endurance.ledger import audit
from unetplus_edge.datasets.specimen import Specimen, simulate

if TYPE_CHECKING:
    from pathlib import Path

    from unetplus_bench.endurance.stage import Stage

SAME = "serve counts as many nuclei in a page of a file as segment"
REPLAYED = "segment counts as many nuclei in a recorded frame as serve did"

_PAGES = 3
_KINDS = 4


def counts(stage: Stage) -> None:
    """Count the nuclei of a folder of `count` files of different formats and sizes with both."""
    images = stage.folder / "images"
    images.mkdir()
    for number in range(stage.count):
        _put(images, number, stage)
    expected = stage.segmented(images)
    stage.step("segment has counted")
    options = [*stage.watching(images), "--set", "record.frames=true", "--until-idle", "2"]
    with stage.serve(*options) as served:
        code = served.end()
        stage.proof.claim("serve ends with exit code 0", code == 0, served.said[-3:])
        stage.gone(served)
        ledger = audit(stage.proof, served.data_dir, served.announced, finished=True)
    stage.step("serve has counted")
    found = {(row["file_path"].rpartition("/")[2], row["file_page"]): row for row in ledger.frames.values()}
    for page in expected.keys() | found.keys():
        counted = found[page]["nuclei"] if page in found else None
        stage.proof.claim(SAME, counted == expected.get(page), f"{page}: {counted}, {expected.get(page)}")
    folders = {(served.data_dir / row["frame_file"]).parents[1] for row in found.values()}
    replayed = {name: nuclei for folder in folders for (name, _), nuclei in stage.segmented(folder).items()}
    for row in found.values():
        again = replayed.get(row["frame_file"].rpartition("/")[2])
        stage.proof.claim(REPLAYED, again == row["nuclei"], f"{row['frame_file']}: {again}, {row['nuclei']}")
    stage.proof.figures["frames"] = len(found)
    stage.proof.figures["nuclei"] = sum(row["nuclei"] for row in found.values())
    stage.step("segment has counted again")


def _put(folder: Path, number: int, stage: Stage) -> None:
    """Write an image file: PNG of 8 or 16 bits, TIFF, or a stack of TIFF pages."""
    height, width = (stage.side + stage.chance.randrange(0, stage.side) for _ in range(2))
    depths = (8, 12, 16)
    kind, depth = number % _KINDS, depths[number % len(depths)]
    seeds = [stage.chance.randrange(10_000) for _ in range(_PAGES if kind == _KINDS - 1 else 1)]
    pages = [
        np.asarray(simulate(Specimen(height=height, width=width, bit_depth=depth, seed=seed)).image) for seed in seeds
    ]
    name = f"image{number:04}"
    if kind == 0:
        cv2.imwrite(str(folder / f"{name}.png"), pages[0])
    elif kind == 1:
        tifffile.imwrite(folder / f"{name}.tif", pages[0])
    elif kind == 2:
        tifffile.imwrite(folder / f"{name}.tif", pages[0], compression="zlib", tile=(64, 64))
    else:
        tifffile.imwrite(folder / f"{name}.tif", np.stack(pages), photometric="minisblack")
