from __future__ import annotations

import logging
import sqlite3
import statistics
from collections import Counter
from dataclasses import replace
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile

from unetplus_edge.errors import OutputError
from unetplus_runtime.cameras import FileIdentity
from unetplus_runtime.cameras.counts import FrameTotals
from unetplus_runtime.configuration import Recording, Retention
from unetplus_runtime.records import RecordReader

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ALL = Recording(labels=True, frames=True, overlays=True)
LONG = 120.0


def rows(folder: Path, query: str, *values: object) -> list[Any]:
    connection = sqlite3.connect(folder / "records.sqlite")
    try:
        return connection.execute(query, values).fetchall()
    finally:
        connection.close()


def test_what_is_announced_can_be_read_by_others_already(
    tmp_path: Path, open_store: Any, make_frame: Any, put: Any
) -> None:
    seen: list[tuple[int, int, list[bool]]] = []

    def look(committed: Any) -> None:
        ((frames,),) = rows(tmp_path, "SELECT count(*) FROM frames WHERE id = ?", committed.id)
        ((nuclei,),) = rows(tmp_path, "SELECT count(*) FROM nuclei WHERE frame = ?", committed.id)
        seen.append((frames, nuclei, [(tmp_path / file).is_file() for file in committed.record.files]))

    with open_store(tmp_path, keep=ALL) as store:
        for sequence in range(3):
            put(store, make_frame(sequence), look)
    assert seen == [(1, 3, [True] * 3)] * 3


def test_a_record_says_what_is_known_of_its_frame(
    tmp_path: Path, open_store: Any, make_frame: Any, put: Any, told: Any, result_of: Any
) -> None:
    frame = make_frame(7, life=2)
    areas, means = [20, 20, 10], [frame.array[5:9, 5:10], frame.array[20:22, 30:40], frame.array[38:, 45:]]
    means = [float(one.mean()) for one in means]
    with open_store(tmp_path, run="r1") as store:
        put(store, frame, told)
    record = told.commits[0].record
    assert (record.run, record.life, record.sequence, record.camera, record.source) == ("r1", 2, 7, "folder", "/images")
    assert (record.captured, record.captured_monotonic, record.device_time) == (frame.wall, frame.monotonic, 1.75)
    assert (record.height, record.width, record.dtype, record.pixel_size) == (40, 50, "uint16", 0.5)
    assert (record.nuclei, record.on_border) == (3, 1)
    assert record.area_mean == pytest.approx(statistics.fmean(areas))
    assert record.area_median == statistics.median(areas)
    assert record.area_std == pytest.approx(statistics.pstdev(areas))
    assert record.intensity_mean == pytest.approx(statistics.fmean(means))
    assert record.intensity_std == pytest.approx(statistics.pstdev(means))
    assert (record.timings, record.metadata) == ({"preprocess": 0.25, "engine": 0.5}, frame.metadata)
    assert (record.model_hash, record.configuration_hash, record.files, record.recording) == ("m0", "c0", (), True)


def test_a_record_is_read_as_it_was_announced(
    tmp_path: Path, open_store: Any, make_frame: Any, put: Any, told: Any, page: Any
) -> None:
    odd = FileIdentity("/images/\udcff.tif", 5, 7, 1, 2)
    with open_store(tmp_path, keep=ALL) as store:
        for sequence, file in enumerate((None, page(), odd)):
            put(store, make_frame(sequence, file=file), told)
    with RecordReader(tmp_path) as reader:
        assert list(reader.frames()) == told.commits
        assert reader.last() == told.commits[-1]


def test_a_frame_without_nuclei_has_no_means(
    tmp_path: Path, open_store: Any, make_frame: Any, told: Any, put: Any, result_of: Any
) -> None:
    from unetplus_edge.imaging import measure
    from unetplus_runtime.cameras import CameraFacts

    frame = make_frame()
    labels = np.zeros(frame.array.shape, np.int32)
    result = replace(result_of(frame), labels=labels, nuclei=measure(labels, frame.array))
    facts = CameraFacts("folder", "/images", lossless=True)
    with open_store(tmp_path, keep=ALL) as store:
        store.put(frame, result, facts=facts, model_hash="m0", configuration_hash="c0", on_commit=told)
    record = told.commits[0].record
    assert (record.nuclei, record.area_mean, record.area_std, record.intensity_mean) == (0, None, None, None)


def test_frames_are_numbered_and_announced_in_the_order_in_which_they_were_put(
    tmp_path: Path, open_store: Any, make_frame: Any, put: Any, told: Any
) -> None:
    with open_store(tmp_path) as store:
        for sequence in range(300):
            put(store, make_frame(sequence), told)
    assert told.ids == list(range(1, 301))
    assert [one.record.sequence for one in told.commits] == list(range(300))


