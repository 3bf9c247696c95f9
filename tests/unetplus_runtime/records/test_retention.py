from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from unetplus_runtime.configuration import Recording, Retention
from unetplus_runtime.records import RecordReader
from unetplus_runtime.records.retention import Keeper
from unetplus_runtime.records.schema import open_database

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

DAY = 86400.0
NOW = 1_800_000_000.0
FILES = Recording(frames=True)


class Wall:
    """A clock on the wall that shows what a test says."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def wall() -> Wall:
    return Wall()


@pytest.fixture
def fill(tmp_path: Path, open_store: Any, make_frame: Any, put: Any, wall: Wall) -> Callable[..., None]:
    """Commits a frame at each of these times, with an event before it."""

    def at(times: list[float], **options: Any) -> None:
        with open_store(tmp_path, keep=FILES, wall=wall, **options) as store:
            for sequence, moment in enumerate(times):
                wall.now = moment
                store.event("before", {"frame": sequence})
                put(store, make_frame(sequence, wall=moment))
                assert store.flush(120)
        wall.now = NOW

    return at


@pytest.fixture
def keeper(tmp_path: Path, wall: Wall) -> Iterator[Callable[..., Keeper]]:
    connections = []

    def make(**retention: Any) -> Keeper:
        connections.append(open_database(tmp_path))
        return Keeper(connections[-1], tmp_path, Retention(**retention), wall)

    yield make
    for connection in connections:
        connection.close()


def kept(folder: Path) -> tuple[list[int], int]:
    """Sequence numbers of frames with records, and how many files there are."""
    with RecordReader(folder) as reader:
        frames = [one.record.sequence for one in reader.frames()]
    return frames, len(list(folder.glob("frames/*/*/*.tif")))


def test_what_is_too_old_is_removed_with_its_files_and_nuclei(tmp_path: Path, fill: Any, keeper: Any) -> None:
    fill([NOW - 9 * DAY, NOW - 8 * DAY, NOW - 6 * DAY, NOW])
    removed = keeper(max_age=7).remove()
    assert (removed.frames, removed.more) == (2, False)
    assert kept(tmp_path) == ([2, 3], 2)
    with RecordReader(tmp_path) as reader:
        assert [len(reader.nuclei(number)) for number in (1, 2, 3, 4)] == [0, 0, 3, 3]


def test_by_default_nothing_is_removed(tmp_path: Path, fill: Any, keeper: Any) -> None:
    fill([NOW - 9000 * DAY, NOW])
    assert keeper().remove().frames == 0
    assert kept(tmp_path) == ([0, 1], 2)


def test_events_go_with_the_frames_that_came_after_them(tmp_path: Path, fill: Any, keeper: Any) -> None:
    fill([NOW - 9 * DAY, NOW - 8 * DAY, NOW - 6 * DAY, NOW])
    keeper(max_age=7).remove()
    with RecordReader(tmp_path) as reader:
        assert [event.detail["frame"] for event in reader.events() if event.kind == "before"] == [2, 3]


def test_old_events_go_where_no_frame_comes(tmp_path: Path, open_store: Any, wall: Wall, keeper: Any) -> None:
    with open_store(tmp_path, wall=wall) as store:
        for moment in (NOW - 9 * DAY, NOW):
            wall.now = moment
            store.event("camera", {"state": "offline"})
    keeper(max_age=7).remove()
    with RecordReader(tmp_path) as reader:
        assert [event.wall for event in reader.events()] == [NOW]


def test_a_frame_of_a_clock_that_was_wrong_removes_no_young_one_before_it(
    tmp_path: Path, fill: Any, keeper: Any
) -> None:
    fill([NOW - 9 * DAY, NOW - 1 * DAY, 0.0, NOW])
    keeper(max_age=7).remove()
    assert kept(tmp_path)[0] == [1, 2, 3]


def test_a_clock_that_jumps_far_ahead_removes_nothing(tmp_path: Path, fill: Any, keeper: Any, wall: Wall) -> None:
    fill([NOW - 1 * DAY, NOW])
    careful = keeper(max_age=7)
    wall.now = NOW + 50 * 365 * DAY
    assert careful.remove().frames == 0
    assert kept(tmp_path) == ([0, 1], 2)


def test_the_oldest_goes_where_all_is_too_much(tmp_path: Path, fill: Any, keeper: Any) -> None:
    fill([NOW] * 12)
    size = keeper().total_bytes()
    file = next(tmp_path.glob("frames/*/*/*.tif")).stat().st_size
    small = keeper(max_size=size - 4 * file)
    while small.remove().frames:
        pass
    frames, files = kept(tmp_path)
    assert frames == list(range(12 - len(frames), 12)), "the youngest are kept"
    assert 6 <= files == len(frames) <= 8
    assert small.total_bytes() <= size - 4 * file
    assert small.file_bytes == sum(path.stat().st_size for path in tmp_path.glob("frames/*/*/*.tif"))


def test_no_more_goes_than_the_disk_lacks(tmp_path: Path, fill: Any, keeper: Any) -> None:
    fill([NOW] * 6)
    file = next(tmp_path.glob("frames/*/*/*.tif")).stat().st_size
    assert keeper().remove(lacking=2 * file).frames == 2
    assert kept(tmp_path) == ([2, 3, 4, 5], 4)


def test_a_batch_takes_a_bounded_number_of_frames(
    tmp_path: Path, open_store: Any, make_frame: Any, put: Any, wall: Wall, keeper: Any
) -> None:
    wall.now = NOW - 9 * DAY
    with open_store(tmp_path, wall=wall) as store:
        for sequence in range(450):
            put(store, make_frame(sequence))
    wall.now = NOW
    some = keeper(max_age=7)
    batches = [some.remove() for _ in range(4)]
    assert [(batch.frames, batch.more) for batch in batches] == [(200, True), (200, True), (50, False), (0, False)]


def test_nothing_is_removed_that_is_not_ours(tmp_path: Path, fill: Any, keeper: Any) -> None:
    fill([NOW - 9 * DAY])
    (file,) = tmp_path.glob("frames/*/*/*.tif")
    notes = [file.with_name("notes.txt"), tmp_path / "frames" / "mine.tif", tmp_path / "mine.tif"]
    for path in notes:
        path.touch()
    keeper(max_age=7).remove()
    assert not file.exists()
    assert all(path.exists() for path in notes)


def test_what_was_done_and_counted_is_known_after_its_record_is_gone(
    tmp_path: Path, open_store: Any, make_frame: Any, put: Any, wall: Wall, told: Any, page: Any, keeper: Any
) -> None:
    with open_store(tmp_path, wall=wall) as store:
        put(store, make_frame(0, file=page()))
    wall.now = NOW + 9 * DAY
    keeper(max_age=7).remove()
    assert kept(tmp_path)[0] == []
    with open_store(tmp_path, wall=wall) as store:
        assert store.done_files() == [page()]
        put(store, make_frame(1, file=page()), told)
        assert store.flush(120)
        assert (store.totals().processed, store.totals().replayed) == (2, 1)
    assert [(one.id, one.new) for one in told.commits] == [(1, False)]


def test_a_daemon_removes_between_groups(
    tmp_path: Path, fill: Any, open_store: Any, make_frame: Any, put: Any, wall: Wall, wait: Any, told: Any
) -> None:
    fill([NOW - 9 * DAY, NOW - 8 * DAY])
    with open_store(tmp_path, wall=wall, keep=FILES, retention=Retention(max_age=7, min_free=0)) as store:
        put(store, make_frame(5), told)
        wait(lambda: len(kept(tmp_path)[0]) == 1, "removing")
    assert kept(tmp_path) == ([5], 1)
    assert told.ids == [3], "no id is given twice"


def test_a_removal_that_was_broken_off_is_finished_at_the_next_start(
    tmp_path: Path, fill: Any, keeper: Any, open_store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill([NOW - 9 * DAY, NOW])
    with monkeypatch.context() as patch:
        patch.setattr("unetplus_runtime.records.retention.remove_files", lambda *_: None)  # the power is cut here
        keeper(max_age=7).remove()
    assert kept(tmp_path) == ([1], 2)
    open_store(tmp_path).close()
    assert kept(tmp_path) == ([1], 1)
