"""Files that are recorded with a frame: what they are called, and how they come onto the disk and off it."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING

import tifffile

from unetplus_edge.errors import OutputError
from unetplus_edge.evaluation import outline_overlay
from unetplus_runtime.results import result_file, write_labels, write_picture

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from unetplus_edge.imaging.frames import Frame as Pixels
    from unetplus_runtime.records.pending import Pending
    from unetplus_runtime.records.record import FrameRecord

KINDS = {"labels": "_labels.tif", "frames": ".tif", "overlays": "_overlay.png"}
"""Folders of recorded files below the data folder, and how the names in each end."""

_BUCKET = 10_000  # frames a folder
_OURS = re.compile(
    r"(labels|frames|overlays)/\d{8}T\d{6}Z-[0-9a-zA-Z-]{1,8}/\d+-\d{6}/"
    r"(?:\.unfinished-)?(?:SIMULATED_)?\d+-\d{10}(_labels\.tif|\.tif|_overlay\.png)"
)


def run_folder(run: str, started: float) -> str:
    """Return the folder of a run, below those in `KINDS`.

    >>> run_folder("0b5c7a52-6d0e-4a58-9a1c-3f1f2d1f0a11", 0.0)
    '19700101T000000Z-0b5c7a52'
    """
    return f"{datetime.fromtimestamp(started, timezone.utc):%Y%m%dT%H%M%SZ}-{run[:8]}"


def is_ours(file: str) -> bool:
    """Return whether a path below the data folder is one that this program gives to files."""
    match = _OURS.fullmatch(file)
    return match is not None and KINDS[match[1]] == match[2]


class RecordedFiles:
    """Writes and removes the files of a run.

    Parameters
    ----------
    data_dir
        The data folder.
    folder
        Of the run; see `run_folder`.
    """

    def __init__(self, data_dir: Path, folder: str) -> None:
        self._data_dir, self._folder = data_dir, folder
        self._unsynced: set[Path] = set()

    def write(self, pending: Pending) -> FrameRecord:
        """Write what is to be recorded of a frame, and return its record, which names the files.

        They are on the disk for certain after `sync`.

        Raises
        ------
        OSError
            If the system does not write one. Nothing of this frame is left.
        """
        record = pending.record
        written: dict[str, str] = {}
        try:
            if pending.keep.labels:
                path = self._path("labels", record, written)
                write_labels(path, pending.labels, record.pixel_size)
            if pending.keep.frames:
                path = self._path("frames", record, written)
                write_frame(path, pending.array, record.pixel_size)
            if pending.keep.overlays:
                path = self._path("overlays", record, written)
                write_picture(path, outline_overlay(pending.array, pending.labels))
            size = sum((self._data_dir / file).stat().st_size for file in written.values())
        except BaseException as error:
            remove_files(self._data_dir, written.values())
            if isinstance(error, OutputError) and isinstance(error.__cause__, OSError):
                raise error.__cause__ from None
            raise
        return replace(
            record,
            labels_file=written.get("labels"),
            frame_file=written.get("frames"),
            overlay_file=written.get("overlays"),
            file_bytes=size,
        )

    def sync(self) -> None:
        """Bring the names of what was written onto the disk."""
        while self._unsynced:
            with suppress(FileNotFoundError):  # it was removed, with what was written there
                sync_folder(self._unsynced.pop())

    def _path(self, kind: str, record: FrameRecord, written: dict[str, str]) -> Path:
        folder = self._data_dir
        for name in (kind, self._folder, f"{record.life}-{record.sequence // _BUCKET:06d}"):
            parent, folder = folder, folder / name
            with suppress(FileExistsError):
                folder.mkdir()
                self._unsynced.add(parent)
        self._unsynced.add(folder)
        simulated = "SIMULATED_" if record.simulated else ""
        path = folder / f"{simulated}{record.life}-{record.sequence:010d}{KINDS[kind]}"
        written[kind] = path.relative_to(self._data_dir).as_posix()
        return path


def write_frame(path: Path, frame: Pixels, pixel_size: float | None) -> None:
    """Write a frame without loss, as a TIFF file that `unetplus-runtime segment` and ImageJ read.

    Parameters
    ----------
    path
        The file.
    frame
        uint8, uint16 or float32, shape (height, width).
    pixel_size
        Side of a pixel in micrometres; None where it is not known.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    with result_file(path) as unfinished:
        tifffile.imwrite(
            unfinished,
            frame,
            imagej=True,
            compression="zlib",
            compressionargs={"level": 1},  # more takes twice as long, and noise does not get smaller
            photometric="minisblack",
            resolution=None if pixel_size is None else (1 / pixel_size, 1 / pixel_size),
            metadata={} if pixel_size is None else {"unit": "um"},
        )


def remove_files(data_dir: Path, files: Iterable[str]) -> None:
    """Remove recorded files that there still are, and folders that are empty then; nothing that is not ours."""
    for file in files:
        if not is_ours(file):
            continue
        path = data_dir / file
        with suppress(OSError):
            path.unlink()
        with suppress(OSError):  # the folder is not empty, or gone
            path.parent.rmdir()
            path.parent.parent.rmdir()


def files_of_run(data_dir: Path, folder: str) -> Iterator[str]:
    """Yield what lies in the folders of a run and has a name of ours, unfinished files too."""
    for kind in KINDS:
        for path in sorted((data_dir / kind / folder).glob("*/*")):
            file = path.relative_to(data_dir).as_posix()
            if is_ours(file):
                yield file


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder onto the disk."""
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(number)
    finally:
        os.close(number)
