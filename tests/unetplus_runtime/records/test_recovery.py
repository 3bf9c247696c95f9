from __future__ import annotations

import signal
import subprocess
import sys
from random import Random
from time import sleep
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from unetplus_edge.errors import OutputError
from unetplus_runtime.cameras.counts import FrameTotals
from unetplus_runtime.configuration import Recording
from unetplus_runtime.readers import open_pages
from unetplus_runtime.records import RecordReader
from unetplus_runtime.records.schema import open_database

if TYPE_CHECKING:
    from pathlib import Path

ALL = Recording(labels=True, frames=True, overlays=True)

# Frames whose pixels all are their sequence number; it prints each id when it is told of it.
WRITE = """
import sys, time, uuid
from pathlib import Path
import numpy as np
from unetplus_edge.imaging import measure
from unetplus_runtime.cameras import CameraFacts, FileIdentity, Frame
from unetplus_runtime.configuration import Recording, Retention
from unetplus_runtime.records import RecordStore, RunFacts
from unetplus_runtime.segmenter import Result

labels = np.zeros((48, 64), np.int32)
labels[4:9, 4:9] = 1
facts = CameraFacts("folder", "/images", lossless=True)
run = RunFacts(str(uuid.uuid4()), "{}", "c", "m")
keep = Recording(labels=True, frames=True)
with RecordStore(Path(sys.argv[1]), interval=0.02, recording=keep, retention=Retention(min_free=0), run=run) as store:
    begin = 1 + max((file.page for file in store.done_files()), default=-1)
    print("open", len(store.recovery.broken_off), flush=True)
    for sequence in range(begin, begin + 100_000):
        array = np.full((48, 64), sequence % 65536, np.uint16)
        file = FileIdentity("/images/all.tif", 1, 1, sequence, 100_000)
        frame = Frame(array, sequence, None, time.monotonic(), time.time(), {}, file)
        result = Result(labels, measure(labels, array), labels.astype(np.float32), {})
        store.put(frame, result, facts=facts, model_hash="m", configuration_hash="c",
                  on_commit=lambda one: print(one.id, one.record.sequence, flush=True))
"""


def break_off(folder: Path) -> None:
    """Make the last run look as if its daemon had been killed."""
    connection = open_database(folder)
    connection.execute("UPDATE runs SET ending = NULL, ended = NULL WHERE number = (SELECT max(number) FROM runs)")
    connection.close()


def test_after_a_clean_end_there_is_nothing_to_do(tmp_path: Path, open_store: Any, make_frame: Any, put: Any) -> None:
    with open_store(tmp_path) as store:
        put(store, make_frame())
    report = open_store(tmp_path).recovery
    assert (report.broken_off, report.checked, report.removed_files, report.missing_files) == ((), "clean end", 0, 0)


def test_files_without_a_record_are_removed_and_nothing_else(
    tmp_path: Path, open_store: Any, make_frame: Any, put: Any, told: Any
) -> None:
    with open_store(tmp_path, keep=ALL) as store:
        put(store, make_frame(), told)
    break_off(tmp_path)
    folder = (tmp_path / told.commits[0].record.frame_file).parent
    ours = [folder / "0-0000000077.tif", folder / ".unfinished-0-0000000078.tif"]
    strange = [folder / "notes.txt", folder / "0-77.tif", tmp_path / "frames" / "0-0000000077.tif"]
    other_run = tmp_path / "frames" / "20200101T000000Z-aaaaaaaa" / "0-000000" / "0-0000000001.tif"
    other_run.parent.mkdir(parents=True)
    for path in (*ours, *strange, other_run):
        path.touch()
    with open_store(tmp_path) as store:
        report = store.recovery
    assert {tmp_path / file for file in report.removed} == {*ours}
    assert report.removed_files == 2
    assert not any(path.exists() for path in ours)
    assert all(path.exists() for path in (*strange, other_run))
    assert all((tmp_path / file).exists() for file in told.commits[0].record.files)
    with RecordReader(tmp_path) as reader:
        (event,) = reader.events()
    assert (event.kind, event.detail["removed_files"], event.detail["checked"]) == ("recovery", 2, "ok")


