"""Broken and half-written files in a watched folder, among sound ones."""

from __future__ import annotations

import io
import time
from threading import Thread
from typing import TYPE_CHECKING

import numpy as np
import tifffile

from unetplus_bench.endurance.pictures import put_whole, write_slowly
from unetplus_bench.endurance.watched import NO_OTHER, WatchedFolder
from unetplus_edge.datasets.specimen import Specimen, simulate

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from unetplus_bench.endurance.pictures import Picture
    from unetplus_bench.endurance.stage import Stage

FINISHED_ONCE = "a file that was half there for a while is counted once, when it is whole"
PUT_ASIDE = "a broken file is put aside with its reason, and nothing of it is counted"
PAGES = "of a stack with a broken page all other pages are counted"
REFUSED = "each file or page that cannot be read is counted as unreadable"

_PATIENCE = 8.0  # seconds that the camera tries a file
_BROKEN_PAGE, _ALL_PAGES = 1, 3


def files(stage: Stage) -> None:
    """Put `count` files that are broken, or only half there for a while, among sound ones."""
    sound_stack, broken_stack = _stacks(stage.side)
    watched = WatchedFolder(stage, {"stack.tif": sound_stack})
    images, pictures, truth = watched.images, watched.pictures, watched.truth
    kinds: dict[str, Callable[[Path, Picture], object]] = {
        "half.png": lambda path, picture: path.write_bytes(_part_of(stage, picture.content)),
        "empty.png": lambda path, _: path.touch(),
        "text.tif": lambda path, _: path.write_text("no image\n" * 50),
        "noise.jpg": lambda path, _: path.write_bytes(stage.chance.randbytes(5000)),
        "stack.tif": lambda path, _: put_whole(path, broken_stack),
        "late.png": lambda path, picture: write_slowly(path, picture.content, pause=stage.chance.uniform(0.3, 0.9)),
    }
    put: dict[str, tuple[str, str]] = {}  # kind and picture by name of the file
    writers = []
    with stage.serve(*stage.watching(images, f"camera.patience={_PATIENCE:g}")) as served:
        with watched.feed(rate=6.0, slow=0.3) as feeder:
            for number in range(stage.count):
                kind = list(kinds)[number % len(kinds)]
                picture = pictures[number % len(pictures)]
                path = images / f"bad{number:04}-{kind}"
                writers.append(Thread(target=kinds[kind], args=(path, picture)))
                writers[-1].start()
                put[path.name] = (kind, picture.name)
                time.sleep(stage.chance.uniform(0.05, 0.4))
                stage.step(f"file {number + 1} of {stage.count}: {kind}")
            for writer in writers:
                writer.join()
        aside = [name for name, (kind, _) in put.items() if kind != "late.png"]
        pages = sum(_ALL_PAGES - 1 for kind, _ in put.values() if kind == "stack.tif")
        wanted = len(feeder.put) + len(put) - len(aside) + pages
        quarantine = images / "quarantine"
        # One that is counted too often, or too little, is what is looked for: so not for ever.
        served.wait(lambda: all((quarantine / name).exists() for name in aside), "the last broken file put aside")
        served.wait(lambda: len(served.announced) >= wanted, f"{wanted} frames")
        time.sleep(2.0)  # for one that should not come
        stage.standing(served)
        ledger = stage.ended(served)
    counted = watched.see(ledger, feeder)
    for name, (kind, picture_name) in put.items():
        found = counted.pop(name, {})
        there = (quarantine / name).exists() and (quarantine / f"{name}.reason.txt").exists()
        if kind == "late.png":
            stage.proof.claim(FINISHED_ONCE, found == {0: [truth[f"{picture_name}.png", 0]]}, (name, found))
        elif kind == "stack.tif":
            expected = {page: [truth["stack.tif", page]] for page in range(_ALL_PAGES) if page != _BROKEN_PAGE}
            stage.proof.claim(PAGES, found == expected and there, (name, found, expected))
        else:
            stage.proof.claim(PUT_ASIDE, not found and there, (name, found, there))
    stage.proof.claim(NO_OTHER, not counted, counted)
    unreadable = ledger.runs[-1]["dropped"].get("unreadable", 0)
    stage.proof.claim(REFUSED, unreadable == len(aside), f"{unreadable} of {len(aside)}")
    stage.proof.figures["broken files"] = len(aside)
    stage.proof.figures["files that were half there for a while"] = len(put) - len(aside)


def _part_of(stage: Stage, content: bytes) -> bytes:
    return content[: int(len(content) * stage.chance.uniform(0.05, 0.95))]


def _stacks(side: int) -> tuple[bytes, bytes]:
    """Return a stack of three pages, and the same with a second page that cannot be decoded."""
    pages = [np.asarray(simulate(Specimen(height=side, width=side, seed=seed)).image) for seed in range(_ALL_PAGES)]
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as writer:
        for page in pages:
            writer.write(page, compression="zlib", contiguous=False, metadata=None, photometric="minisblack")
    sound = buffer.getvalue()
    with tifffile.TiffFile(io.BytesIO(sound)) as file:
        page = file.pages[_BROKEN_PAGE]
        begin, length = page.dataoffsets[0], page.databytecounts[0]
    return sound, sound[:begin] + bytes(length) + sound[begin + length :]
