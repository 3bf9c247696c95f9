"""What is in a data folder, read with SQLite alone, and held against what was announced."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import tifffile

if TYPE_CHECKING:
    from collections.abc import Iterable

    from unetplus_bench.endurance.proof import Proof
    from unetplus_bench.endurance.served import Announced

_DATABASE = "records.sqlite"
_FOLDERS = ("frames", "labels", "overlays")
_FILES = ("frame_file", "labels_file", "overlay_file")

SOUND = "the database is sound"
KEPT = "a frame that was announced is in the database as it was announced"
WHOLE = "a record has the rows of all its nuclei, and its files"
ONCE = "no frame is recorded twice"
BALANCED = "captured = processed + dropped"
NAMED = "every recorded file is named by a record"
COUNTED = "a run has as many new records as it has counted"


@dataclass(frozen=True)
class Ledger:
    """The content of a data folder whose daemon has ended.

    Attributes
    ----------
    integrity
        What SQLite says of the file; "ok" where there is nothing to say.
    frames
        Rows of `frames` by id.
    nuclei
        How many rows of `nuclei` a frame has, by its id.
    runs
        Rows of `runs`, oldest first; `dropped` by reason.
    events
        Kind and detail of every event.
    """

    integrity: str
    frames: dict[int, dict[str, Any]]
    nuclei: dict[int, int]
    runs: list[dict[str, Any]]
    events: list[tuple[str, dict[str, Any]]]


def read_ledger(data_dir: Path) -> Ledger:
    """Read the records of a folder, from a copy: what the daemon left stays as it is for the next one."""
    with TemporaryDirectory(prefix="unetplus-endurance-") as folder:
        for file in data_dir.glob(f"{_DATABASE}*"):
            if not file.name.endswith("-shm"):  # an index of the journal, made anew by whoever opens it
                shutil.copyfile(file, Path(folder) / file.name)
        connection = sqlite3.connect(Path(folder) / _DATABASE)
        connection.row_factory = sqlite3.Row
        try:
            if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'frames'").fetchone():
                return Ledger("ok", {}, {}, [], [])  # it was killed before it had made its tables
            (integrity,) = connection.execute("PRAGMA integrity_check").fetchone()
            frames = {row["id"]: dict(row) for row in connection.execute("SELECT * FROM frames ORDER BY id")}
            nuclei = dict(connection.execute("SELECT frame, count(*) FROM nuclei GROUP BY frame").fetchall())
            runs = [dict(row) for row in connection.execute("SELECT * FROM runs ORDER BY number")]
            events = connection.execute("SELECT kind, detail FROM events ORDER BY id").fetchall()
        finally:
            connection.close()
    return Ledger(
        integrity,
        frames,
        nuclei,
        [run | {"dropped": json.loads(run["dropped"])} for run in runs],
        [(kind, json.loads(detail)) for kind, detail in events],
    )


def audit(
    proof: Proof, data_dir: Path, announced: Iterable[Announced], *, finished: bool, nuclei: bool = True
) -> Ledger:
    """Hold a data folder whose daemon has ended against what was announced.

    Parameters
    ----------
    proof
        Where it is said whether the claims of this module hold.
    data_dir
        The folder.
    announced
        Frames that are to be in it; the rows of these alone are looked at closely.
    finished
        Whether the last run has ended properly, so that the counts of all runs are final.
    nuclei
        Whether there is a row a nucleus.
    """
    ledger = read_ledger(data_dir)
    proof.claim(SOUND, ledger.integrity == "ok", ledger.integrity)
    for one in announced:
        row = ledger.frames.get(one.id)
        told = (one.life, one.sequence, one.nuclei)
        there = None if row is None else (row["life"], row["sequence"], row["nuclei"])
        # A page of a file that was committed before is announced with its old record.
        same = there is not None and (there == told or (one.file is not None and there[2] == told[2]))
        if proof.claim(KEPT, same, f"{one}: {row}") and row is not None:
            lacking = _lacking(row, ledger, data_dir, nuclei=nuclei)
            proof.claim(WHOLE, not lacking, f"frame {one.id}: {lacking}")
    keys = [(row["run"], row["life"], row["sequence"]) for row in ledger.frames.values()]
    pages = [
        (row["file_path"], row["file_size"], row["file_mtime_ns"], row["file_page"])
        for row in ledger.frames.values()
        if row["file_path"] is not None
    ]
    twice = [key for many in (keys, pages) for key, times in Counter(many).items() if times > 1]
    proof.claim(ONCE, not twice, twice[:3])
    if finished:
        named = {row[file] for row in ledger.frames.values() for file in _FILES}
        found = {
            path.relative_to(data_dir).as_posix()
            for folder in _FOLDERS
            for path in (data_dir / folder).rglob("*")
            if path.is_file()
        }
        proof.claim(NAMED, found <= named, sorted(found - named)[:3])
        for run in ledger.runs:
            lost = sum(run["dropped"].values())
            what = {name: run[name] for name in ("captured", "processed", "replayed", "dropped", "ending")}
            proof.claim(BALANCED, run["captured"] == run["processed"] + lost, what)
            rows = sum(row["run"] == run["id"] for row in ledger.frames.values())
            proof.claim(COUNTED, rows == run["processed"] - run["replayed"], f"{rows} records, {what}")
    return ledger


def _lacking(row: dict[str, Any], ledger: Ledger, data_dir: Path, *, nuclei: bool) -> str:
    if nuclei and row["recording"] and ledger.nuclei.get(row["id"], 0) != row["nuclei"]:
        return f"{ledger.nuclei.get(row['id'], 0)} rows of {row['nuclei']} nuclei"
    for name in (row["frame_file"], row["labels_file"]):
        if name is None:
            continue
        try:
            shape = tifffile.imread(data_dir / name).shape
        except (OSError, ValueError) as error:
            return f"{name}: {error}"
        if shape != (row["height"], row["width"]):
            return f"{name} has the shape {shape}"
    return ""
