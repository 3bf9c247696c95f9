from __future__ import annotations

import csv
import json
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from unetplus_runtime.configuration import Recording
from unetplus_runtime.records.export import export_results

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NOON = datetime(2026, 5, 17, 12, tzinfo=timezone.utc).timestamp()


@pytest.fixture
def data(tmp_path: Path, open_store: Any, make_frame: Any, put: Any) -> Path:
    """Two runs: three frames, one a minute from noon on, then a simulated one."""
    folder = tmp_path / "data"
    with open_store(folder, run="aaaa-1", keep=Recording(labels=True)) as store:
        for sequence in range(3):
            put(store, make_frame(sequence, wall=NOON + 60 * sequence + 0.123456))
    with open_store(folder, run="bbbb-2") as store:
        put(store, make_frame(9, wall=NOON + 600), simulated=True)
    return folder


@pytest.fixture
def export(data: Path, tmp_path: Path) -> Callable[..., Any]:
    def run(*options: str, out: str = "t.csv") -> Any:
        arguments = ["--data-dir", str(data), "--out", str(tmp_path / out), *options]
        return CliRunner().invoke(export_results, arguments)

    return run


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_table_of_frames_has_a_row_a_frame(export: Any, tmp_path: Path) -> None:
    result = export()
    assert result.exit_code == 0, result.output
    assert result.output == f"4 frames in {tmp_path / 't.csv'}\n"
    rows = table(tmp_path / "t.csv")
    assert [row["id"] for row in rows] == ["1", "2", "3", "4"]
    assert [row["sequence"] for row in rows] == ["0", "1", "2", "9"]
    assert [row["nuclei"] for row in rows] == ["3"] * 4
    assert [row["simulated"] for row in rows] == ["0", "0", "0", "1"]
    assert rows[1]["captured"] == f"{NOON + 60.123456:.6f}"
    assert rows[1]["captured_utc"] == "2026-05-17T12:01:00.123456+00:00"
    assert json.loads(rows[1]["metadata"])["exposure_ms"] == 5
    assert rows[1]["labels_file"].endswith("0-0000000001_labels.tif")


def test_a_table_of_nuclei_has_a_row_a_nucleus(export: Any, tmp_path: Path) -> None:
    assert export("--nuclei").output == f"12 nuclei in {tmp_path / 't.csv'}\n"
    rows = table(tmp_path / "t.csv")
    assert [(row["frame"], row["label"], row["area"]) for row in rows[:4]] == [
        ("1", "1", "20"),
        ("1", "2", "20"),
        ("1", "3", "10"),
        ("2", "1", "20"),
    ]
    assert [row["touches_border"] for row in rows[:3]] == ["0", "0", "1"]
    assert [row["area_um2"] for row in rows[:3]] == ["5", "5", "2.5"], "pixels of half a micrometre"
    assert {row["simulated"] for row in rows[9:]} == {"1"}


@pytest.mark.parametrize("nuclei", [(), ("--nuclei",)])
def test_parquet_holds_what_csv_holds(export: Any, tmp_path: Path, nuclei: tuple[str, ...]) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    assert export(*nuclei).exit_code == 0
    result = export(*nuclei, out="t.parquet")
    assert result.exit_code == 0, result.output
    rows = parquet.read_table(tmp_path / "t.parquet").to_pylist()
    assert len(rows) == (12 if nuclei else 4)
    for row, text in zip(rows, table(tmp_path / "t.csv"), strict=True):
        assert list(row) == list(text)
        for column, value in row.items():
            if isinstance(value, bool):
                assert text[column] == str(int(value))
            elif isinstance(value, float):
                assert float(text[column]) == pytest.approx(value, rel=1e-6)
            else:
                assert text[column] == ("" if value is None else str(value))


@pytest.mark.parametrize(
    ("options", "ids"),
    [
        (["--run", "last"], ["4"]),
        (["--run", "aaaa"], ["1", "2", "3"]),
        (["--since", "2026-05-17T12:01:00"], ["2", "3", "4"]),
        (["--since", "2026-05-17T14:01:00+02:00", "--until", "2026-05-17T12:02:00Z"], ["2"]),
        (["--until", "2026-05-17"], []),
    ],
)
def test_frames_are_chosen_by_run_and_time(export: Any, tmp_path: Path, options: list[str], ids: list[str]) -> None:
    assert export(*options).exit_code == 0
    assert [row["id"] for row in table(tmp_path / "t.csv")] == ids


def test_what_a_daemon_has_committed_is_exported_while_it_goes_on(
    data: Path, export: Any, tmp_path: Path, open_store: Any, make_frame: Any, put: Any
) -> None:
    with open_store(data) as store:
        put(store, make_frame(0))
        assert store.flush(120)
        assert export("--quiet").output == ""
        put(store, make_frame(1))
        assert store.flush(120)
    assert len(table(tmp_path / "t.csv")) == 5


def test_many_rows_are_read_in_order(
    export: Any, data: Path, tmp_path: Path, open_store: Any, make_frame: Any, put: Any
) -> None:
    with open_store(data) as store:
        for sequence in range(1200):
            put(store, make_frame(sequence))
    export()
    assert [row["id"] for row in table(tmp_path / "t.csv")] == [str(number) for number in range(1, 1205)]


@pytest.mark.parametrize(
    ("options", "out", "code", "sentence"),
    [
        ([], "t.xls", 15, "end it in .csv or .parquet"),
        (["--run", "cccc"], "t.csv", 11, "there is no run cccc in"),
        (["--data-dir", "nowhere"], "t.csv", 11, "there are no records in nowhere"),
        (["--since", "yesterday"], "t.csv", 2, "yesterday is no time; write 2026-05-17"),
    ],
)
def test_what_cannot_be_exported_is_refused(
    export: Any, tmp_path: Path, options: list[str], out: str, code: int, sentence: str
) -> None:
    result = export(*options, out=out)
    assert result.exit_code == code
    assert sentence in result.stderr
    assert not (tmp_path / out).exists()


def test_a_table_that_exists_is_replaced_only_where_that_is_asked_for(export: Any, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("precious")
    result = export()
    assert (result.exit_code, "exists already; replace it with --overwrite" in result.stderr) == (15, True)
    assert (tmp_path / "t.csv").read_text() == "precious"
    assert export("--overwrite").exit_code == 0
    assert len(table(tmp_path / "t.csv")) == 4
