"""The thread that commits: files first, then one transaction, then whoever waits is told."""

from __future__ import annotations

import logging
import sqlite3
import time
from dataclasses import dataclass, replace
from threading import Thread
from typing import TYPE_CHECKING

from unetplus_edge.errors import OutputError
from unetplus_runtime.records.committing import find, insert_group, sum_of, transaction, write_counts
from unetplus_runtime.records.files import remove_files
from unetplus_runtime.records.pace import CommitTimes, Pace
from unetplus_runtime.records.recovery import end_run
from unetplus_runtime.records.schema import DATABASE, is_passing

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from unetplus_runtime.cameras.counts import FrameTotals
    from unetplus_runtime.records.committing import RunCounts
    from unetplus_runtime.records.files import RecordedFiles
    from unetplus_runtime.records.pending import Group
    from unetplus_runtime.records.queue import GroupQueue
    from unetplus_runtime.records.record import Committed, FrameRecord, Totals
    from unetplus_runtime.records.retention import Keeper
    from unetplus_runtime.records.space import Space

_log = logging.getLogger(__name__)

_TICK = 1.0  # seconds between looks at the disk
_RETENTION = 10.0  # seconds between looks for what is too old
_SOON = 0.02  # seconds until more is removed, where nothing comes
_HELD = 1.0  # seconds between tries to write a database that cannot be written


class _AbandonedError(Exception):
    """What waits is given up, because it cannot be written and nobody wants to wait any longer."""


@dataclass
class Parts:
    """What the writer works with; it alone uses all of it but the queue.

    Attributes
    ----------
    data_dir
        The data folder.
    connection
        To the database.
    queue
        Of what is to be committed.
    files, space, keeper
        Of the run.
    counts
        Of the run.
    earlier
        Counts of all runs before.
    """

    data_dir: Path
    connection: sqlite3.Connection
    queue: GroupQueue
    files: RecordedFiles
    space: Space
    keeper: Keeper
    counts: RunCounts
    earlier: Sequence[RunCounts]


