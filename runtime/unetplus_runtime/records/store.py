"""The store of a daemon's records."""

from __future__ import annotations

import logging
import os
import sqlite3
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unetplus_edge.errors import OutputError
from unetplus_runtime.records.committing import RunCounts, read_counts
from unetplus_runtime.records.files import RecordedFiles, run_folder, sync_folder
from unetplus_runtime.records.lock import FolderLock
from unetplus_runtime.records.pending import Event, Fact, Pending, Settled
from unetplus_runtime.records.queue import GroupQueue
from unetplus_runtime.records.reading import read_settled
from unetplus_runtime.records.record import record_of
from unetplus_runtime.records.recovery import begin_run, recover
from unetplus_runtime.records.retention import Keeper
from unetplus_runtime.records.rows import to_json
from unetplus_runtime.records.schema import DATABASE, open_database, unusable
from unetplus_runtime.records.space import Space
from unetplus_runtime.records.writer import Parts, Writer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from types import TracebackType
    from typing import Self

    from unetplus_runtime.cameras import CameraFacts, FileIdentity, Frame
    from unetplus_runtime.cameras.counts import FrameTotals
    from unetplus_runtime.configuration import Recording, Retention
    from unetplus_runtime.records.pace import CommitTimes
    from unetplus_runtime.records.record import Committed, RunFacts, Totals
    from unetplus_runtime.records.space import RecordingState
    from unetplus_runtime.segmenter import Result

_log = logging.getLogger(__name__)

_GRACE = 5.0  # seconds that a commit which has begun may take when all else is given up


