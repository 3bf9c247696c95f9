"""The folder camera: images that appear in a folder, each once, none lost."""

from __future__ import annotations

import os
import time
from collections import defaultdict, deque
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

from unetplus_edge.errors import CameraError, InputError
from unetplus_runtime.cameras.base import CameraFacts, FileIdentity, Frame, Start
from unetplus_runtime.cameras.counts import Refusal
from unetplus_runtime.cameras.folder_scan import FileState, FolderScan, FoundFile
from unetplus_runtime.cameras.folder_watch import FolderWatch
from unetplus_runtime.cameras.quarantine import put_aside
from unetplus_runtime.readers import open_pages

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from unetplus_edge.imaging.frames import Frame as Pixels
    from unetplus_runtime.cameras.settings import FolderSettings
    from unetplus_runtime.pages import Pages, Plane

_LOOKING = 0.1  # of the time, at most
_AT_LEAST = 0.1  # seconds of work in a call


class FolderCamera:
    """Complete images of a folder, in the order of their times of change. See `unetplus_runtime.cameras.base.Camera`.

    A file is read through before its first page is handed out. One that cannot be read, in whole or
    in part, is tried again for `patience` seconds; then its readable pages are handed out, the
    others are dropped as unreadable, and the file is put aside. The metadata of a frame has "id" (the name that
    `unetplus-runtime segment` gives to its results), "page", "pages", "pixel_size_um" and
    "pixel_size_from"; its device time is when the file was last changed, since 1970.

    Parameters
    ----------
    settings
        Which folder.
    start
        Where to count, and which pages were handed out before.
    clock
        Returns seconds that only grow; files rest by it.
    """

    def __init__(self, settings: FolderSettings, start: Start, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings, self._start, self._clock = settings, start, clock
        self.counts = start.counts
        self.ended = False
        self._folder = Path(os.path.abspath(settings.path))  # noqa: PTH100
        self._quarantine = self._folder / settings.quarantine
        self.facts = CameraFacts("folder", str(self._folder), lossless=True)
        self._wake = Event()
        self._scan: FolderScan | None = None
        self._watch: FolderWatch | None = None
        self._queue: deque[FoundFile] = deque()
        self._reading: Generator[Frame | None, None, None] | None = None
        self._failing: dict[Path, tuple[FileState, float]] = {}
        self._unlisted: set[str] = set()
        self._handed: defaultdict[tuple[str, FileState], set[int]] = defaultdict(set)
        self._next_look = self._earliest_look = clock()
        self._sequence = 0

    def open(self) -> None:
        """Begin to watch."""
        excluded = os.path.realpath(self._quarantine)
        if Path(os.path.realpath(self._folder)).is_relative_to(excluded):
            raise CameraError(
                f"{self._quarantine} cannot be the folder of broken files, because {self._folder} lies in it; "
                "name another one"
            )
        done: dict[str, FileState] = {}
        for path, size, mtime_ns, page, pages in self._start.seen:
            state = FileState(size, mtime_ns)
            handed = self._handed[path, state]
            handed.add(page)
            if len(handed) >= pages:
                done[path] = state
                del self._handed[path, state]
        self._scan = FolderScan(self._folder, excluded, self._settings.settle, done, self._clock)
        self._watch = FolderWatch(self._folder, self._wake.set, self._scan.renamed)
        looks = f"every {self._settings.poll:g} s"
        details = {"watched": looks if self._watch.missing else f"by inotify, and {looks}"}
        if self._watch.missing:
            details["inotify"] = self._watch.missing
        self.facts = CameraFacts("folder", str(self._folder), lossless=True, details=details)

    def read(self, timeout: float) -> Frame | None:
        """Return the next frame of a complete file."""
        begin = time.monotonic()
        while self._scan is not None:
            if self._reading is not None or self._queue or self._due():
                frame = self._advance(self._scan)
                # What is at hand is decoded even where the timeout is zero.
                if frame is not None or time.monotonic() - begin >= max(timeout, _AT_LEAST):
                    return frame
            else:
                remaining = begin + timeout - time.monotonic()
                if remaining <= 0:
                    return None
                self._rest(remaining)
        return None

    def close(self) -> None:
        """Stop watching."""
        if self._reading is not None:
            self._reading.close()
        if self._watch is not None:
            self._watch.close()
        self._reading = self._watch = self._scan = None
        self.ended = True

    def _due(self) -> bool:
        """Return whether it is time to look through the folder again."""
        return self._clock() >= (self._earliest_look if self._wake.is_set() else self._next_look)

    def _rest(self, longest: float) -> None:
        if self._wake.is_set():
            time.sleep(max(min(longest, self._earliest_look - self._clock()), 0))
        else:
            self._wake.wait(min(longest, self._next_look - self._clock()))

    def _advance(self, scan: FolderScan) -> Frame | None:
        """Take one step: decode a page, open a file, or look through the folder."""
        if self._reading is not None:
            for frame in self._reading:
                return frame
            self._reading = None
        elif self._queue:
            self._reading = self._frames_of(self._queue.popleft(), scan)
        else:
            self._look(scan)
        return None

    def _look(self, scan: FolderScan) -> None:
        self._wake.clear()
        begin = self._clock()
        files, unlisted = scan.look()
        end = self._clock()
        self._earliest_look = end + (end - begin) / _LOOKING
        self._next_look = max(self._earliest_look, end + self._settings.poll)
        self._queue.extend(files)
        for sentence in unlisted:
            if sentence not in self._unlisted:
                self.counts.refuse(Refusal(sentence))
        self._unlisted = set(unlisted)

    def _frames_of(self, file: FoundFile, scan: FolderScan) -> Generator[Frame | None, None, None]:
        """Yield the frames of a file; None after every step that takes time and gives none."""
        errors: dict[int, str] = {}
        try:
            with open_pages(file.path, self._settings.channel) as pages:
                planes = list(pages.planes)
                only = yield from _try(pages, planes, errors)
                if not self._ripe(file, scan, errors):
                    return
                for page, plane in enumerate(planes):
                    if page not in errors and page not in self._handed[str(file.path), file.state]:
                        array = _read(pages, plane, page, errors) if only is None else only
                        if array is not None:
                            yield self._frame(file, plane, page, len(planes), array)
        except InputError as error:
            # Of a file that cannot be opened, nobody knows how many frames it has: it counts as one.
            planes = []
            errors = {0: str(error)}
            if not self._ripe(file, scan, errors):
                return
        scan.finish(file)
        self._handed.pop((str(file.path), file.state), None)
        self._refuse(file, errors, len(planes))

    def _ripe(self, file: FoundFile, scan: FolderScan, errors: dict[int, str]) -> bool:
        """Return whether a file is as it was found, and readable or given up."""
        try:
            status = file.path.stat()
        except OSError:
            return False  # it was removed
        if FileState(status.st_size, status.st_mtime_ns) != file.state:
            return False  # it is being written to: the scan will find it again when it rests
        if errors:
            state, since = self._failing.get(file.path, (None, 0.0))
            if state != file.state:
                since = self._clock()
                self._failing[file.path] = (file.state, since)
            if self._clock() - since < self._settings.patience:
                scan.postpone(file)
                return False
        self._failing.pop(file.path, None)
        return True

    def _frame(self, file: FoundFile, plane: Plane, page: int, pages: int, array: Pixels) -> Frame:
        size = plane.pixel_size
        name = file.path.relative_to(self._folder).with_suffix("").as_posix()
        metadata: dict[str, Any] = {
            "id": "_".join(filter(None, (name, plane.label))),
            "page": page,
            "pages": pages,
            "pixel_size_um": size.micrometres if size else None,
            "pixel_size_from": size.source if size else None,
        }
        sequence = self._count()
        return Frame(
            array=array,
            sequence=sequence,
            device_time=file.state.mtime_ns / 1e9,
            monotonic=time.monotonic(),
            wall=time.time(),
            metadata=metadata,
            file=FileIdentity(str(file.path), *file.state, page, pages),
            life=self._start.life,
        )

    def _count(self) -> int:
        self.counts.capture(self._sequence)
        self._sequence += 1
        return self._sequence - 1

    def _refuse(self, file: FoundFile, errors: dict[int, str], pages: int) -> None:
        """Count what could not be read, and put the file aside."""
        if not errors:
            return
        for page, sentence in errors.items():
            self._count()
            identity = FileIdentity(str(file.path), *file.state, page, pages)
            self.counts.drop("unreadable", Refusal(sentence, identity))
        reason = "; ".join(errors.values())
        try:
            put_aside(file.path, self._quarantine, file.path.relative_to(self._folder), reason)
        except OSError as error:
            self.counts.refuse(
                Refusal(f"{file.path} cannot be moved to {self._quarantine} ({error.strerror}); remove it by hand")
            )


def _try(pages: Pages, planes: list[Plane], errors: dict[int, str]) -> Generator[None, None, Pixels | None]:
    """Decode every page, and return it if it is the only one; collect what cannot be read."""
    array = None
    for page, plane in enumerate(planes):
        array = _read(pages, plane, page, errors)
        yield
    return array if len(planes) == 1 else None


def _read(pages: Pages, plane: Plane, page: int, errors: dict[int, str]) -> Pixels | None:
    try:
        return pages.read(plane)
    except InputError as error:
        errors[page] = str(error)
    except MemoryError:
        errors[page] = f"page {page + 1} needs more memory than there is; cut it into smaller frames"
    return None
