"""Frames in, records out: one frame after another, and none is forgotten."""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from unetplus_edge.errors import InputError
from unetplus_runtime.daemon.facts import LastResult
from unetplus_runtime.daemon.log import fields
from unetplus_runtime.daemon.measuring import Window
from unetplus_runtime.daemon.state import Picture

if TYPE_CHECKING:
    from collections.abc import Callable

    from unetplus_runtime.cameras import FileIdentity, Frame
    from unetplus_runtime.cameras.isolation import IsolatedCamera
    from unetplus_runtime.configuration import ServeSettings
    from unetplus_runtime.daemon.limits import Limits
    from unetplus_runtime.daemon.model import ServedModel
    from unetplus_runtime.daemon.repair import Repair
    from unetplus_runtime.daemon.state import DaemonState
    from unetplus_runtime.daemon.stopping import Stopping
    from unetplus_runtime.records import Committed, RecordStore
    from unetplus_runtime.segmenter import Result

_log = logging.getLogger(__name__)

_TICK = 0.2  # seconds that nothing is waited for longer without a look around
_NO_PIXELS = np.zeros((1, 1), np.uint8)


class FrameLoop:
    """Takes frames, segments them, and hands them to the records, until it is asked to stop.

    While one frame is segmented, those before it are committed by another thread. Whoever holds up
    the records holds up the loop, and with it a camera that is lossless; a live one goes on and
    counts what nobody takes.

    Parameters
    ----------
    camera, store, state
        Where frames come from, where their records go, and who is told.
    repair
        Gives the model of each frame, and deals with an engine that fails.
    stopping
        Whether to end.
    settings
        Returns the settings of this moment, and their hash.
    given_up
        Where pages of files go that the engine could not segment.

    Attributes
    ----------
    latency, segmenting
        How long frames took lately.
    """

    def __init__(
        self,
        camera: IsolatedCamera,
        store: RecordStore,
        state: DaemonState,
        repair: Repair,
        stopping: Stopping,
        settings: Callable[[], tuple[ServeSettings, str]],
        given_up: list[FileIdentity],
    ) -> None:
        self._camera, self._store, self._state = camera, store, state
        self._repair, self._stopping, self._settings = repair, stopping, settings
        self._given_up = given_up
        self.latency, self.segmenting = Window(), Window()
        self._picture: tuple[tuple[int, int], Picture] | None = None  # of a frame that is not committed yet

    def run(self, limits: Limits) -> str:
        """Work until somebody asks to stop, or there is nothing more to do; return why it ended.

        Raises
        ------
        OutputError
            If nothing can be recorded any more.
        """
        frames, last = 0, time.monotonic()
        while not self._stopping.asked:
            self._state.beat()
            model = self._repair.model()
            frame = self._camera.read(_TICK)
            if frame is not None:
                self._handle(frame, model)
                del frame
                frames, last = frames + 1, time.monotonic()
                if frames == limits.frames:
                    return f"{frames} frames are done"
            elif self._camera.ended:
                return "the camera has no more frames"
            elif limits.until_idle is not None:
                if self._is_busy():
                    last = time.monotonic()
                elif time.monotonic() - last >= limits.until_idle:
                    return f"no frame came for {limits.until_idle:g} s"
        return self._stopping.reason

    def _is_busy(self) -> bool:
        """Return whether frames are on their way, or the camera was not opened for the first time yet."""
        status = self._camera.status()
        return status.totals.in_flight > 0 or (status.now.state == "starting" and not status.restarts)

    def _handle(self, frame: Frame, model: ServedModel) -> None:
        settings, configuration_hash = self._settings()
        while True:
            begin = time.perf_counter()
            try:
                result = model.segmenter.segment(frame.array, settings.pixel_size)
            except InputError as error:
                self._drop(frame, str(error), for_ever=True)
                return
            except Exception as error:  # whatever an engine raises: it is said, and the daemon goes on
                again = self._repair.failed(error)
                if again is None:
                    self._drop(frame, f"{type(error).__name__}: {error}", for_ever=False)
                    return
                model = again
            else:
                break
        self._repair.worked()
        self.segmenting.add(time.perf_counter() - begin)
        self._put(frame, result, model.facts.hash, configuration_hash)

    def _put(self, frame: Frame, result: Result, model_hash: str, configuration_hash: str) -> None:
        facts = self._camera.status().facts
        if facts is None:
            raise RuntimeError("a frame came from a camera that was never opened")
        key = (frame.life, frame.sequence)
        if self._picture is None:
            picture = Picture(0, frame.wall, self._state.snapshot.simulated, frame.array, result.labels)
            self._picture = key, picture
        # What waits to be committed keeps no pixels that nobody asked for.
        light = replace(frame, array=_NO_PIXELS)
        on_commit = partial(self._committed, light, result.timings)
        while not self._store.put(
            frame,
            result,
            facts=facts,
            model_hash=model_hash,
            configuration_hash=configuration_hash,
            on_commit=on_commit,
            timeout=_TICK,
        ):
            self._state.beat()
            if self._stopping.asked and not self._stopping.left:
                # One from a file is read again next time.
                self._camera.drop(frame, "shutdown")
                return

    def _committed(self, frame: Frame, timings: dict[str, float], committed: Committed) -> None:
        """Tell everyone of a frame, now that its record is on the disk; called by the thread that commits."""
        self._camera.done(frame)
        number, record, is_new = committed
        latency = time.monotonic() - frame.monotonic
        self.latency.add(latency)
        waiting = self._picture
        if waiting is not None and waiting[0] == (frame.life, frame.sequence):
            self._state.show(replace(waiting[1], id=number))
            self._picture = None
        self._state.update(
            last=LastResult(
                id=number,
                life=frame.life,
                sequence=frame.sequence,
                source=record.source,
                file=None if frame.file is None else frame.file.path,
                nuclei=record.nuclei,
                height=record.height,
                width=record.width,
                captured=frame.wall,
                committed=time.time(),
                latency=latency,
                timings=timings,
                model_hash=record.model_hash,
                recording=record.recording,
            )
        )
        _log.debug(
            "frame committed",
            extra=fields(
                id=number,
                life=frame.life,
                sequence=frame.sequence,
                nuclei=record.nuclei,
                new=is_new,
                latency=round(latency, 6),
                **({} if frame.file is None else {"file": frame.file.path, "page": frame.file.page}),
            ),
        )

    def _drop(self, frame: Frame, why: str, *, for_ever: bool) -> None:
        """Let go of a frame that cannot be segmented; `for_ever`: because of the frame, not of the engine."""
        named = {} if frame.file is None else {"file": frame.file.path, "page": frame.file.page}
        told = {"life": frame.life, "sequence": frame.sequence, "why": why, **named}
        self._store.event("frame failed", told)
        if for_ever:
            self._store.drop(frame, "failed")
        elif frame.file is not None:
            self._given_up.append(frame.file)
        self._camera.drop(frame, "failed")
        self._state.trouble("frame failed", f"frame {frame.sequence} of life {frame.life}: {why}")
        _log.error("frame failed", extra=fields(**told))