class Writer:
    """Commits groups until the queue is closed. Any thread may read its attributes.

    Parameters
    ----------
    parts
        What it works with.
    run
        Id of the run.
    interval
        Seconds from the first frame of a group to its commit, the time that this takes included.
    delete_oldest
        Whether the oldest is removed where space is short.
    wall
        Returns seconds since 1970.

    Attributes
    ----------
    times
        How long commits took.
    totals
        Over all runs, as they are in the database.
    """

    def __init__(
        self, parts: Parts, run: str, interval: float, *, delete_oldest: bool, wall: Callable[[], float]
    ) -> None:
        self._parts, self._run, self._wall = parts, run, wall
        self.interval, self.delete_oldest = interval, delete_oldest
        self.camera: Callable[[], FrameTotals] | None = None
        self.times = CommitTimes()
        self.totals = self._sum()
        self._pace = Pace(interval)
        parts.queue.limit = self._pace.limit(interval)
        self._next_tick = self._next_removal = self._synced_from = 0.0
        self._inode = _inode(parts.data_dir)
        self.thread = Thread(target=self._work, name="records", daemon=True)

    def _work(self) -> None:
        queue = self._parts.queue
        try:
            while (group := queue.take(self._gather, self._idle())) is not None:
                if group:
                    error = self._announce(group, self._commit(group))
                    queue.finished()
                    if error is not None:
                        raise error
                self._tend()
            with transaction(self._parts.connection):
                if self.camera is not None:
                    self._parts.counts.hear(self.camera())
                self._parts.counts.settle("shutdown")
                write_counts(self._parts.connection, self._run, self._parts.counts)
                end_run(self._parts.connection, self._run, self._wall())
            self.totals = self._sum()
        except _AbandonedError as error:
            queue.fail(error)
        except BaseException as error:
            _log.exception("nothing is recorded any more")
            queue.fail(error)
        finally:
            self._parts.connection.close()

    def _gather(self) -> float:
        return self._pace.gather(self.interval)

    def _idle(self) -> float:
        return max(0.0, min(self._next_tick, self._next_removal) - time.monotonic())

    def _commit(self, group: Group) -> list[Committed]:
        """Write a group, and wait for as long as it cannot be."""
        begin = time.monotonic()
        space = self._parts.space
        recorded = space.may_try() and any(_wants_recording(pending.keep) for pending in group.frames)
        while True:
            records = [pending.record for pending in group.frames]
            try:
                if recorded:
                    records = self._write_files(group)
            except OSError as error:
                space.failed(f"{error.filename or self._parts.data_dir} cannot be written ({error.strerror})")
                recorded = False
            withheld = not recorded and not space.state.active
            records = [
                replace(record, recording=not (withheld and _wants_recording(pending.keep)))
                for pending, record in zip(group.frames, records, strict=True)
            ]
            try:
                committed = self._insert(group, records, recorded=recorded)
                break
            except BaseException as error:
                remove_files(self._parts.data_dir, [file for record in records for file in record.files])
                if not isinstance(error, sqlite3.Error) or not is_passing(error):
                    raise
                self._cannot_write(error, recorded=recorded)
                recorded = False
        space.worked(recorded=recorded)
        self._parts.keeper.file_bytes += sum(one.record.file_bytes for one in committed if one.new)
        self._measure(group, begin)
        return committed

    def _write_files(self, group: Group) -> list[FrameRecord]:
        """Write the files of a group, all or none, and return its records."""
        records: list[FrameRecord] = []
        known = set()
        try:
            for pending in group.frames:
                key = pending.record.file or (pending.record.life, pending.record.sequence)
                is_new = key not in known and find(self._parts.connection, pending.record) is None
                records.append(self._parts.files.write(pending) if is_new else pending.record)
                known.add(key)
            self._parts.files.sync()
        except BaseException:
            remove_files(self._parts.data_dir, [file for record in records for file in record.files])
            raise
        return records

    def _insert(self, group: Group, records: Sequence[FrameRecord], *, recorded: bool) -> list[Committed]:
        parts, counts = self._parts, self._parts.counts.copy()
        with transaction(parts.connection):
            committed = insert_group(parts.connection, self._run, group, records, counts, nuclei=recorded)
            if self.camera is None:
                counts.dropped.update(settled.reason for settled in group.settled)
                counts.settle(None)
            else:
                # All frames of the group were captured before this is asked, and none is done yet.
                counts.hear(self.camera())
            write_counts(parts.connection, self._run, counts)
            self._synced_from = time.monotonic()
        parts.counts = counts
        self.totals = self._sum()
        return committed

    def _cannot_write(self, error: sqlite3.Error, *, recorded: bool) -> None:
        what = f"{self._parts.data_dir / DATABASE} cannot be written ({error})"
        if recorded:  # without rows of nuclei it may still go
            self._parts.space.failed(what)
            return
        self._parts.space.hold(what)
        if self._parts.queue.wait_for_abort(_HELD):
            raise _AbandonedError(what) from error
        self._look()

    def _measure(self, group: Group, begin: float) -> None:
        now = time.monotonic()
        self._pace.learn(self._synced_from - begin, now - self._synced_from, len(group.frames))
        self._parts.queue.limit = self._pace.limit(self.interval)
        waited = now - min((pending.put_at for pending in group.frames), default=begin)
        times = self.times
        self.times = CommitTimes(
            times.groups + 1, waited, max(waited, times.longest), times.late + (waited > self.interval)
        )

    def _announce(self, group: Group, committed: Sequence[Committed]) -> Exception | None:
        """Tell who waits, and return the first error of theirs."""
        errors: list[Exception] = []
        for pending, one in zip(group.frames, committed, strict=True):
            if not one.new:
                _log.warning("frame %d was committed before; it is not counted again", one.id)
            try:
                pending.on_commit(one)
            except Exception as error:  # the others are to be told all the same
                errors.append(error)
        return errors[0] if errors else None

    def _tend(self) -> None:
        """Look after disk and database between two groups, for a short time."""
        now = time.monotonic()
        is_tick, is_due = now >= self._next_tick, now >= self._next_removal
        # Room is made before it is seen that there is none.
        lacking = self._parts.space.lacking() if self.delete_oldest and (is_tick or is_due) else 0
        if is_due or lacking:
            self._next_removal = now + _RETENTION
            try:
                self._remove(lacking)
            except sqlite3.Error as error:
                if not is_passing(error):
                    raise
                _log.warning("old records cannot be removed (%s)", error)
        if is_tick:
            self._next_tick = now + _TICK
            self._look()
            self._count()

    def _remove(self, lacking: int) -> None:
        """Remove a batch of what is too old or too much."""
        removed = self._parts.keeper.remove(lacking)
        if removed.frames and lacking:
            _log.warning("the oldest %d records were removed to make room", removed.frames)
        if removed.more or (removed.frames and lacking and self._parts.space.lacking()):
            self._next_removal = time.monotonic() + _SOON

    def _look(self) -> None:
        """See whether there is room, and whether the database is still that which was opened."""
        if _inode(self._parts.data_dir) != self._inode:
            raise OutputError(
                f"{self._parts.data_dir / DATABASE} was removed or replaced while it was written; start again"
            )
        self._parts.space.look()

    def _count(self) -> None:
        """Write what the camera counts where that has changed and no frame has brought it along."""
        if self.camera is None:
            return
        counts = self._parts.counts.copy()
        counts.hear(self.camera())
        if counts == self._parts.counts:
            return
        try:
            with transaction(self._parts.connection):
                write_counts(self._parts.connection, self._run, counts)
        except sqlite3.Error as error:
            if not is_passing(error):
                raise
            return
        self._parts.counts = counts
        self.totals = self._sum()

    def _sum(self) -> Totals:
        return sum_of([*self._parts.earlier, self._parts.counts])


def _wants_recording(keep: object) -> bool:
    return any(getattr(keep, what) for what in ("nuclei", "labels", "frames", "overlays"))


def _inode(folder: Path) -> tuple[int, int] | None:
    try:
        status = (folder / DATABASE).stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
