"""The database of records: its tables, and how it is opened."""

from __future__ import annotations

import os
import sqlite3
from typing import TYPE_CHECKING
from urllib.parse import quote

from unetplus_edge.errors import InputError, OutputError

if TYPE_CHECKING:
    from pathlib import Path

DATABASE = "records.sqlite"
SCHEMA_VERSION = 1

_APPLICATION_ID = 0x554E4550  # "UNEP"
_PATIENCE = 5.0  # seconds to wait for somebody who has locked the database
_JOURNAL_BYTES = 64 << 20  # what the journal keeps of the disk after it was larger

_TABLES = """
CREATE TABLE models (
    hash TEXT PRIMARY KEY,
    facts TEXT NOT NULL                 -- JSON
) WITHOUT ROWID;

CREATE TABLE configurations (
    hash TEXT PRIMARY KEY,
    settings TEXT NOT NULL              -- JSON, without passwords
) WITHOUT ROWID;

CREATE TABLE runs (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    started REAL NOT NULL,              -- UTC, seconds since 1970
    ended REAL,
    ending TEXT,                        -- closed, broken_off; NULL: it goes on, or nobody has looked since
    version TEXT NOT NULL,
    pid INTEGER NOT NULL,
    boot TEXT NOT NULL,                 -- of the machine: monotonic times compare within one
    model_hash TEXT NOT NULL REFERENCES models,
    configuration_hash TEXT NOT NULL REFERENCES configurations,
    captured INTEGER NOT NULL DEFAULT 0,
    processed INTEGER NOT NULL DEFAULT 0,
    replayed INTEGER NOT NULL DEFAULT 0,
    dropped TEXT NOT NULL DEFAULT '{}', -- JSON: frames by reason
    nuclei INTEGER NOT NULL DEFAULT 0
);

CREATE TABLE frames (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    run TEXT NOT NULL REFERENCES runs (id),
    life INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    camera TEXT NOT NULL,
    source TEXT NOT NULL,
    simulated INTEGER NOT NULL,
    captured REAL NOT NULL,
    captured_monotonic REAL NOT NULL,
    device_time REAL,
    processed REAL NOT NULL,
    height INTEGER NOT NULL,
    width INTEGER NOT NULL,
    dtype TEXT NOT NULL,
    pixel_size REAL,                    -- micrometres
    nuclei INTEGER NOT NULL,
    area_mean REAL,                     -- pixels
    area_median REAL,
    area_std REAL,
    eccentricity_mean REAL,
    intensity_mean REAL,
    intensity_std REAL,
    on_border INTEGER NOT NULL,
    timings TEXT NOT NULL,              -- JSON: seconds by stage
    metadata TEXT NOT NULL,             -- JSON
    model_hash TEXT NOT NULL,
    configuration_hash TEXT NOT NULL,
    file_path TEXT,                     -- a path that is no Unicode is a BLOB
    file_size INTEGER,
    file_mtime_ns INTEGER,
    file_page INTEGER,                  -- counted from 0
    file_pages INTEGER,
    labels_file TEXT,                   -- below the data folder
    frame_file TEXT,
    overlay_file TEXT,
    file_bytes INTEGER NOT NULL,
    recording INTEGER NOT NULL,
    UNIQUE (run, life, sequence)
);

CREATE TABLE nuclei (
    frame INTEGER NOT NULL REFERENCES frames (id) ON DELETE CASCADE,
    label INTEGER NOT NULL,
    area INTEGER NOT NULL,              -- pixels
    centroid_y REAL NOT NULL,
    centroid_x REAL NOT NULL,
    bbox_top INTEGER NOT NULL,
    bbox_left INTEGER NOT NULL,
    bbox_bottom INTEGER NOT NULL,
    bbox_right INTEGER NOT NULL,
    equivalent_diameter REAL NOT NULL,
    eccentricity REAL NOT NULL,
    intensity_mean REAL NOT NULL,
    intensity_min REAL NOT NULL,
    intensity_max REAL NOT NULL,
    touches_border INTEGER NOT NULL,
    PRIMARY KEY (frame, label)
) WITHOUT ROWID;

CREATE TABLE settled (                  -- pages of files that are not to be read again
    path TEXT NOT NULL,
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    page INTEGER NOT NULL,
    pages INTEGER NOT NULL,
    frame INTEGER,                      -- its record, which retention may have removed; NULL where it was dropped
    reason TEXT,                        -- why it was dropped
    PRIMARY KEY (path, size, mtime_ns, page)
) WITHOUT ROWID;

CREATE TABLE events (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    run TEXT NOT NULL REFERENCES runs (id),
    wall REAL NOT NULL,                 -- UTC, seconds since 1970
    monotonic REAL NOT NULL,
    after_frame INTEGER NOT NULL,       -- the frame that was committed last
    kind TEXT NOT NULL,
    detail TEXT NOT NULL                -- JSON
);

CREATE TABLE removing (file TEXT PRIMARY KEY) WITHOUT ROWID;  -- files that retention is about to remove

CREATE VIEW nuclei_um AS
SELECT nuclei.*,
       area * pixel_size * pixel_size AS area_um2,
       centroid_y * pixel_size AS centroid_y_um,
       centroid_x * pixel_size AS centroid_x_um,
       equivalent_diameter * pixel_size AS equivalent_diameter_um
FROM nuclei JOIN frames ON frames.id = nuclei.frame;
"""


