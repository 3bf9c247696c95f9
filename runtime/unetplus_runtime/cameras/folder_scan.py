"""Which files of a watched folder are new and complete."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

from unetplus_edge.errors import CameraError
from unetplus_runtime.readers import READERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


class FileState(NamedTuple):
    """What changes when the content of a file does: bytes, and nanoseconds since 1970."""

    size: int
    mtime_ns: int


class FoundFile(NamedTuple):
    """A complete file, and the state in which it is."""

    path: Path
    state: FileState


class FolderScan:
    """Looks through a folder and the folders in it, as often as it is asked.

    A file is complete at once if it was given its name after its last change (its inode was changed
    later than its content, or `renamed` was told), else when its state has rested for `settle`
    seconds of the clock. The clocks of file servers are compared with themselves alone.

    Parameters
    ----------
    folder
        Absolute path.
    excluded
        A folder to pass by, with all links followed.
    settle
        Seconds.
    done
        Files that are not to be returned, in the state in which they were.
    clock
        Returns seconds that only grow.
    """

    def __init__(
        self, folder: Path, excluded: str, settle: float, done: Mapping[str, FileState], clock: Callable[[], float]
    ) -> None:
        self._folder, self._excluded, self._settle, self._clock = folder, excluded, settle, clock
        self._done = dict(done)
        self._resting: dict[str, tuple[FileState, float]] = {}
        self._postponed: dict[str, tuple[FileState, float]] = {}
        self._renamed: set[str] = set()
        self._lock = Lock()
        self._inode = self._root()

    def renamed(self, path: str) -> None:
        """Take note that a file was renamed to this path; any thread may call it."""
        with self._lock:
            self._renamed.add(path)

    def finish(self, file: FoundFile) -> None:
        """Return this file no more, unless it changes."""
        self._forget(str(file.path))
        self._done[str(file.path)] = file.state

    def postpone(self, file: FoundFile) -> None:
        """Return this file again after `settle` seconds, unless it changes."""
        self._postponed[str(file.path)] = (file.state, self._clock() + self._settle)

    def look(self) -> tuple[list[FoundFile], list[str]]:
        """Look through the folder once.

        Returns
        -------
        files
            New complete ones, in the order of their times of change, then of their paths.
        unlisted
            One sentence for each folder inside that cannot be listed.

        Raises
        ------
        CameraError
            If the folder is gone, or another one has taken its place.
        """
        if self._root() != self._inode:
            # An unmounted disk leaves an empty folder: nothing in it may be forgotten for that.
            raise CameraError(f"{self._folder} is another folder than before; check that its disk is mounted")
        with self._lock:
            renamed, self._renamed = self._renamed, set()
        now = self._clock()
        unlisted: list[str] = []
        found: list[FoundFile] = []
        met: set[str] = set()
        for path, status in self._images(unlisted):
            met.add(path)
            state = FileState(status.st_size, status.st_mtime_ns)
            if self._done.get(path) != state and self._complete(path, state, status, path in renamed, now):
                found.append(FoundFile(Path(path), state))
        if not unlisted:
            for path in (self._done.keys() | self._resting.keys() | self._postponed.keys()) - met:
                self._forget(path)
        found.sort(key=lambda file: (file.state.mtime_ns, file.path))
        return found, unlisted

    def _forget(self, path: str) -> None:
        self._done.pop(path, None)
        self._resting.pop(path, None)
        self._postponed.pop(path, None)

    def _complete(self, path: str, state: FileState, status: os.stat_result, renamed: bool, now: float) -> bool:
        postponed, until = self._postponed.get(path, (None, 0.0))
        if postponed == state:
            return now >= until
        if renamed or status.st_ctime_ns > status.st_mtime_ns:
            self._resting.pop(path, None)
            return True
        rested, since = self._resting.get(path, (None, now))
        if rested != state:
            self._resting[path] = (state, now)
            return False
        return now - since >= self._settle

    def _root(self) -> tuple[int, int]:
        try:
            status = self._folder.stat()
        except OSError as error:
            raise CameraError(f"{self._folder} cannot be watched ({error.strerror}); check the path") from error
        if not stat.S_ISDIR(status.st_mode):
            raise CameraError(f"{self._folder} is no folder; name the folder in which images appear")
        return status.st_dev, status.st_ino

    def _images(self, unlisted: list[str]) -> Iterator[tuple[str, os.stat_result]]:
        folders = [str(self._folder)]
        while folders:
            folder = folders.pop()
            try:
                entries = list(os.scandir(folder))
            except FileNotFoundError:
                continue  # it was removed after it was met
            except OSError as error:
                unlisted.append(f"{folder} cannot be listed ({error.strerror}); check its permissions")
                continue
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    if os.path.realpath(entry.path) != self._excluded:
                        folders.append(entry.path)
                elif os.path.splitext(entry.name)[1].lower() in READERS:  # noqa: PTH122
                    status = _status(entry)
                    if status is not None:
                        yield entry.path, status


def _status(entry: os.DirEntry[str]) -> os.stat_result | None:
    """Return that of a regular file, links followed; None for anything else, or what is gone."""
    try:
        status = entry.stat()
    except OSError:
        return None
    return status if stat.S_ISREG(status.st_mode) else None
