"""The record of a run that is not finished: what was done, and by what, so that it can go on."""

from __future__ import annotations

import json
import os
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from unetplus_edge.errors import OutputError
from unetplus_runtime.results import SummaryRow, unwritable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from io import FileIO

RECORD = "unfinished.jsonl"
"""Name of the record, in the folder of the results; gone when the run is finished."""

_SHARDS = "unfinished-*of*.jsonl"


def shard_record(number: int, count: int) -> str:
    """Return the name of the record of one of several runs that share the work; gone when they are joined.

    >>> shard_record(2, 8)
    'unfinished-2of8.jsonl'
    """
    return f"unfinished-{number}of{count}.jsonl"


class _Line(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class FileStamp(_Line):
    """Which file was read, and when it was last changed.

    Attributes
    ----------
    path
        With all links followed.
    size
        Bytes; of a folder, of all files in it.
    modified
        Nanoseconds; of a folder, of the newest file in it.
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

    def finished(self, frame_id: str, results: Iterable[Path]) -> SummaryRow | None:
        """Return the summary of a frame whose results are all there; None where it has to be done."""
        if frame_id not in self.done or not all(path.exists() for path in results):
            return None
        return self.done[frame_id][1]


def stamp_of(path: Path) -> FileStamp:
    """Return what tells a file, or a folder that is one image, from another one of its name.

    Raises
    ------
    OSError
        If it is not there.
    """
    found = [path.stat()]
    if path.is_dir():
        found = [(Path(folder) / name).stat() for folder, _, names in os.walk(path) for name in names] or found
    return FileStamp(
        path=os.path.realpath(path),
        size=sum(file.st_size for file in found),
        modified=max(file.st_mtime_ns for file in found),
    )


def read_record(out: Path, name: str = RECORD) -> Record:
    """Return the record of an unfinished run, by its file's name; an empty one where there is none.

    A power cut may leave half a line: from there on, the record counts as not written.

    Raises
    ------
    OutputError
        If it cannot be read.
    """
    try:
        return _parse((out / name).read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return Record()
    except OSError as error:
        raise unwritable(out / name, error) from error


def shard_records(out: Path) -> list[Path]:
    """Return the records of all shards in a folder."""
    return sorted(out.glob(_SHARDS)) if out.is_dir() else []


def read_shards(out: Path) -> Record | None:
    """Return what shards have done together, as one record; None where there are none.

    Raises
    ------
    OutputError
        If one cannot be read, or they had different settings.
    """
    records = [read_record(out, path.name) for path in shard_records(out)]
    if not records:
        return None
    settings = next((record.settings for record in records if record.settings is not None), None)
    for record in records:
        if record.settings is not None and settings is not None:
            _require_same(out, record.settings, settings)
    return Record(
        settings,
        frozenset().union(*(record.claimed for record in records)),
        {frame: row for record in records for frame, row in record.done.items()},
    )


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
    out: Path,
    before: Record,
    settings: Mapping[str, str],
    frames: list[str],
    *,
    overwrite: bool = False,
    name: str = RECORD,
    shards: Record | None = None,
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
        Whether a record that is there may be forgotten, and those of shards.
    name
        Of the record's file.
    shards
        What shards have done that this run ends; finishing it removes their records.

    Raises
    ------
    OutputError
        If the settings are others than those that the record began with, another run is writing,
        or the folder cannot be written.
    """
    _require_same(out, before.settings, settings)
    if shards is not None:
        _require_same(out, shards.settings, settings)
    path = out / name
    try:
        made = not out.exists()
        out.mkdir(parents=True, exist_ok=True)
        file = path.open("r+b" if path.exists() else "x+b", buffering=0)
    except OSError as error:
        raise unwritable(path, error) from error
    with ExitStack() as stack:
        stack.enter_context(file)
        _lock(file, out)
        ended = shard_records(out) if name == RECORD and (shards is not None or overwrite) else []
        for other in ended:
            _lock(stack.enter_context(other.open("r+b", buffering=0)), out)
        if not overwrite and _parse(file.read()) != before:
            raise OutputError(f"another run has just written to {out}; wait for it, and type the command again")
        writer = RecordWriter(path, file, made, ended)
        if overwrite:
            writer.forget_shards()
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
    shards
        Records of shards that the run ends.
    """

    def __init__(self, path: Path, file: FileIO, made: bool, shards: Iterable[Path] = ()) -> None:
        self._path, self._file, self._made, self._shards = path, file, made, list(shards)
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

    def forget_shards(self) -> None:
        """Remove the records of shards."""
        for path in self._shards:
            path.unlink(missing_ok=True)

    def close(self) -> None:
        """Remove the record of a finished run, and its folder if that was made for nothing."""
        if self._finished:
            with suppress(OSError):
                self.forget_shards()
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
