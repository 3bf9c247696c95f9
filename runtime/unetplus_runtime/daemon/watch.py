"""A thread that looks around while frames are worked on, and writes down what has changed."""

from __future__ import annotations

import logging
from dataclasses import asdict
from threading import Event, Thread
from typing import TYPE_CHECKING

from unetplus_runtime.daemon.log import fields
from unetplus_runtime.daemon.measuring import Rate

if TYPE_CHECKING:
    from unetplus_runtime.cameras.isolation import IsolatedCamera
    from unetplus_runtime.daemon.loop import FrameLoop
    from unetplus_runtime.daemon.state import DaemonState
    from unetplus_runtime.records import RecordStore

_log = logging.getLogger(__name__)

_TICK = 0.5  # seconds
_SUMMARY = 60.0  # seconds between lines that say how it goes
_SLOW = 3.0  # seconds that a thread may take to end


class Watch:
    """Writes into the state, the records and the log what camera, records and loop are doing.

    It is a context manager: entering starts it, leaving ends it after a last look.

    Parameters
    ----------
    camera, store, loop
        What is looked at.
    state
        Who is told.
    """

    def __init__(self, camera: IsolatedCamera, store: RecordStore, loop: FrameLoop, state: DaemonState) -> None:
        self._camera, self._store, self._loop, self._state = camera, store, loop, state
        self._changes = 1  # number of the next one; the first is that it was not opened yet
        self._refusals = 0
        self._committed, self._captured = Rate(), Rate()
        self._since_summary = 0.0
        self._ended = Event()
        self._thread = Thread(target=self._run, name="watch", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join(_SLOW)

    def _run(self) -> None:
        while True:
            is_last = self._ended.wait(_TICK)
            try:
                self.look()
            except Exception as error:  # the records may be closed or broken; the daemon's thread says so itself
                _log.warning("what happens is not written down", extra=fields(why=f"{type(error).__name__}: {error}"))
            if is_last:
                return
            self._since_summary += _TICK
            if self._since_summary >= _SUMMARY:
                self._since_summary = 0.0
                self._summarise()

    def look(self) -> None:
        """Look around once."""
        self._hear_camera()
        status, recording = self._camera.status(), self._store.recording
        before = self._state.snapshot.recording
        if before is not None and (before.active, before.held) != (recording.active, recording.held):
            self._state.trouble("recording", recording.reason or "everything is recorded again")
        self._state.update(
            camera=status,
            recording=recording,
            totals=self._store.totals(),
            commits=self._store.times,
            latency=self._loop.latency.spread(),
            segmenting=self._loop.segmenting.spread(),
            rate=round(self._committed.of(status.totals.processed), 3),
            capture_rate=round(self._captured.of(status.totals.captured), 3),
        )

    def _hear_camera(self) -> None:
        for change in self._camera.changes(self._changes):
            self._changes = change.number + 1
            told = asdict(change)
            self._store.event("camera", told)
            good = change.state in ("starting", "online") or self._camera.ended
            level = logging.INFO if good else logging.WARNING
            _log.log(level, "camera %s", change.state, extra=fields(why=change.reason, life=change.life))
            if not good:
                self._state.trouble("camera", f"{change.state}: {change.reason}")
        for number, refusal in self._camera.refusals(self._refusals):
            self._refusals = number + 1
            if refusal.file is not None:
                self._store.settled([refusal.file])
            self._store.event("refused", {"why": refusal.reason, "file": refusal.file and refusal.file.path})
            self._state.trouble("refused", refusal.reason)
            _log.warning("refused", extra=fields(why=refusal.reason))

    def _summarise(self) -> None:
        now = self._state.snapshot
        if now.camera is None:
            return
        totals = now.camera.totals
        _log.info(
            "running",
            extra=fields(
                phase=now.phase,
                camera=now.camera.now.state,
                captured=totals.captured,
                processed=totals.processed,
                dropped=dict(totals.dropped),
                rate=now.rate,
                latency_p50=round(now.latency.p50, 4),
                latency_p99=round(now.latency.p99, 4),
            ),
        )
