from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

import pytest

from unetplus_edge.errors import OutputError
from unetplus_runtime.configuration import Recording, Retention
from unetplus_runtime.records import RecordReader
from unetplus_runtime.records.space import Space

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from unetplus_runtime.records import RecordingState

ALL = Recording(labels=True, frames=True, overlays=True)


class Disk(Space):
    """As much is free as a test says."""

    bytes_free = 1000

    def free(self) -> int:
        return self.bytes_free


@pytest.fixture
def changes() -> list[RecordingState]:
    return []


@pytest.fixture
def disk(tmp_path: Path, changes: list[RecordingState]) -> Disk:
    return Disk(tmp_path, 600, changes.append)


def test_recording_stops_where_too_little_is_free(disk: Disk, changes: list[RecordingState]) -> None:
    disk.bytes_free = 599
    disk.look()
    assert (disk.state.active, disk.state.held, disk.state.free_bytes) == (False, False, 599)
    assert "are to stay free (retention.min_free): frames are counted" in disk.state.reason
    assert changes == [disk.state]
    assert not disk.may_try()


def test_recording_goes_on_once_clearly_enough_is_free(disk: Disk, changes: list[RecordingState]) -> None:
    for free, active in ((599, False), (605, False), (640, True), (605, True)):
        disk.bytes_free = free
        disk.look()
        assert disk.state.active is active
    assert [change.active for change in changes] == [False, True]


