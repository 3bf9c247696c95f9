from __future__ import annotations

import sqlite3
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import pytest

from unetplus_edge.errors import InputError, OutputError
from unetplus_edge.imaging import Nuclei
from unetplus_runtime.records import FrameRecord, RecordReader
from unetplus_runtime.records.schema import open_database

if TYPE_CHECKING:
    from pathlib import Path


def columns(folder: Path, table: str) -> set[str]:
    connection = open_database(folder)
    try:
        return {row["name"] for row in connection.execute(f"PRAGMA table_info({table})")}
    finally:
        connection.close()


def change(folder: Path, statement: str) -> bytes:
    open_database(folder).close()
    connection = sqlite3.connect(folder / "records.sqlite")
    connection.execute(statement)
    connection.close()
    return (folder / "records.sqlite").read_bytes()


def test_every_measurement_of_a_nucleus_has_a_column(tmp_path: Path) -> None:
    assert columns(tmp_path, "nuclei") == {field.name for field in fields(Nuclei)} - {"pixel_size"} | {"frame"}


def test_every_field_of_a_record_has_a_column(tmp_path: Path) -> None:
    names = {field.name for field in fields(FrameRecord)}
    assert names - {"file"} | {"id", "file_path", "file_size", "file_mtime_ns", "file_page", "file_pages"} == columns(
        tmp_path, "frames"
    )


def test_a_transaction_that_has_ended_is_on_the_disk(tmp_path: Path) -> None:
    connection = open_database(tmp_path)
    said = [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")]
    connection.close()
    assert said == ["wal", 2], "2 is FULL"


def test_pages_of_what_was_removed_can_be_given_back(tmp_path: Path) -> None:
    connection = open_database(tmp_path)
    (vacuum,) = connection.execute("PRAGMA auto_vacuum").fetchone()
    connection.close()
    assert vacuum == 2, "2 is INCREMENTAL"


def test_a_database_of_a_newer_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    before = change(tmp_path, "PRAGMA user_version = 99")
    with pytest.raises(OutputError, match="is of schema 99, this program writes 1; update unetplus-edge"):
        open_database(tmp_path)
    with pytest.raises(InputError, match="is of schema 99, this program reads 1; update unetplus-edge"):
        RecordReader(tmp_path)
    assert (tmp_path / "records.sqlite").read_bytes() == before


def test_a_database_of_another_program_is_refused_and_left_alone(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "records.sqlite")
    connection.execute("CREATE TABLE letters (text)")
    connection.close()
    before = (tmp_path / "records.sqlite").read_bytes()
    with pytest.raises(OutputError, match="is no database of records"):
        open_database(tmp_path)
    with pytest.raises(InputError, match="is no database of records"):
        RecordReader(tmp_path)
    assert (tmp_path / "records.sqlite").read_bytes() == before


def test_what_is_no_database_is_refused_and_left_alone(tmp_path: Path, open_store: Any) -> None:
    (tmp_path / "records.sqlite").write_bytes(b"precious" * 1000)
    with pytest.raises(OutputError, match=r"is damaged \(file is not a database\); nothing was changed"):
        open_store(tmp_path)
    with pytest.raises(InputError, match="cannot be read"):
        RecordReader(tmp_path)
    assert (tmp_path / "records.sqlite").read_bytes() == b"precious" * 1000


def test_a_folder_without_records_is_refused_for_reading(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there are no records in"):
        RecordReader(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_creation_that_was_broken_off_is_begun_anew(tmp_path: Path) -> None:
    (tmp_path / "records.sqlite").touch()
    assert "sequence" in columns(tmp_path, "frames")


def test_micrometres_are_computed_where_the_pixel_size_is_known(
    tmp_path: Path, open_store: Any, make_frame: Any, put: Any
) -> None:
    with open_store(tmp_path) as store:
        put(store, make_frame())
    connection = sqlite3.connect(tmp_path / "records.sqlite")
    found = connection.execute("SELECT label, area_um2, centroid_y_um FROM nuclei_um").fetchall()
    connection.close()
    assert found == [(1, 5.0, 3.25), (2, 5.0, 10.25), (3, 2.5, 19.25)]
