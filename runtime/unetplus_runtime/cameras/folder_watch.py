"""Being told of new files by the system, instead of looking for them time and again."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class FolderWatch:
    """Tells of changes in a folder and the folders in it, where inotify and the package watchdog are there.

    Without them nothing is told, and `missing` says why: whoever watches has to look by himself. He
    has to anyway, because inotify knows nothing of what other machines do to a shared disk.

    Parameters
    ----------
    folder
        Absolute path.
    changed
        Called by another thread whenever something has changed.
    renamed
        Called before it with the path that a file was renamed to.

    Attributes
    ----------
    missing
        Why nothing is told; None where it is.
    """

    def __init__(self, folder: Path, changed: Callable[[], None], renamed: Callable[[str], None]) -> None:
        self.missing: str | None = None
        self._observer: Any = None
        try:
            from watchdog.events import FileClosedEvent, FileMovedEvent, FileSystemEvent, FileSystemEventHandler
            from watchdog.observers.inotify import InotifyObserver
        except ImportError:
            self.missing = "the package watchdog is not installed; run: pip install 'unetplus-edge[serve]'"
            return

        class Handler(FileSystemEventHandler):
            def dispatch(self, event: FileSystemEvent) -> None:
                if isinstance(event, FileMovedEvent) and event.dest_path:
                    renamed(os.fsdecode(event.dest_path))
                changed()

        observer = InotifyObserver(generate_full_events=True)
        observer.daemon = True
        try:
            # Of all that happens to a file, its being closed and renamed is what may complete it.
            observer.schedule(Handler(), str(folder), recursive=True, event_filter=[FileMovedEvent, FileClosedEvent])
            observer.start()
        except OSError as error:
            self.missing = f"inotify does not watch {folder} ({error.strerror})"
            return
        self._observer = observer

    def close(self) -> None:
        """Tell nothing any more."""
        if self._observer is not None:
            self._observer.stop()
            self._observer.join()
            self._observer = None
