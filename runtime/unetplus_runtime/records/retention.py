"""Removing the oldest records, where they are too old or too much."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from unetplus_runtime.records.committing import transaction
from unetplus_runtime.records.files import remove_files

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable
    from pathlib import Path

    from unetplus_runtime.configuration import Retention

_DAY = 86400.0
_FRAMES, _NUCLEI, _EVENTS = 200, 20_000, 2000  # a batch, at most
_FRAME_BYTES, _NUCLEUS_BYTES = 900, 75  # of the database, roughly
_JUMP = 3600.0  # seconds by which a clock may be corrected
_SETTLING = _DAY


class Removed(NamedTuple):
    """What a batch has removed.

    Attributes
    ----------
    frames
        Records.
    bytes
        Of recorded files.
    more
        Whether there is more to remove at once.
    """

    frames: int = 0
    bytes: int = 0
    more: bool = False


class Keeper:
    """Removes the oldest first, in batches that take little time. One thread uses it.

    Frames go in the order in which they were committed. By age one goes only if all before it are
    gone, so no clock that was wrong for a while makes a young one old. After the clock was set by
    more than an hour, nothing is removed for its age for a day.

    Parameters
    ----------
    connection
        The database.
    data_dir
        The data folder.
    retention
        How long to keep what.
    wall
        Returns seconds since 1970.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        data_dir: Path,
        retention: Retention,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.retention = retention
        self._connection, self._data_dir, self._wall = connection, data_dir, wall
        (self.file_bytes,) = connection.execute("SELECT coalesce(sum(file_bytes), 0) FROM frames").fetchone()
        self._offset, self._trusted_from = self._clock_offset(), 0.0

    def total_bytes(self) -> int:
        """Return what all recorded files and rows take."""
        return int(self.file_bytes) + self._row_bytes()

    def remove(self, lacking: int = 0) -> Removed:
        """Remove one batch.

        Parameters
        ----------
        lacking
            Bytes of the disk that are to be freed besides.
        """
        age = None if self.retention.max_age is None else self.retention.max_age * _DAY
        if age is not None and not self._trusts_the_clock():
            age = None
        oldest = None if age is None else self._wall() - age
        excess = 0 if self.retention.max_size is None else self.total_bytes() - self.retention.max_size
        if oldest is None and excess <= 0 and lacking <= 0:
            return Removed()
        last, removed = self._choose(oldest, excess, lacking)
        events = self._old_events(last, oldest)
        if not removed.frames and not events:
            return removed
        files = self._take(last, events)
        self.file_bytes -= removed.bytes
        remove_files(self._data_dir, files)
        self._shrink(all_of_it=lacking > 0)
        return removed

    def _choose(self, oldest: float | None, excess: int, lacking: int) -> tuple[int, Removed]:
        """Return the last frame to be removed, 0 for none, and what it is with all before it."""
        last = frames = total = nuclei = 0
        rows = self._connection.execute(
            "SELECT id, processed, file_bytes, nuclei FROM frames ORDER BY id LIMIT ?", (_FRAMES + 1,)
        ).fetchall()
        for number, processed, file_bytes, count in rows:
            wanted = (oldest is not None and processed < oldest) or max(excess, lacking) > 0
            if not wanted:
                return last, Removed(frames, total)
            if frames == _FRAMES or (frames and nuclei + count > _NUCLEI):
                return last, Removed(frames, total, more=True)
            size = file_bytes + _FRAME_BYTES + _NUCLEUS_BYTES * count
            # Rows leave empty pages behind, of which the disk gets only some back.
            excess, lacking = excess - size, lacking - (file_bytes or size)
            last, frames, total, nuclei = number, frames + 1, total + file_bytes, nuclei + count
        return last, Removed(frames, total)

    def _old_events(self, last: int, oldest: float | None) -> int:
        """Return the last event to be removed, 0 for none: those before frames that go, and old ones."""
        (before,) = self._connection.execute(
            "SELECT coalesce(max(id), 0) FROM (SELECT id FROM events WHERE after_frame < ? ORDER BY id LIMIT ?)",
            (last, _EVENTS),
        ).fetchone()
        number = int(before)
        if oldest is not None and (last or not self._has_frames()):
            for event, wall in self._connection.execute("SELECT id, wall FROM events ORDER BY id LIMIT ?", (_EVENTS,)):
                if wall >= oldest:
                    break
                number = max(number, event)
        return number

    def _has_frames(self) -> bool:
        return self._connection.execute("SELECT 1 FROM frames LIMIT 1").fetchone() is not None

    def _take(self, last: int, events: int) -> list[str]:
        """Remove rows, and return the files that they named: these are remembered until they are removed."""
        connection = self._connection
        with transaction(connection):
            # What was remembered the last time is removed by now.
            connection.execute("DELETE FROM removing")
            for column in ("labels_file", "frame_file", "overlay_file"):
                connection.execute(
                    f"INSERT OR IGNORE INTO removing SELECT {column} FROM frames "  # noqa: S608
                    f"WHERE id <= ? AND {column} NOT NULL",
                    (last,),
                )
            connection.execute("DELETE FROM frames WHERE id <= ?", (last,))
            connection.execute("DELETE FROM events WHERE id <= ?", (events,))
        return [file for (file,) in connection.execute("SELECT file FROM removing")]

    def _row_bytes(self) -> int:
        page, pages, free = self._pages()
        return (pages - free) * page

    def _shrink(self, *, all_of_it: bool) -> None:
        """Give pages back to the disk where that is short, or a good part of the database is empty."""
        _, pages, free = self._pages()
        if all_of_it or free > max(256, pages // 4):
            self._connection.execute("PRAGMA incremental_vacuum(1024)").fetchall()
        if all_of_it:
            # The journal goes too, unless somebody reads along: that is not waited for.
            (patience,) = self._connection.execute("PRAGMA busy_timeout").fetchone()
            self._connection.execute("PRAGMA busy_timeout = 0")
            try:
                self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            finally:
                self._connection.execute(f"PRAGMA busy_timeout = {patience}")

    def _pages(self) -> tuple[int, int, int]:
        names = ("page_size", "page_count", "freelist_count")
        size, pages, free = (self._connection.execute(f"PRAGMA {name}").fetchone()[0] for name in names)
        return size, pages, free

    def _clock_offset(self) -> float:
        # The time since the machine was started goes on while it sleeps, unlike the monotonic one.
        return self._wall() - time.clock_gettime(time.CLOCK_BOOTTIME)

    def _trusts_the_clock(self) -> bool:
        offset, now = self._clock_offset(), time.clock_gettime(time.CLOCK_BOOTTIME)
        if abs(offset - self._offset) > _JUMP:
            self._offset, self._trusted_from = offset, now + _SETTLING
        return now >= self._trusted_from


def finish_removing(connection: sqlite3.Connection, data_dir: Path) -> None:
    """Remove files that an earlier run was about to remove."""
    files = [file for (file,) in connection.execute("SELECT file FROM removing")]
    if files:
        remove_files(data_dir, files)
        with transaction(connection):
            connection.execute("DELETE FROM removing")
