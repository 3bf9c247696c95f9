"""One thread that starts a driver's process, again and again where it fails."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

from unetplus_runtime.cameras.isolation.child import Child
from unetplus_runtime.cameras.isolation.handover import Handover
from unetplus_runtime.cameras.isolation.life import Life
from unetplus_runtime.cameras.isolation.restarts import Restarts
from unetplus_runtime.cameras.isolation.status import CameraStatus, History
from unetplus_runtime.cameras.isolation.watch import StallWatch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from unetplus_runtime.cameras.base import CameraFacts, FileIdentity
    from unetplus_runtime.cameras.isolation.restarts import BackOff
    from unetplus_runtime.cameras.isolation.watch import Patience
    from unetplus_runtime.cameras.settings import CameraSettings

_log = logging.getLogger(__name__)


class Supervisor:
    """Keeps the driver of one camera running.

    Parameters
    ----------
    settings
        Which camera.
    seen
        Returns pages of files that are not to be handed out; asked before every start.
    patience
        How long the driver may be silent.
    back_off
        How long it is waited after failures.
    grace
        How long the driver may take to let go of the camera, seconds.

    Attributes
    ----------
    handover
        Where frames go.
    history
        What has happened.
    """

    def __init__(
        self,
        settings: CameraSettings,
        seen: Callable[[], Iterable[FileIdentity]],
        patience: Patience,
        back_off: BackOff,
        grace: float,
    ) -> None:
        self.handover = Handover()
        self.history = History()
        self._settings, self._seen, self._patience, self._grace = settings, seen, patience, grace
        self._restarts = Restarts(back_off)
        self._stopping = threading.Event()
        self._life: Life | None = None
        self._lives = 0
        self._facts: CameraFacts | None = None
        self._last_frame: float | None = None
        self._storm = False
        self._next_start: float | None = None
        self._thread = threading.Thread(target=self._run, name="camera", daemon=True)

    def start(self) -> None:
        """Begin, in a thread of its own."""
        self._thread.start()

    def stop(self) -> None:
        """End the driver and the thread, and drop what waits. It takes `grace` and a few seconds at most."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join()
        self.handover.end(drop=True)

    def status(self) -> CameraStatus:
        """Return what is known now."""
        life = self._life
        return CameraStatus(
            now=self.history.now,
            facts=(life and life.facts) or self._facts,
            totals=self.handover.totals(),
            restarts=max(self._lives - 1, 0),
            storm=self._storm,
            next_start=self._next_start,
            last_frame=(life and life.last_frame) or self._last_frame,
            pid=life.pid if life is not None else None,
        )

    def _run(self) -> None:
        failure: str | None = ""
        while not self._stopping.is_set():
            failure = self._live()
            if failure is None or self._stopping.is_set():
                break
            wait = self._restarts.failed()
            self._storm, self._next_start = wait.storm, time.monotonic() + wait.seconds
            self.history.enter("offline", failure, self._lives - 1)
            _log.warning("camera offline: %s, in %.1f s", failure, wait.seconds)
            self._stopping.wait(wait.seconds)
            self._storm, self._next_start = False, None
        ended = failure is None and not self._stopping.is_set()
        reason = "the camera has no more frames" if ended else "the camera was closed"
        self.history.enter("offline", reason, max(self._lives - 1, 0))
        self.handover.end(drop=not ended)

    def _live(self) -> str | None:
        """Let the driver live once; return why it failed, or None if it has ended as it should."""
        number = self._lives
        self._lives += 1
        self.history.enter("starting", "", number)
        try:
            seen = {*self._seen(), *self.handover.unsettled()}
            child = Child(self._settings, number, seen)
        except Exception as error:  # whatever it is, it is to be seen, and may be better next time
            _log.exception("the driver could not be started")
            return f"the driver could not be started ({type(error).__name__}: {error})"
        self._life = Life(child, number, StallWatch(self._patience), self._restarts, self.handover, self.history)
        try:
            return self._life.run(self._stopping, self._grace)
        finally:
            self._facts = self._life.facts or self._facts
            self._last_frame = self._life.last_frame or self._last_frame
            self._life = None