class RecordStore:
    """Records of frames in a folder, of one daemon at a time.

    A thread of its own commits what was handed over, in groups: it writes and syncs the files of
    the group, then its rows in one transaction, then it calls `on_commit` of each frame, in order.
    Where there is no room, or writing fails, only the record of each frame is written; where not
    even that can be, frames wait. Any thread may call any method. It is a context manager: leaving
    it closes it.

    Parameters
    ----------
    data_dir
        The folder; it is made for this user alone if there is none.
    interval
        A group is committed after at most so many seconds, if the disk is fast enough; see `times`.
    recording
        What is kept of a frame beside its record.
    retention
        How long.
    run
        What is known of this run of the daemon.
    wall
        Returns seconds since 1970.

    Attributes
    ----------
    recovery
        What an earlier run has left behind.

    Raises
    ------
    OutputError
        If another process records into the folder, if it holds the records of a newer version, or
        damaged ones, or cannot be written.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        interval: float,
        recording: Recording,
        retention: Retention,
        run: RunFacts,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.data_dir, self.run = data_dir, run
        self._wall, self._keep, self._closed = wall, recording, False
        _make_folder(data_dir)
        self._lock = FolderLock(data_dir)
        try:
            connection = open_database(data_dir)
        except BaseException:
            self._lock.release()
            raise
        try:
            self.recovery = recover(connection, data_dir)
            earlier = [read_counts(row) for row in connection.execute("SELECT * FROM runs")]
            begin_run(connection, run, to_json(run.model), os.getpid(), _boot())
            sync_folder(data_dir)
            self._queue = GroupQueue()
            self._space = Space(data_dir, retention.min_free, self._say, wall)
            self._keeper = Keeper(connection, data_dir, retention, wall)
        except BaseException as error:
            connection.close()
            self._lock.release()
            if isinstance(error, sqlite3.Error):
                raise unusable(data_dir / DATABASE, error) from error
            raise
        files = RecordedFiles(data_dir, run_folder(run.id, run.started))
        parts = Parts(data_dir, connection, self._queue, files, self._space, self._keeper, RunCounts(), earlier)
        self._writer = Writer(parts, run.id, interval, delete_oldest=retention.delete_oldest, wall=wall)
        if self.recovery.broken_off:
            self.event("recovery", asdict(self.recovery))
        self._writer.thread.start()

    @property
    def recording(self) -> RecordingState:
        """Whether what is to be kept beside the records is kept."""
        return self._space.state

    @property
    def times(self) -> CommitTimes:
        """How long frames waited until they were on the disk."""
        return self._writer.times

    def put(
        self,
        frame: Frame,
        result: Result,
        *,
        facts: CameraFacts,
        model_hash: str,
        configuration_hash: str,
        on_commit: Callable[[Committed], None],
        timeout: float | None = None,
    ) -> bool:
        """Hand over a frame that was segmented, and wait while too many are not committed.

        Parameters
        ----------
        frame, result
            The frame and what was found in it; their arrays must not be changed any more.
        facts
            Of its camera.
        model_hash, configuration_hash
            What it was made with; see `know_model` and `know_configuration`.
        on_commit
            Called once, by the thread that commits, when the record is on the disk; it is to
            return soon. For a frame that was committed before it gets that record. What it raises
            ends the thread.
        timeout
            How long to wait for room, seconds; None waits until there is.

        Returns
        -------
        bool
            False if there was no room in time: then the frame was not taken.

        Raises
        ------
        OutputError
            If nothing is recorded any more: the sentence says why.
        """
        keep = self._keep
        record = record_of(
            frame,
            result,
            facts,
            run=self.run.id,
            model_hash=model_hash,
            configuration_hash=configuration_hash,
            processed=self._wall(),
        )
        pending = Pending(record, result.nuclei, keep, on_commit, time.monotonic())
        if keep.frames or keep.overlays:
            pending.array = frame.array
        if keep.labels or keep.overlays:
            pending.labels = result.labels
        return self._queue.put(pending, timeout)

    def drop(self, frame: Frame, reason: str) -> None:
        """Remember a frame that will not be processed; if it is from a file, it is in `done_files` from now on.

        Raises
        ------
        OutputError
            If nothing is recorded any more.
        """
        if frame.file is not None:
            self._queue.put_settled([Settled(frame.file, reason)])

    def settled(self, files: Iterable[FileIdentity], reason: str = "unreadable") -> None:
        """Remember pages of files that need not be read again, such as a camera has refused.

        Raises
        ------
        OutputError
            If nothing is recorded any more.
        """
        self._queue.put_settled([Settled(file, reason) for file in files])

    def event(self, kind: str, detail: Mapping[str, Any]) -> None:
        """Record something that happened, with the next group.

        Parameters
        ----------
        kind
            In a word or two.
        detail
            In types that JSON has.
        """
        if not self._queue.put_event(Event(self._wall(), time.monotonic(), kind, to_json(detail))):
            _log.warning("an event is not recorded: %s", kind)

    def count_with(self, counts: Callable[[], FrameTotals]) -> None:
        """Record with every group what the camera counts.

        Parameters
        ----------
        counts
            Returns the counts of this moment. The thread that commits calls it; it must not wait
            for anything that is to be committed.
        """
        self._writer.camera = counts

    def know_model(self, model_hash: str, facts: Mapping[str, Any]) -> None:
        """Record what is known of a model, before frames bear its hash.

        Raises
        ------
        OutputError
            If nothing is recorded any more.
        """
        self._queue.put_fact(Fact("models", model_hash, to_json(facts)))

    def know_configuration(self, configuration_hash: str, configuration: str) -> None:
        """Record settings as JSON, before frames bear their hash.

        Raises
        ------
        OutputError
            If nothing is recorded any more.
        """
        self._queue.put_fact(Fact("configurations", configuration_hash, configuration))

    def apply(self, *, interval: float, recording: Recording, retention: Retention) -> None:
        """Change settings, for frames that are handed over from now on."""
        self._keep = recording
        self._writer.interval, self._writer.delete_oldest = interval, retention.delete_oldest
        self._keeper.retention = retention
        self._space.min_free = retention.min_free

    def done_files(self) -> list[FileIdentity]:
        """Return pages of files that are done or dropped, or about to be, in this run or another."""
        # First what waits: it may be in the database a moment later, but not the other way round.
        waiting = self._queue.files()
        return [*waiting.union(read_settled(self.data_dir))]

    def totals(self) -> Totals:
        """Return what became of all frames, over all runs, as far as it is on the disk."""
        return self._writer.totals

    def flush(self, timeout: float) -> bool:
        """Wait until all that was handed over is committed and announced; False if it is not in time."""
        return self._queue.flush(timeout)

    def close(self, timeout: float = 10.0) -> int:
        """Commit what waits, and let go of the folder.

        The camera is to be closed before, so that its counts are final: what it has captured and
        not settled by then counts as dropped by "shutdown".

        Parameters
        ----------
        timeout
            How long that may take, seconds. What cannot be written until then, because the disk is
            full, is given up.

        Returns
        -------
        int
            How many frames were given up; `on_commit` is not called for them.
        """
        if self._closed:
            return 0
        self._closed = True
        self._queue.close()
        self._writer.thread.join(timeout)
        if self._writer.thread.is_alive():
            self._queue.abort()
            self._writer.thread.join(_GRACE)
        if not self._writer.thread.is_alive():  # else the folder is in use until this process ends
            self._lock.release()
        return self._queue.waiting

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _say(self, state: RecordingState) -> None:
        what = "frames held back" if state.held else "recording resumed" if state.active else "recording stopped"
        if state.active:
            _log.warning("%s", what)
        else:
            _log.error("%s: %s", what, state.reason)
        self.event(what, asdict(state))


def _make_folder(folder: Path) -> None:
    try:
        made = [parent for parent in (folder, *folder.parents) if not parent.exists()]
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        for path in made:
            sync_folder(path.parent)
    except OSError as error:
        raise OutputError(f"{folder} cannot be written ({error.strerror}); name another --data-dir") from error


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""
