"""The record of a run that is not finished: what was done, and by what, so that it can go on."""

from __future__ import annotations

import json
import os
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from unetplus_edge.errors import OutputError
from unetplus_runtime.results import SummaryRow, result_paths, unwritable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from io import FileIO
    from pathlib import Path

RECORD = "unfinished.jsonl"
"""Name of the record, in the folder of the results; gone when the run is finished."""


class _Line(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class FileStamp(_Line):
    """Which file was read, and when it was last changed.

    Attributes
    ----------
    path
        With all links followed.
    size
        Bytes.
    modified
        Nanoseconds.
    """

    path: str
    size: int
    modified: int


class _Settings(_Line):
    """First line: everything that results depend on, besides the images."""

    settings: dict[str, str]


class _Claim(_Line):
    """Frames whose results did not exist, or might be replaced, when the run began."""

    frames: list[str]


class _Done(_Line):
    """A frame whose results are complete."""

    file: FileStamp
    row: SummaryRow


@dataclass(frozen=True)
class Record:
    """What a run has done until it was broken off.

    Attributes
    ----------
    settings
        Everything that results depend on, besides the images; None where there is no record.
    claimed
        Ids of the frames whose results belong to the run, done or not.
    done
        What was done of them: by id, the file and its row of the summary.
    length
        Bytes of the record, up to the end of its last whole line.
    """

    settings: Mapping[str, str] | None = None
    claimed: frozenset[str] = frozenset()
    done: Mapping[str, tuple[FileStamp, SummaryRow]] = field(default_factory=dict)
    length: int = 0

    def finished(self, out: Path, frame_id: str) -> SummaryRow | None:
        """Return the summary of a frame whose results are there; None where it has to be done."""
        if frame_id not in self.done or not all(path.is_file() for path in result_paths(out, frame_id)):
            return None
        return self.done[frame_id][1]


def stamp_of(path: Path) -> FileStamp:
    """Return what tells a file from another one of its name.

    Raises
    ------
    OSError
        If it is not there.
    """
    found = path.stat()
    return FileStamp(path=os.path.realpath(path), size=found.st_size, modified=found.st_mtime_ns)


def read_record(out: Path) -> Record:
    """Return the record of an unfinished run; an empty one where there is none.

    A power cut may leave half a line: from there on, the record counts as not written.

    Raises
    ------
    OutputError
        If it cannot be read.
    """
    try:
        return _parse((out / RECORD).read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return Record()
    except OSError as error:
        raise unwritable(out / RECORD, error) from error


def _parse(content: bytes) -> Record:
    settings: dict[str, str] | None = None
    claimed: set[str] = set()
    done: dict[str, tuple[FileStamp, SummaryRow]] = {}
    length = 0
    for line in content.splitlines(keepends=True):
        if not line.endswith(b"\n"):
            break
        try:
            entry = json.loads(line)
            if settings is None:
                settings = _Settings.model_validate(entry).settings
            elif line.startswith(b'{"frames"'):
                claimed.update(_Claim.model_validate(entry).frames)
            else:
                frame = _Done.model_validate(entry)
                done[frame.row.id] = (frame.file, frame.row)
        except (ValueError, RecursionError):  # pydantic's ValidationError is a ValueError
            break
        length += len(line)
    return Record(settings, frozenset(claimed), done, length)


@contextmanager
def continued(
    out: Path, before: Record, settings: Mapping[str, str], frames: list[str], *, overwrite: bool = False
) -> Iterator[RecordWriter]:
    """Go on with a record, or begin one; while it is open, no other run writes to the folder.

    Parameters
    ----------
    out
        The folder of the results; it is made where there is none.
    before
        The record as the run was planned on it; an empty one for a new run.
    settings
        Everything that results depend on, besides the images.
    frames
        Ids of all frames of the run.
    overwrite
        Whether a record that is there may be forgotten.

    Raises
    ------
    OutputError
        If the settings are others than those that the record began with, another run is writing,
        or the folder cannot be written.
    """
    _require_same(out, before.settings, settings)
    path = out / RECORD
    try:
        made = not out.exists()
        out.mkdir(parents=True, exist_ok=True)
        file = path.open("r+b" if path.exists() else "x+b", buffering=0)
    except OSError as error:
        raise unwritable(path, error) from error
    with file:
        _lock(file, out)
        if not overwrite and _parse(file.read()) != before:
            raise OutputError(f"another run has just written to {out}; wait for it, and type the command again")
        writer = RecordWriter(path, file, made)
        try:
            writer.begin(before, settings, frames)
        except OutputError:
            if before.settings is None:
                writer.finish()
                writer.close()
            raise
        yield writer
    writer.close()


def _require_same(out: Path, old: Mapping[str, str] | None, new: Mapping[str, str]) -> None:
    if old is None or old == new:
        return
    name = next(name for name in (*new, *old) if old.get(name) != new.get(name))
    raise OutputError(
        f"{out} holds an unfinished run with another {name} ({old.get(name, 'none')}, now {new.get(name, 'none')}); "
        "finish it as it was begun, replace it with --overwrite, or name another --out folder"
    )


def _lock(file: FileIO, out: Path) -> None:
    try:
        import fcntl
    except ImportError:  # there is no such lock on Windows
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise OutputError(f"another run is writing to {out}; wait for it, or name another --out folder") from None
    except OSError:  # some network file systems have no locks
        return


class RecordWriter:
    """The open record of a run.

    Parameters
    ----------
    path, file
        The record, open for reading and writing without a buffer.
    made
        Whether its folder was made for it.
    """

    def __init__(self, path: Path, file: FileIO, made: bool) -> None:
        self._path, self._file, self._made = path, file, made
        self._finished = False

    def begin(self, before: Record, settings: Mapping[str, str], frames: list[str]) -> None:
        """Write what the run will do, after what the record holds already."""
        try:
            self._file.truncate(before.length)
            self._file.seek(before.length)
        except OSError as error:
            raise unwritable(self._path, error) from error
        if before.settings is None:
            self._append(_Settings(settings=dict(settings)))
        new = [frame_id for frame_id in frames if frame_id not in before.claimed]
        if new:
            self._append(_Claim(frames=new))

    def add(self, stamp: FileStamp, row: SummaryRow) -> None:
        """Write that a frame is done; on return, that is on the disk.

        Raises
        ------
        OutputError
            If it cannot be written.
        """
        self._append(_Done(file=stamp, row=row))

    def finish(self) -> None:
        """Say that nothing is left to be done; closing then removes the record."""
        self._finished = True

    def close(self) -> None:
        """Remove the record of a finished run, and its folder if that was made for nothing."""
        if self._finished:
            with suppress(OSError):
                self._path.unlink()
                if self._made:
                    self._path.parent.rmdir()

    def _append(self, line: _Line) -> None:
        # Not by pydantic's own JSON: file names may be no Unicode, which it refuses.
        content = json.dumps(line.model_dump()).encode() + b"\n"
        try:
            while content:
                content = content[self._file.write(content) :]
            os.fsync(self._file.fileno())
        except OSError as error:
            raise unwritable(self._path, error) from error