def test_a_clock_that_is_set_back_changes_no_order(
    tmp_path: Path, open_store: Any, make_frame: Any, put: Any, told: Any
) -> None:
    with open_store(tmp_path) as store:
        for sequence, wall in enumerate((2e9, 1e9, 1.5e9)):
            put(store, make_frame(sequence, wall=wall), told)
    with RecordReader(tmp_path) as reader:
        assert [one.record.captured for one in reader.frames()] == [2e9, 1e9, 1.5e9]


def test_a_page_that_was_committed_before_is_announced_again_and_not_counted_again(
    tmp_path: Path, open_store: Any, make_frame: Any, put: Any, told: Any, page: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with open_store(tmp_path, keep=ALL) as store:
        put(store, make_frame(0, file=page()), told)
        put(store, make_frame(1, file=page()), told)  # in the same group, or in the next
    with open_store(tmp_path, keep=ALL) as store, caplog.at_level(logging.WARNING):
        put(store, make_frame(9, file=page()), told)
        assert store.flush(LONG)
        totals = store.totals()
    assert told.ids == [1, 1, 1]
    assert [one.new for one in told.commits] == [True, False, False]
    assert told.commits[2].record == told.commits[0].record
    assert "frame 1 was committed before" in caplog.text
    assert rows(tmp_path, "SELECT count(*) FROM frames") == [(1,)]
    assert (totals.processed, totals.replayed, totals.nuclei) == (3, 2, 3)
    assert len(list(tmp_path.glob("*/*/*/*.*"))) == 3, "the files of one frame"


def test_a_frame_of_a_live_camera_is_told_by_run_life_and_sequence(
    tmp_path: Path, open_store: Any, make_frame: Any, put: Any, told: Any
) -> None:
    with open_store(tmp_path) as store:
        for life in (0, 0, 1):
            put(store, make_frame(4, life=life), told)
    assert [one.new for one in told.commits] == [True, False, True]


def test_pages_are_done_as_soon_as_they_are_handed_over_and_ever_after(
    tmp_path: Path, open_store: Any, make_frame: Any, put: Any, told: Any, page: Any
) -> None:
    odd = FileIdentity("/images/\udcff.tif", 5, 7, 1, 2)
    told.go_on.clear()
    with open_store(tmp_path) as store:
        put(store, make_frame(0, file=page()), told)
        store.drop(make_frame(1, file=odd), "failed")
        store.settled([page("b.tif")])
        assert {*store.done_files()} == {page(), odd, page("b.tif")}
        told.go_on.set()
        assert store.flush(LONG)
        assert {*store.done_files()} == {page(), odd, page("b.tif")}
    with open_store(tmp_path) as store:
        assert {*store.done_files()} == {page(), odd, page("b.tif")}


def test_who_puts_waits_while_too_much_is_not_committed(
    tmp_path: Path, open_store: Any, make_frame: Any, put: Any, told: Any
) -> None:
    told.go_on.clear()
    with open_store(tmp_path) as store:
        taken = 0
        while put(store, make_frame(taken), told, timeout=0.2):
            taken += 1
            assert taken < 10_000, "nothing holds it back"
        waiting = Event()

        def one_more() -> None:
            put(store, make_frame(taken), told)
            waiting.set()

        thread = Thread(target=one_more)
        thread.start()
        assert not waiting.wait(0.1)
        told.go_on.set()
        assert waiting.wait(LONG)
        thread.join()
    assert told.ids == list(range(1, taken + 2))


def test_an_error_of_who_is_told_reaches_who_puts_after_all_others_were_told(
    tmp_path: Path, open_store: Any, make_frame: Any, put: Any, told: Any, wait: Any
) -> None:
    def fail(_committed: object) -> None:
        raise ValueError("who is told has a mistake")

    def is_refused() -> bool:
        try:
            put(store, make_frame(2))
        except OutputError as error:
            return "nothing is recorded any more: who is told has a mistake" in str(error)
        return False

    store = open_store(tmp_path, interval=0.2)
    put(store, make_frame(0), fail)
    put(store, make_frame(1), told)
    wait(is_refused, "refusing")
    assert told.ids == [2]


def test_totals_balance_over_runs(tmp_path: Path, open_store: Any, make_frame: Any, put: Any) -> None:
    with open_store(tmp_path) as store:
        camera: dict[str, Any] = {"captured": 9, "dropped": {"newest_only": 4}}
        store.count_with(lambda: FrameTotals(processed=0, waiting=0, taken=0, in_driver=0, **camera))
        for sequence in range(3):
            put(store, make_frame(sequence))
        assert store.flush(LONG)
        now = store.totals()
        assert (now.captured, now.processed, now.dropped, now.in_flight) == (9, 3, {"newest_only": 4}, 2)
        camera |= {"captured": 10, "dropped": {"newest_only": 4, "shutdown": 3}}
    with open_store(tmp_path) as store:
        put(store, make_frame(0))
        store.drop(make_frame(1, file=FileIdentity("/images/x.tif", 1, 2)), "failed")
        assert store.flush(LONG)
        totals = store.totals()
    assert (totals.runs, totals.captured, totals.processed, totals.nuclei) == (2, 12, 4, 12)
    assert Counter(totals.dropped) == {"newest_only": 4, "shutdown": 3, "failed": 1}
    assert totals.in_flight == 0
    with RecordReader(tmp_path) as reader:
        assert reader.totals() == totals


def test_counts_are_recorded_although_no_frame_comes(tmp_path: Path, open_store: Any, wait: Any) -> None:
    with open_store(tmp_path) as store:
        store.count_with(lambda: FrameTotals(6, 0, {"newest_only": 6}, 0, 0, 0))
        wait(lambda: rows(tmp_path, "SELECT captured FROM runs") == [(6,)], "counting")


def test_events_say_after_which_frame_they_happened(tmp_path: Path, open_store: Any, make_frame: Any, put: Any) -> None:
    with open_store(tmp_path) as store:
        store.event("start", {"by": "hand"})
        assert store.flush(LONG)
        put(store, make_frame(0))
        assert store.flush(LONG)
        store.event("camera", {"state": "offline", "path": tmp_path})
    with RecordReader(tmp_path) as reader:
        told = [(event.kind, event.after_frame, event.detail) for event in reader.events()]
    assert told == [("start", 0, {"by": "hand"}), ("camera", 1, {"state": "offline", "path": str(tmp_path)})]


def test_settings_can_be_changed_between_frames(
    tmp_path: Path, open_store: Any, make_frame: Any, put: Any, told: Any
) -> None:
    with open_store(tmp_path) as store:
        put(store, make_frame(0), told)
        store.apply(interval=0.02, recording=Recording(nuclei=False, labels=True), retention=Retention(min_free=0))
        put(store, make_frame(1), told)
    first, second = (one.record for one in told.commits)
    assert (first.labels_file, second.frame_file) == (None, None)
    assert second.labels_file is not None
    assert tifffile.imread(tmp_path / second.labels_file).max() == 3
    assert rows(tmp_path, "SELECT DISTINCT frame FROM nuclei") == [(1,)]


def test_hashes_can_be_looked_up(tmp_path: Path, open_store: Any) -> None:
    with open_store(tmp_path) as store:
        store.know_model("m1", {"name": "other"})
        store.know_configuration("c1", '{"camera":{"rate":1}}')
    assert rows(tmp_path, "SELECT * FROM models") == [("m0", '{"name":"tiny"}'), ("m1", '{"name":"other"}')]
    assert rows(tmp_path, "SELECT hash FROM configurations") == [("c0",), ("c1",)]


def test_closing_commits_what_waits_and_ends_the_run(
    tmp_path: Path, open_store: Any, make_frame: Any, put: Any, told: Any
) -> None:
    store = open_store(tmp_path, interval=0.2)
    for sequence in range(5):
        put(store, make_frame(sequence), told)
    assert store.close() == 0
    assert told.ids == [1, 2, 3, 4, 5]
    assert rows(tmp_path, "SELECT ending FROM runs") == [("closed",)]
    assert not list(tmp_path.glob("*-wal")), "the journal is in the database"
    with pytest.raises(OutputError, match="the records were closed"):
        put(store, make_frame(5))
    assert store.close() == 0


def test_a_database_that_is_removed_while_it_is_written_is_an_error(
    tmp_path: Path, open_store: Any, make_frame: Any, put: Any, wait: Any
) -> None:
    store = open_store(tmp_path)
    (tmp_path / "records.sqlite").rename(tmp_path / "elsewhere")

    def is_refused() -> bool:
        try:
            put(store, make_frame())
        except OutputError as error:
            return "was removed or replaced" in str(error)
        return False

    wait(is_refused, "noticing")


def test_the_folder_is_for_its_user_alone(tmp_path: Path, open_store: Any) -> None:
    open_store(tmp_path / "deep" / "data")
    assert (tmp_path / "deep" / "data").stat().st_mode & 0o777 == 0o700


def test_it_is_told_how_long_commits_took(tmp_path: Path, open_store: Any, make_frame: Any, put: Any) -> None:
    with open_store(tmp_path, interval=1e-9) as store:
        put(store, make_frame())
        assert store.flush(LONG)
        times = store.times
    assert (times.groups, times.late) == (1, 1)
    assert 0 < times.last == times.longest


def test_any_thread_may_put(tmp_path: Path, open_store: Any, make_frame: Any, put: Any, told: Any) -> None:
    frames = [make_frame(sequence) for sequence in range(80)]
    with open_store(tmp_path) as store:

        def some(part: Callable[[int], list[Any]], first: int) -> None:
            for frame in part(first):
                put(store, frame, told)

        threads = [Thread(target=some, args=(lambda first: frames[first::4], first)) for first in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert told.ids == list(range(1, 81))
    assert {one.record.sequence for one in told.commits} == set(range(80))
