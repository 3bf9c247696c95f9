from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from unetplus_edge.errors import OutputError
from unetplus_runtime.formats import result_paths
from unetplus_runtime.results import SummaryRow
from unetplus_runtime.run_record import RECORD, FileStamp, Record, continued, read_record, stamp_of

if TYPE_CHECKING:
    from pathlib import Path

STAMP = FileStamp(path="/in/\udcff.png", size=10, modified=1_700_000_000_123_456_789)
ROW = SummaryRow("day/a", "in/\udcff.png", 1, 0.1 + 0.2, "OME-XML", 40, 50, 2, 1 / 3, 0.0125)
SETTINGS = {"model": "abc", "--channel": "None"}


def test_what_was_written_is_read(tmp_path: Path) -> None:
    with continued(tmp_path / "out", Record(), SETTINGS, ["day/a", "b"]) as record:
        record.add(STAMP, ROW)
    found = read_record(tmp_path / "out")
    assert found.settings == SETTINGS
    assert found.claimed == {"day/a", "b"}
    assert found.done == {"day/a": (STAMP, ROW)}
    assert found.length == (tmp_path / "out" / RECORD).stat().st_size


def test_a_frame_is_finished_while_its_results_are_there(tmp_path: Path) -> None:
    record = Record(SETTINGS, frozenset({"day/a"}), {"day/a": (STAMP, ROW)})
    assert record.finished("b", []) is None
    paths = result_paths(tmp_path, "day/a")
    for path in paths:
        assert record.finished("day/a", paths) is None
        path.parent.mkdir(exist_ok=True)
        path.touch()
    assert record.finished("day/a", paths) == ROW


def test_without_a_record_there_is_an_empty_one(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for out in (tmp_path, tmp_path / "nowhere", tmp_path / "file"):
        assert read_record(out) == Record()


def test_half_a_line_and_what_follows_are_not_read_and_written_over(tmp_path: Path) -> None:
    with continued(tmp_path, Record(), SETTINGS, ["day/a", "b"]) as record:
        record.add(STAMP, ROW)
    path = tmp_path / RECORD
    whole = path.read_bytes()
    for tail in (b'{"file": {"path"', b"\0" * 20 + b"\n", b"[" * 100_000 + b"\n", b'{"other": 1}\n' + whole):
        path.write_bytes(whole + tail)
        found = read_record(tmp_path)
        assert found.length == len(whole)
        with continued(tmp_path, found, SETTINGS, ["c"]):
            pass
        assert path.read_bytes() == whole + b'{"frames": ["c"]}\n'


def test_half_a_first_line_is_no_record(tmp_path: Path) -> None:
    (tmp_path / RECORD).write_text('{"settings": {"mod')
    assert read_record(tmp_path) == Record()
    with continued(tmp_path, Record(), SETTINGS, ["a"]):
        pass
    assert read_record(tmp_path).settings == SETTINGS


def test_a_finished_run_leaves_no_record(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    for out in (tmp_path / "kept", tmp_path / "made"):
        with continued(out, Record(), SETTINGS, ["a"]) as record:
            record.finish()
        assert not (out / RECORD).exists()
    assert (tmp_path / "kept").exists()
    assert not (tmp_path / "made").exists()


def test_a_run_that_fails_keeps_its_record(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), continued(tmp_path, Record(), SETTINGS, ["a"]):
        raise ZeroDivisionError
    assert read_record(tmp_path).settings == SETTINGS


def test_other_settings_are_refused_and_named(tmp_path: Path) -> None:
    with continued(tmp_path, Record(), SETTINGS, ["a"]):
        pass
    before = (tmp_path / RECORD).read_bytes()
    for settings, name in (({**SETTINGS, "model": "x"}, "model"), ({"model": "abc"}, "--channel")):
        with (
            pytest.raises(OutputError, match=f"an unfinished run with another {name}"),
            continued(tmp_path, read_record(tmp_path), settings, ["a"]),
        ):
            pass
    assert (tmp_path / RECORD).read_bytes() == before


def test_a_record_that_is_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / RECORD).mkdir()
    with pytest.raises(OutputError, match=r"unfinished\.jsonl cannot be written \(Is a directory\)"):
        read_record(tmp_path)


def test_a_stamp_tells_files_apart(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / "a")
    assert stamp_of(tmp_path / "a") == stamp_of(tmp_path / "link") == stamp_of(tmp_path / "a")
    assert stamp_of(tmp_path / "a") != stamp_of(tmp_path / "b")
    before = stamp_of(tmp_path / "a")
    (tmp_path / "a").write_text("xy")
    assert stamp_of(tmp_path / "a") != before