def test_files_that_are_missing_are_named(
    tmp_path: Path, open_store: Any, make_frame: Any, put: Any, told: Any
) -> None:
    with open_store(tmp_path, keep=ALL) as store:
        put(store, make_frame(), told)
    break_off(tmp_path)
    gone = told.commits[0].record.labels_file
    (tmp_path / gone).unlink()
    assert open_store(tmp_path).recovery.missing == (gone,)


def test_frames_in_a_daemon_that_died_are_counted_as_dropped(
    tmp_path: Path, open_store: Any, make_frame: Any, put: Any
) -> None:
    with open_store(tmp_path) as store:
        store.count_with(lambda: FrameTotals(10, 0, {"newest_only": 4}, 0, 0, 0))
        put(store, make_frame())
    connection = open_database(tmp_path)
    connection.execute("""UPDATE runs SET ending = NULL, dropped = '{"newest_only": 4}'""")
    connection.close()
    with open_store(tmp_path) as store:
        assert store.recovery.lost_in_flight == 5
        totals = store.totals()
    assert totals.dropped == {"newest_only": 4, "daemon_lost": 5}
    assert totals.in_flight == 0


def test_a_damaged_database_is_refused_and_left_alone(
    tmp_path: Path, open_store: Any, make_frame: Any, put: Any
) -> None:
    with open_store(tmp_path) as store:
        for sequence in range(200):
            put(store, make_frame(sequence))
    break_off(tmp_path)
    path = tmp_path / "records.sqlite"
    content = bytearray(path.read_bytes())
    for page in range(8, len(content) // 4096, 3):
        content[4096 * page : 4096 * page + 2000] = bytes([0xA5]) * 2000
    path.write_bytes(content)
    with pytest.raises(OutputError, match=r"records.sqlite is damaged .*; nothing was changed"):
        open_store(tmp_path)
    assert path.read_bytes() == content


@pytest.mark.parametrize("seed", range(2))
def test_nothing_that_was_announced_is_lost_when_the_writer_is_killed(tmp_path: Path, seed: int) -> None:
    random = Random(seed)  # noqa: S311
    announced: dict[int, int] = {}
    folder = tmp_path / "data"
    for kill in range(3):
        process = subprocess.Popen([sys.executable, "-c", WRITE, folder], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        assert process.stdout.readline() == f"open {int(kill > 0)}\n", "it finds the run that was killed"
        lines = [process.stdout.readline()]
        sleep(random.uniform(0, 0.4))
        process.send_signal(signal.SIGKILL)
        said, _ = process.communicate()
        lines += said.splitlines(keepends=True)
        for number, sequence in (line.split() for line in lines if line.endswith("\n")):
            announced[int(number)] = int(sequence)
    assert len(announced) >= 3
    check = subprocess.run(
        [sys.executable, "-c", WRITE.replace("100_000):", "0):"), folder], capture_output=True, text=True, check=True
    )
    assert check.stdout == "open 1\n"
    with RecordReader(folder) as reader:
        found = {one.id: one.record for one in reader.frames()}
        assert all(len(reader.nuclei(number)) == 1 for number in found)
        totals = reader.totals()
    assert {number: found[number].sequence for number in announced} == announced
    assert sorted(record.sequence for record in found.values()) == list(range(len(found))), "each page once"
    for record in found.values():
        with open_pages(folder / str(record.frame_file), None) as pages:
            assert np.all(pages.read(next(iter(pages.planes))) == record.sequence)
    named = {file for record in found.values() for file in record.files}
    assert {path.relative_to(folder).as_posix() for path in folder.glob("*/*/*/*")} == named, "nothing is left over"
    assert (totals.processed, totals.in_flight, totals.runs) == (len(found), 0, 4)
