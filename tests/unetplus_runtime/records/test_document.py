from __future__ import annotations

import doctest
import re
import sqlite3
from pathlib import Path

from unetplus_runtime.records.rows import FRAME_COLUMNS
from unetplus_runtime.records.schema import open_database

PAGE = Path(__file__).parents[3] / "docs" / "records.md"


def named() -> set[str]:
    return {*re.findall(r"`([A-Za-z_.]+)`", PAGE.read_text())}


def test_the_python_of_the_page_runs_as_shown() -> None:
    failed, tried = doctest.testfile(str(PAGE), module_relative=False)
    assert (failed, tried > 0) == (0, True)


def test_the_page_names_every_table_and_every_column_of_frames(tmp_path: Path) -> None:
    connection = open_database(tmp_path)
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'view')")}
    connection.close()
    internal = {"removing", "sqlite_sequence"}
    assert named() >= {*FRAME_COLUMNS, *tables} - internal


def test_the_queries_of_the_page_run(tmp_path: Path) -> None:
    open_database(tmp_path).close()
    queries = re.findall(r'"(SELECT .*?)"', PAGE.read_text())
    assert len(queries) == 2
    connection = sqlite3.connect(tmp_path / "records.sqlite")
    for query in queries:
        assert connection.execute(query).fetchall() == []
    connection.close()
