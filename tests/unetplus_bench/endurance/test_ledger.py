from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile

from unetplus_bench.endurance import ledger, proof, served
from unetplus_runtime.configuration import Recording, Retention
from unetplus_runtime.records import RecordStore, RunFacts

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_RUN = "a0e1"


def _told(**changes: Any) -> served.Announced:
    fields = {"id": 1, "life": 0, "sequence": 4, "nuclei": 2, "latency": 0.1, "file": None, "page": None, "heard": 0.0}
    return served.Announced(**(fields | changes))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with one frame of two nuclei, whose label image is there; its run has ended."""
    folder = tmp_path / "data"
    settings: dict[str, Any] = {"recording": Recording(), "retention": Retention(min_free=0)}
    run = RunFacts(_RUN, configuration="{}", configuration_hash="c", model_hash="m")
    RecordStore(folder, interval=0.02, run=run, **settings).close()
    (folder / "labels").mkdir(exist_ok=True)
    tifffile.imwrite(folder / "labels" / "a.tif", np.zeros((5, 7), np.uint16))
    with sqlite3.connect(folder / "records.sqlite") as connection:
        _insert(connection, "frames", id=1, run=_RUN, life=0, sequence=4, height=5, width=7, nuclei=2, recording=1)
        connection.execute("UPDATE frames SET labels_file = 'labels/a.tif'")
        for label in (1, 2):
            _insert(connection, "nuclei", frame=1, label=label)
        connection.execute("UPDATE runs SET captured = 3, processed = 1, dropped = '{\"newest_only\": 2}'")
    connection.close()
    return folder


def _insert(connection: sqlite3.Connection, table: str, **values: Any) -> None:
    """Insert a row; what a column must have besides is 0."""
    needed = [
        name
        for _, name, _, is_needed, default, is_key in connection.execute(f"PRAGMA table_info({table})")
        if is_needed and default is None and not is_key
    ]
    row = dict.fromkeys(needed, 0) | values
    marks = ", ".join("?" * len(row))
    connection.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})", tuple(row.values()))  # noqa: S608


def _failed(data: Path, *told: served.Announced) -> set[str]:
    seen = proof.Proof()
    ledger.audit(seen, data, told, finished=True)
    return {sentence for sentence, claim in seen.claims.items() if claim.failures}


def test_a_folder_in_which_everything_is_holds(data: Path) -> None:
    assert _failed(data, _told()) == set()


@pytest.mark.parametrize("changes", [{"id": 2}, {"nuclei": 3}, {"sequence": 5}, {"life": 1}])
def test_a_frame_that_was_announced_otherwise_is_missed(data: Path, changes: dict[str, int]) -> None:
    assert ledger.KEPT in _failed(data, _told(**changes))


def _change(statement: str) -> Callable[[Path], None]:
    def change(data: Path) -> None:
        with sqlite3.connect(data / "records.sqlite") as connection:
            connection.execute(statement)
        connection.close()

    return change


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (_change("DELETE FROM nuclei WHERE label = 2"), ledger.WHOLE),
        (lambda data: (data / "labels" / "a.tif").unlink(), ledger.WHOLE),
        (lambda data: tifffile.imwrite(data / "labels" / "a.tif", np.zeros((5, 6), np.uint16)), ledger.WHOLE),
        (_change("UPDATE runs SET captured = 4"), ledger.BALANCED),
        (_change("UPDATE runs SET processed = 2, captured = 4"), ledger.COUNTED),
    ],
)
def test_what_is_lacking_is_seen(data: Path, damage: Callable[[Path], None], sentence: str) -> None:
    damage(data)
    assert _failed(data, _told()) == {sentence}


def test_reading_changes_nothing(data: Path) -> None:
    before = {path: path.read_bytes() for path in data.rglob("*") if path.is_file()}
    ledger.read_ledger(data)
    assert {path: path.read_bytes() for path in data.rglob("*") if path.is_file()} == before


def test_a_folder_without_records_is_empty(tmp_path: Path) -> None:
    assert ledger.read_ledger(tmp_path).frames == {}
