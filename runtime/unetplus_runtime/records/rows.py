"""Records as rows of the database, and back."""

from __future__ import annotations

import json
import os
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from unetplus_edge.imaging import Nuclei
from unetplus_runtime.cameras import FileIdentity
from unetplus_runtime.records.record import FrameRecord

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Mapping

    SqlValue = str | bytes | int | float | None

_JSON = ("timings", "metadata")
_BOOLEAN = ("simulated", "recording")
_FILE = tuple(f"file_{part}" for part in FileIdentity._fields)

NUCLEUS_COLUMNS = tuple(field.name for field in fields(Nuclei) if field.name != "pixel_size")
"""Of the table `nuclei`, besides the frame."""

FRAME_COLUMNS = (*(field.name for field in fields(FrameRecord) if field.name != "file"), *_FILE)
"""Of the table `frames`, besides the id."""


def to_path(path: str) -> str | bytes:
    """Return a path as the database has it: what is no Unicode becomes bytes."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return os.fsencode(path)
    return path


def from_path(path: str | bytes) -> str:
    """Return a path as the system has it."""
    return os.fsdecode(path)


def to_identity(file: FileIdentity) -> tuple[str | bytes, int, int, int, int]:
    """Return a page of a file as the database has it."""
    return (to_path(file.path), *file[1:])


def to_row(record: FrameRecord) -> dict[str, SqlValue]:
    """Return a record as a row of `frames`, by column."""
    row: dict[str, SqlValue] = {}
    for column in FRAME_COLUMNS:
        if column not in _FILE:
            value = getattr(record, column)
            row[column] = to_json(value) if column in _JSON else value
    row["source"] = record.source.encode(errors="backslashreplace").decode()
    identity = (None,) * len(_FILE) if record.file is None else to_identity(record.file)
    return row | dict(zip(_FILE, identity, strict=True))


def from_row(row: sqlite3.Row) -> FrameRecord:
    """Return the record of a row of `frames`."""
    values: dict[str, Any] = {column: row[column] for column in FRAME_COLUMNS if column not in _FILE}
    for column in _JSON:
        values[column] = json.loads(values[column])
    for column in _BOOLEAN:
        values[column] = bool(values[column])
    path, *rest = (row[column] for column in _FILE)
    return FrameRecord(**values, file=None if path is None else FileIdentity(from_path(path), *rest))


def nucleus_rows(frame: int, nuclei: Nuclei) -> Iterator[tuple[SqlValue, ...]]:
    """Yield rows of `nuclei`."""
    columns = [getattr(nuclei, column).tolist() for column in NUCLEUS_COLUMNS]
    for values in zip(*columns, strict=True):
        yield (frame, *values)


def to_json(value: Mapping[str, Any]) -> str:
    """Return a mapping as JSON; what JSON has no type for becomes its text."""
    return json.dumps(dict(value), default=str, separators=(",", ":"))
