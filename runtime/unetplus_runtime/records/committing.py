"""The transaction that commits a group of frames."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from unetplus_runtime.records.record import Committed, Totals
from unetplus_runtime.records.rows import (
    FRAME_COLUMNS,
    NUCLEUS_COLUMNS,
    from_row,
    nucleus_rows,
    to_identity,
    to_json,
    to_row,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from unetplus_runtime.cameras.counts import FrameTotals
    from unetplus_runtime.records.pending import Event, Fact, Group, Pending, Settled
    from unetplus_runtime.records.record import FrameRecord

_INSERT_FRAME = (
    f"INSERT INTO frames ({', '.join(FRAME_COLUMNS)}) "  # noqa: S608
    f"VALUES ({', '.join(f':{column}' for column in FRAME_COLUMNS)})"
)
_INSERT_NUCLEUS = (
    f"INSERT INTO nuclei (frame, {', '.join(NUCLEUS_COLUMNS)}) "  # noqa: S608
    f"VALUES ({', '.join('?' * (1 + len(NUCLEUS_COLUMNS)))})"
)
_SETTLE = (
    "INSERT INTO settled (path, size, mtime_ns, page, pages, frame, reason) VALUES (?, ?, ?, ?, ?, ?, ?) "
    "ON CONFLICT DO UPDATE SET frame = excluded.frame, reason = excluded.reason WHERE settled.frame IS NULL"
)


@dataclass
class RunCounts:
    """What became of the frames of a run.

    Attributes
    ----------
    captured
        As the camera says; or what was settled, where there is none to ask.
    processed
        Frames that are committed, replayed ones included.
    replayed
        Those that were committed before.
    dropped
        By reason.
    nuclei
        In the frames that were not committed before.
    """

    captured: int = 0
    processed: int = 0
    replayed: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    nuclei: int = 0

    def copy(self) -> RunCounts:
        """Return the same counts, apart from these."""
        return RunCounts(self.captured, self.processed, self.replayed, Counter(self.dropped), self.nuclei)

    def hear(self, camera: FrameTotals) -> None:
        """Take what the camera counts."""
        self.captured, self.dropped = camera.captured, Counter(dict(camera.dropped))

    def settle(self, reason: str | None) -> int:
        """Count what was captured and never settled as dropped, and return how many frames that were."""
        settled = self.processed + self.dropped.total()
        self.captured = max(self.captured, settled)
        missing = self.captured - settled
        if missing and reason is not None:
            self.dropped[reason] += missing
        return missing


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Write all that is done in the block to the disk, or nothing of it."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def insert_group(
    connection: sqlite3.Connection,
    run: str,
    group: Group,
    records: Sequence[FrameRecord],
    counts: RunCounts,
    *,
    nuclei: bool,
) -> list[Committed]:
    """Write a group in a transaction that is open.

    Parameters
    ----------
    connection
        The database.
    run
        Id of the run.
    group
        What to write.
    records
        Of its frames, with the names of their files.
    counts
        Of the run; what becomes of these frames is added.
    nuclei
        Whether rows of nuclei are written, of frames that want them.

    Returns
    -------
    list of Committed
        One a frame, true once the transaction has ended.
    """
    _insert_facts(connection, group.facts)
    committed = [
        _insert_frame(connection, pending, record, counts, nuclei=nuclei)
        for pending, record in zip(group.frames, records, strict=True)
    ]
    _insert_settled(connection, group.settled)
    last = last_frame(connection)
    _insert_events(connection, run, group.events, last)
    return committed


def write_counts(connection: sqlite3.Connection, run: str, counts: RunCounts) -> None:
    """Write the counts of a run."""
    connection.execute(
        "UPDATE runs SET captured = ?, processed = ?, replayed = ?, dropped = ?, nuclei = ? WHERE id = ?",
        (counts.captured, counts.processed, counts.replayed, to_json(counts.dropped), counts.nuclei, run),
    )


def read_counts(row: sqlite3.Row) -> RunCounts:
    """Return the counts in a row of `runs`."""
    dropped = Counter[str](json.loads(row["dropped"]))
    return RunCounts(row["captured"], row["processed"], row["replayed"], dropped, row["nuclei"])


def read_totals(connection: sqlite3.Connection) -> Totals:
    """Return what became of all frames, over all runs."""
    runs = [read_counts(row) for row in connection.execute("SELECT * FROM runs")]
    return sum_of(runs)


def sum_of(runs: Sequence[RunCounts]) -> Totals:
    """Return the sum of the counts of runs."""
    dropped: Counter[str] = Counter()
    for counts in runs:
        dropped.update(counts.dropped)
    return Totals(
        runs=len(runs),
        captured=sum(counts.captured for counts in runs),
        processed=sum(counts.processed for counts in runs),
        replayed=sum(counts.replayed for counts in runs),
        dropped=dict(dropped),
        nuclei=sum(counts.nuclei for counts in runs),
    )


def last_frame(connection: sqlite3.Connection) -> int:
    """Return the id of the frame that was committed last, be it removed since; 0 if there was none."""
    row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'frames'").fetchone()
    return 0 if row is None else int(row[0])


def find(connection: sqlite3.Connection, record: FrameRecord) -> Committed | None:
    """Return the same frame if it was committed before."""
    if record.file is not None:
        row = connection.execute(
            "SELECT frame FROM settled WHERE path = ? AND size = ? AND mtime_ns = ? AND page = ? AND frame NOT NULL",
            to_identity(record.file)[:4],
        ).fetchone()
    else:
        row = connection.execute(
            "SELECT id FROM frames WHERE run = ? AND life = ? AND sequence = ?",
            (record.run, record.life, record.sequence),
        ).fetchone()
    if row is None:
        return None
    number = int(row[0])
    row = connection.execute("SELECT * FROM frames WHERE id = ?", (number,)).fetchone()
    return Committed(number, record if row is None else from_row(row), new=False)


def _insert_frame(
    connection: sqlite3.Connection, pending: Pending, record: FrameRecord, counts: RunCounts, *, nuclei: bool
) -> Committed:
    counts.processed += 1
    found = find(connection, record)
    if found is not None:
        counts.replayed += 1
        return found
    number = connection.execute(_INSERT_FRAME, to_row(record)).lastrowid
    if number is None:
        raise sqlite3.DatabaseError("a row of frames got no id")
    if nuclei and pending.keep.nuclei:
        connection.executemany(_INSERT_NUCLEUS, nucleus_rows(number, pending.nuclei))
    if record.file is not None:
        connection.execute(_SETTLE, (*to_identity(record.file), number, None))
    counts.nuclei += record.nuclei
    return Committed(number, record)


def _insert_settled(connection: sqlite3.Connection, settled: Sequence[Settled]) -> None:
    connection.executemany(_SETTLE, [(*to_identity(file), None, reason) for file, reason in settled])


def _insert_events(connection: sqlite3.Connection, run: str, events: Sequence[Event], last: int) -> None:
    connection.executemany(
        "INSERT INTO events (run, wall, monotonic, after_frame, kind, detail) VALUES (?, ?, ?, ?, ?, ?)",
        [(run, event.wall, event.monotonic, last, event.kind, event.detail) for event in events],
    )


def _insert_facts(connection: sqlite3.Connection, facts: Sequence[Fact]) -> None:
    columns = {"models": "facts", "configurations": "settings"}
    for table, hash_, json_ in facts:
        connection.execute(
            f"INSERT OR IGNORE INTO {table} (hash, {columns[table]}) VALUES (?, ?)",  # noqa: S608
            (hash_, json_),
        )