def test_after_a_failure_recording_is_tried_again_after_ever_longer_pauses(
    disk: Disk, changes: list[RecordingState], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr("unetplus_runtime.records.space.time.monotonic", lambda: now)
    tried = []
    while now < 40:
        if disk.may_try():
            tried.append(now)
            disk.failed("x cannot be written")
        disk.look()
        now += 0.5
    assert tried == [0, 1, 3, 7, 15, 31]
    assert [change.active for change in changes] == [False]
    disk.worked(recorded=True)
    assert [change.active for change in changes] == [False, True]


def test_frames_that_are_held_back_are_a_state_of_their_own(disk: Disk, changes: list[RecordingState]) -> None:
    disk.hold("the database cannot be written")
    disk.look()
    assert disk.state.held
    assert not disk.state.active
    assert "frames wait" in disk.state.reason
    disk.worked(recorded=False)
    assert [(change.active, change.held) for change in changes] == [(False, True), (True, False)]


def test_below_the_least_free_space_frames_are_counted_and_nothing_else_is_kept(
    tmp_path: Path, open_store: Any, make_frame: Any, put: Any, told: Any
) -> None:
    with open_store(tmp_path, keep=ALL, retention=Retention(min_free=2**60)) as store:
        assert not store.recording.active
        put(store, make_frame(0), told)
        assert store.flush(120)
        store.apply(interval=0.01, recording=ALL, retention=Retention(min_free=0))
        assert_soon(lambda: store.recording.active)
        put(store, make_frame(1), told)
    first, second = (one.record for one in told.commits)
    assert (first.nuclei, first.recording, first.files) == (3, False, ())
    assert (second.recording, len(second.files)) == (True, 3)
    with RecordReader(tmp_path) as reader:
        assert [len(reader.nuclei(number)) for number in (1, 2)] == [0, 3]
        assert [event.kind for event in reader.events()] == ["recording stopped", "recording resumed"]


def assert_soon(condition: Callable[[], bool]) -> None:
    pause = Event()
    for _ in range(6000):
        if condition():
            return
        pause.wait(0.01)
    pytest.fail("it did not happen in 60 s")


def test_a_file_that_cannot_be_written_stops_recording_and_not_counting(
    tmp_path: Path, open_store: Any, make_frame: Any, put: Any, told: Any
) -> None:
    (tmp_path / "overlays").write_text("somebody's file where our folder should be")
    with open_store(tmp_path, keep=ALL) as store:
        put(store, make_frame(), told)
        assert store.flush(120)
        assert not store.recording.active
        assert "overlays" in store.recording.reason
        assert "cannot be written (Not a directory): frames are counted" in store.recording.reason
    record = told.commits[0].record
    assert (record.nuclei, record.recording, record.files) == (3, False, ())
    assert not [path for path in tmp_path.rglob("*.tif") if path.is_file()], "all files of a frame, or none"


def test_on_a_full_disk_frames_wait_and_all_goes_on_when_there_is_room(
    tmp_path: Path, places: Any, open_store: Any, make_frame: Any, put: Any, told: Any
) -> None:
    data = tmp_path / "disk"
    with places.mounted(data, "size=8m"):
        store = open_store(data, keep=Recording(frames=True))
        put(store, make_frame(0), told)
        assert store.flush(120)
        fill(data / "filling")
        all_in = Event()

        def put_many() -> None:
            for sequence in range(1, 401):
                put(store, make_frame(sequence), told)
            all_in.set()

        thread = Thread(target=put_many, daemon=True)
        thread.start()
        assert_soon(lambda: store.recording.held)
        assert "frames wait" in store.recording.reason
        announced = len(told.commits)
        with RecordReader(data) as reader:
            assert reader.totals().processed == announced, "nothing is announced that is not on the disk"
        assert announced < 401
        assert not all_in.is_set(), "who puts waits"
        (data / "filling").unlink()
        assert all_in.wait(120)
        thread.join()
        assert store.flush(120)
        assert told.ids == list(range(1, 402))
        assert not store.recording.held
        assert store.close() == 0
        assert not list(data.rglob(".unfinished*"))
        named = {file for one in told.commits for file in one.record.files}
        assert {path.relative_to(data).as_posix() for path in data.glob("*/*/*/*")} == named


def test_closing_gives_up_what_a_full_disk_does_not_take(
    tmp_path: Path, places: Any, open_store: Any, make_frame: Any, put: Any, told: Any
) -> None:
    data = tmp_path / "disk"
    with places.mounted(data, "size=2m"):
        store = open_store(data)
        fill(data / "filling")
        put_until_held(store, put, make_frame, told)
        left = store.close(timeout=0.1)
        assert left > 0
        with pytest.raises(OutputError, match="nothing is recorded any more"):
            put(store, make_frame(99_999))
        (data / "filling").unlink()
        with open_store(data) as again:
            assert again.totals().processed == len(told.commits)
            assert again.recovery.checked == "ok"


def test_where_that_is_asked_for_the_oldest_makes_room(
    tmp_path: Path, places: Any, open_store: Any, make_frame: Any, put: Any, told: Any
) -> None:
    data, enough = tmp_path / "disk", 2 << 20
    with places.mounted(data, "size=8m"):
        retention = Retention(min_free=enough, delete_oldest=True)
        with open_store(data, keep=Recording(frames=True), retention=retention) as store:
            for sequence in range(300):
                put(store, make_frame(sequence), told)
            assert store.flush(120)
            free = store.recording.free_bytes
            with (data / "filling").open("wb") as file:
                file.write(bytes(free - enough + 400_000))
            assert_soon(lambda: free_bytes(data) >= enough and store.recording.active)
            put(store, make_frame(300), told)
        with RecordReader(data) as reader:
            kept = [one.id for one in reader.frames()]
        assert kept == list(range(302 - len(kept), 302)), "the youngest are there"
        assert 50 < len(kept) < 280
        assert told.commits[-1].record.recording
        assert len(list(data.glob("frames/*/*/*.tif"))) == len(kept)


def free_bytes(folder: Path) -> int:
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize


def test_records_cannot_begin_on_a_full_disk(tmp_path: Path, places: Any, open_store: Any) -> None:
    data = tmp_path / "disk"
    with places.mounted(data, "size=64k"):
        fill(data / "filling")
        with pytest.raises(OutputError, match=r"cannot be written .*; free the disk, or name another --data-dir"):
            open_store(data)


def fill(path: Path) -> None:
    """Fill a disk to the last byte."""
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(bytes(4096)):
            pass


def put_until_held(store: Any, put: Any, make_frame: Any, told: Any) -> None:
    sequence = 0
    while not store.recording.held:
        put(store, make_frame(sequence), told, timeout=0.05)
        sequence += 1
        assert sequence < 50_000, "the disk is never full"


def test_somebody_who_holds_the_database_for_a_while_does_no_harm(
    tmp_path: Path, open_store: Any, make_frame: Any, put: Any, told: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("unetplus_runtime.records.schema._PATIENCE", 0.05)
    with open_store(tmp_path) as store:
        other = sqlite3.connect(tmp_path / "records.sqlite", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        put(store, make_frame(), told)
        assert_soon(lambda: store.recording.held)
        assert told.ids == []
        assert "is locked" in store.recording.reason
        other.execute("ROLLBACK")
        other.close()
        assert store.flush(120)
    assert told.ids == [1]
