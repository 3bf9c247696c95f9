"""Reading records, also while a daemon writes them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from unetplus_edge.errors import InputError
from unetplus_runtime.cameras import FileIdentity
from unetplus_runtime.records.committing import read_totals
from unetplus_runtime.records.record import Committed
from unetplus_runtime.records.rows import NUCLEUS_COLUMNS, from_path, from_row
from unetplus_runtime.records.schema import open_for_reading

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    from unetplus_runtime.records.record import Totals

_AT_ONCE = 500  # rows


class RecordedEvent(NamedTuple):
    """Something that happened.

    Attributes
    ----------
    id
        Counted from 1 in the order in which events were committed.
    run
        Id of the run.
    wall, monotonic
        When, as in `unetplus_runtime.cameras.Frame`.
    after_frame
        Id of the frame that was committed last; 0 if there was none.
    kind
        In a word or two.
    detail
        What else is to be said.
    """

    id: int
    run: str
    wall: float
    monotonic: float
    after_frame: int
    kind: str
    detail: dict[str, Any]


class RecordReader:
    """Records of a data folder, read-only; a daemon may write meanwhile, and is never held up.

    It is used by one thread at a time, and it is a context manager.

    Parameters
    ----------
    data_dir
        The folder.

    Raises
    ------
    InputError
        If there are no records, or they cannot be read.
    """

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self._connection = open_for_reading(data_dir)

    def last(self) -> Committed | None:
        """Return the frame that was committed last, of those that are kept."""
        row = self._connection.execute("SELECT * FROM frames ORDER BY id DESC LIMIT 1").fetchone()
        return None if row is None else Committed(row["id"], from_row(row))

    def totals(self) -> Totals:
        """Return what became of all frames, over all runs."""
        return read_totals(self._connection)

    def runs(self) -> list[dict[str, Any]]:
        """Return the rows of `runs`, oldest first, by column."""
        rows = [dict(row) for row in self._connection.execute("SELECT * FROM runs ORDER BY number")]
        return [row | {"dropped": json.loads(row["dropped"])} for row in rows]

    def run_id(self, name: str) -> str:
        """Return the id of a run by its id, the beginning of it, or "last".

        Raises
        ------
        InputError
            If there is none, or more than one.
        """
        ids = [run["id"] for run in self.runs()]
        found = ids[-1:] if name == "last" else [one for one in ids if one.startswith(name)]
        if len(found) != 1:
            count = "no run" if not found else f"{len(found)} runs"
            raise InputError(f"there is {count} {name} in {self.data_dir}; name one by the first letters of its id")
        return str(found[0])

    def frames(
        self, *, since: float | None = None, until: float | None = None, run: str | None = None, after: int = 0
    ) -> Iterator[Committed]:
        """Yield frames in the order in which they were committed, up to the last one there is now.

        Parameters
        ----------
        since, until
            When they were captured, seconds since 1970: from the first on, and before the second.
        run
            Id of their run.
        after
            Only those with higher ids.
        """
        conditions = ["id > ?", "id <= ?"]
        values: list[float | str] = []
        for condition, value in (("captured >= ?", since), ("captured < ?", until), ("run = ?", run)):
            if value is not None:
                conditions.append(condition)
                values.append(value)
        query = f"SELECT * FROM frames WHERE {' AND '.join(conditions)} ORDER BY id LIMIT {_AT_ONCE}"  # noqa: S608
        (end,) = self._connection.execute("SELECT coalesce(max(id), 0) FROM frames").fetchone()
        # A reader that stays in one transaction keeps the journal growing.
        while rows := self._connection.execute(query, (after, end, *values)).fetchall():
            after = rows[-1]["id"]
            for row in rows:
                yield Committed(row["id"], from_row(row))

    def nuclei(self, frame: int) -> list[dict[str, float | int]]:
        """Return the rows of the nuclei of a frame, by column, in the order of their labels."""
        columns = ", ".join(NUCLEUS_COLUMNS)
        rows = self._connection.execute(
            f"SELECT {columns} FROM nuclei WHERE frame = ? ORDER BY label",  # noqa: S608
            (frame,),
        )
        return [dict(row) for row in rows]

    def events(self, *, after: int = 0, run: str | None = None) -> Iterator[RecordedEvent]:
        """Yield events in the order in which they were committed.

        Parameters
        ----------
        after
            Only those with higher ids.
        run
            Id of their run.
        """
        query = f"SELECT * FROM events WHERE id > ? AND (? IS NULL OR run = ?) ORDER BY id LIMIT {_AT_ONCE}"  # noqa: S608
        while rows := self._connection.execute(query, (after, run, run)).fetchall():
            after = rows[-1]["id"]
            for row in rows:
                yield RecordedEvent(**dict(row) | {"detail": json.loads(row["detail"])})

    def close(self) -> None:
        """Let go of the database."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def read_settled(data_dir: Path) -> list[FileIdentity]:
    """Return pages of files that are not to be read again."""
    connection: sqlite3.Connection = open_for_reading(data_dir)
    try:
        rows = connection.execute("SELECT path, size, mtime_ns, page, pages FROM settled").fetchall()
    finally:
        connection.close()
    return [FileIdentity(from_path(path), *rest) for path, *rest in rows]