def open_database(folder: Path) -> sqlite3.Connection:
    """Open the database of a data folder for writing, and make it if there is none.

    A transaction that has ended is on the disk.

    Parameters
    ----------
    folder
        The data folder. Who calls this holds its lock.

    Returns
    -------
    sqlite3.Connection
        In autocommit mode; any thread may use it, one at a time.

    Raises
    ------
    OutputError
        If it is no database of records, or one of a newer version, or is damaged, or the system
        does not write it.
    """
    path = folder / DATABASE
    try:
        connection = sqlite3.connect(path, timeout=_PATIENCE, isolation_level=None, check_same_thread=False)
        connection.row_factory = sqlite3.Row
    except sqlite3.Error as error:
        raise unusable(path, error) from error
    try:
        version = _version_of(connection)
        if version is None:
            raise OutputError(f"{path} is no database of records; name another --data-dir")
        if version > SCHEMA_VERSION:
            raise OutputError(
                f"{path} is of schema {version}, this program writes {SCHEMA_VERSION}; update unetplus-edge, or name "
                "another --data-dir"
            )
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # of effect before there are tables
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(f"PRAGMA journal_size_limit = {_JOURNAL_BYTES}")
        if version == 0:
            connection.executescript(
                f"BEGIN IMMEDIATE; {_TABLES} PRAGMA application_id = {_APPLICATION_ID}; "
                f"PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;"
            )
    except sqlite3.Error as error:
        connection.close()
        raise unusable(path, error) from error
    except OutputError:
        connection.close()
        raise
    return connection


def open_for_reading(folder: Path) -> sqlite3.Connection:
    """Open the database of a data folder for reading, whether or not a daemon writes it.

    Raises
    ------
    InputError
        If there are no records, or they cannot be read.
    """
    path = folder / DATABASE
    if not path.is_file():
        raise InputError(f"there are no records in {folder}; name the --data-dir of the daemon")
    # Reading a database with a journal takes a file of shared memory beside it: where none can be
    # made, nobody can be writing either.
    still = not os.access(folder, os.W_OK) and not path.with_name(f"{DATABASE}-wal").exists()
    where = f"file:{quote(os.fsencode(path))}?{'immutable=1' if still else 'mode=ro'}"
    try:
        connection = sqlite3.connect(where, uri=True, timeout=_PATIENCE, isolation_level=None, check_same_thread=False)
        connection.row_factory = sqlite3.Row
        version = _version_of(connection)
    except sqlite3.Error as error:
        raise InputError(f"{path} cannot be read ({error}); look at it with sqlite3, or name another one") from error
    if version != SCHEMA_VERSION:
        connection.close()
        if version is not None and version > SCHEMA_VERSION:
            raise InputError(
                f"{path} is of schema {version}, this program reads {SCHEMA_VERSION}; update unetplus-edge"
            )
        raise InputError(f"{path} is no database of records; name the --data-dir of a daemon")
    return connection


def unusable(path: Path, error: sqlite3.Error) -> OutputError:
    """Return the error of a database that cannot be used."""
    if "malformed" in str(error) or "not a database" in str(error):
        return OutputError(
            f"{path} is damaged ({error}); nothing was changed: save what is in it with sqlite3's .recover, or name "
            "another --data-dir"
        )
    return OutputError(f"{path} cannot be written ({error}); free the disk, or name another --data-dir")


def is_passing(error: sqlite3.Error) -> bool:
    """Return whether the same may work later: the disk is full, or somebody holds the database."""
    # The codes of SQLite are only there from Python 3.11 on.
    sentences = ("is full", "disk I/O error", "is locked", "unable to open", "readonly database")
    return isinstance(error, sqlite3.OperationalError) and any(sentence in str(error) for sentence in sentences)


def _version_of(connection: sqlite3.Connection) -> int | None:
    """Return the version of the schema, 0 where there is nothing yet, None where it is another program's."""
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application == _APPLICATION_ID:
        return int(version)
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    return None if application or version or tables else 0
