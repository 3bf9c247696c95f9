"""What an earlier run has left behind, looked at and put in order when a daemon starts."""

from __future__ import annotations

import sqlite3
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from unetplus_edge.errors import OutputError
from unetplus_runtime.records.committing import read_counts, transaction, write_counts
from unetplus_runtime.records.files import files_of_run, remove_files, run_folder
from unetplus_runtime.records.retention import finish_removing
from unetplus_runtime.records.schema import DATABASE

if TYPE_CHECKING:
    from pathlib import Path

    from unetplus_runtime.records.record import RunFacts

_CHECK = 5.0  # seconds that looking at the database may take
_NAMED = 100  # files


@dataclass(frozen=True)
class RecoveryReport:
    """What was found when the records were opened.

    Attributes
    ----------
    broken_off
        Ids of runs that had not ended properly.
    checked
        What was said of the database: "ok", "clean end" where it was not looked at for that, or
        "ok so far" where looking at all of it would have taken too long.
    lost_in_flight
        Frames that were in those runs when they died, as far as is known. Those from files are
        read again.
    removed_files
        How many files without a record were removed, which those runs had written and not
        committed.
    missing_files
        How many files of their records are not there.
    removed, missing
        The first hundred of each, below the data folder.
    """

    broken_off: tuple[str, ...] = ()
    checked: str = "clean end"
    lost_in_flight: int = 0
    removed_files: int = 0
    missing_files: int = 0
    removed: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()

    def as_json(self) -> dict[str, object]:
        """Return it in types that JSON has."""
        return asdict(self)


def recover(connection: sqlite3.Connection, data_dir: Path) -> RecoveryReport:
    """Put in order what runs that were broken off have left behind.

    Nothing is removed but files with names of ours, in folders of those runs, without a record.

    Raises
    ------
    OutputError
        If the database is damaged. Nothing was changed then.
    """
    finish_removing(connection, data_dir)
    runs = connection.execute("SELECT * FROM runs WHERE ending IS NULL ORDER BY number").fetchall()
    if not runs:
        return RecoveryReport()
    checked = _check(connection, data_dir)
    lost = 0
    removed: list[str] = []
    missing: list[str] = []
    for run in runs:
        there = set(files_of_run(data_dir, run_folder(run["id"], run["started"])))
        named = _named(connection, run["id"])
        remove_files(data_dir, sorted(there - named))
        removed += sorted(there - named)
        missing += sorted(named - there)
        counts = read_counts(run)
        lost += counts.settle("daemon_lost")
        with transaction(connection):
            write_counts(connection, run["id"], counts)
            connection.execute("UPDATE runs SET ending = 'broken_off' WHERE id = ?", (run["id"],))
    return RecoveryReport(
        broken_off=tuple(run["id"] for run in runs),
        checked=checked,
        lost_in_flight=lost,
        removed_files=len(removed),
        missing_files=len(missing),
        removed=tuple(removed[:_NAMED]),
        missing=tuple(missing[:_NAMED]),
    )


def _named(connection: sqlite3.Connection, run: str) -> set[str]:
    """Return the files that the records of a run name."""
    rows = connection.execute("SELECT labels_file, frame_file, overlay_file FROM frames WHERE run = ?", (run,))
    return {file for row in rows for file in row if file is not None}


def _check(connection: sqlite3.Connection, data_dir: Path) -> str:
    deadline = time.monotonic() + _CHECK
    connection.set_progress_handler(lambda: int(time.monotonic() > deadline), 100_000)
    try:
        (said,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.OperationalError as error:
        if "interrupted" not in str(error):
            raise
        return "ok so far"
    finally:
        connection.set_progress_handler(None, 0)
    if said != "ok":
        raise OutputError(
            f"{data_dir / DATABASE} is damaged ({said}); nothing was changed: save what is in it with sqlite3's "
            ".recover, or name another --data-dir"
        )
    return "ok"


def begin_run(connection: sqlite3.Connection, run: RunFacts, model: str, pid: int, boot: str) -> None:
    """Write the row of a run that begins.

    Parameters
    ----------
    connection
        The database.
    run
        What is known of it.
    model
        The facts of its model as JSON.
    pid
        Of this process.
    boot
        Which start of the machine.
    """
    with transaction(connection):
        connection.execute("INSERT OR IGNORE INTO models VALUES (?, ?)", (run.model_hash, model))
        connection.execute(
            "INSERT OR IGNORE INTO configurations VALUES (?, ?)", (run.configuration_hash, run.configuration)
        )
        connection.execute(
            "INSERT INTO runs (id, started, version, pid, boot, model_hash, configuration_hash) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            (run.id, run.started, run.version, pid, boot, run.model_hash, run.configuration_hash),
        )


def end_run(connection: sqlite3.Connection, run: str, ended: float) -> None:
    """Write that a run has ended properly, in a transaction that is open."""
    connection.execute("UPDATE runs SET ended = ?, ending = 'closed' WHERE id = ?", (ended, run))
