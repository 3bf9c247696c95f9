"""Of a device that waits for nobody, the newest frame only."""

from __future__ import annotations

import time
from threading import Condition, Thread
from typing import TYPE_CHECKING

from unetplus_edge.errors import CameraError

if TYPE_CHECKING:
    from collections.abc import Callable

    from unetplus_runtime.cameras.base import Frame
    from unetplus_runtime.cameras.counts import SourceCounts


class NewestOnly:
    """Takes frames without pause, in a thread of its own, and keeps the newest.

    Parameters
    ----------
    grab
        Waits for the next frame, counts it as captured and returns it; None for one that was
        counted as dropped. Its `CameraError` ends the thread. Nothing else calls it meanwhile.
    counts
        Where frames are counted that nobody has taken in time.
    backlog
        Seconds in which no frame is handed out, so that the newest one then is none of those that
        had piled up in the device while it was opened.
    """

    def __init__(self, grab: Callable[[], Frame | None], counts: SourceCounts, backlog: float = 0.0) -> None:
        self._grab, self._counts = grab, counts
        self._begin = time.monotonic() + backlog
        self._condition = Condition()
        self._newest: Frame | None = None
        self._error: CameraError | None = None
        self._stopping = False
        self._thread = Thread(target=self._run, name="grabber", daemon=True)
        self._thread.start()

    def take(self, timeout: float) -> Frame | None:
        """Return the newest frame, which is then gone; None if there is none in `timeout` seconds.

        Raises
        ------
        CameraError
            That of `grab`, after the last frame was taken.
        """
        early = self._begin - time.monotonic()
        if early > 0:
            time.sleep(min(early, timeout))
            if early > timeout:
                return None
            timeout -= early
        with self._condition:
            self._condition.wait_for(lambda: self._newest is not None or self._error is not None, timeout)
            newest, self._newest = self._newest, None
            if newest is None and self._error is not None:
                raise self._error
            return newest

    def stop(self, timeout: float) -> bool:
        """Grab no more; return whether the thread has ended in `timeout` seconds."""
        self._stopping = True
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            while not self._stopping:
                frame = self._grab()
                if frame is not None:
                    self._keep(frame)
        except CameraError as error:
            self._fail(error)
        except Exception as error:  # whatever a driver raises is to be seen by whoever takes frames
            self._fail(CameraError(f"the driver failed ({type(error).__name__}: {error}); it will be started anew"))

    def _keep(self, frame: Frame) -> None:
        with self._condition:
            if self._newest is not None:
                self._counts.drop("newest_only")
            self._newest = frame
            self._condition.notify_all()

    def _fail(self, error: CameraError) -> None:
        with self._condition:
            self._error = error
            self._condition.notify_all()
