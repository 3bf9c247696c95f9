"""One life of a driver's process: what is heard of it, what is thought of it, and how it ends."""

from __future__ import annotations

import logging
import os
import select
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from unetplus_runtime.cameras.base import CameraFacts, FileIdentity
from unetplus_runtime.cameras.counts import Refusal, SourceTotals
from unetplus_runtime.cameras.isolation.handover import Waiting
from unetplus_runtime.cameras.isolation.link import LinkClosedError
from unetplus_runtime.cameras.isolation.ring import Ring
from unetplus_runtime.pages import MAX_PIXELS

if TYPE_CHECKING:
    from threading import Event

    from unetplus_runtime.cameras.counts import DropReason
    from unetplus_runtime.cameras.isolation.child import Child
    from unetplus_runtime.cameras.isolation.handover import Handover
    from unetplus_runtime.cameras.isolation.link import Message
    from unetplus_runtime.cameras.isolation.restarts import Restarts
    from unetplus_runtime.cameras.isolation.status import History
    from unetplus_runtime.cameras.isolation.watch import StallWatch

_log = logging.getLogger(__name__)

_TICK = 0.25  # seconds between two judgements, at most
_SLOTS = 4  # one that waits, one that is copied, one that is written to, and one to spare
_MOST_BYTES = 4 * MAX_PIXELS
_LAST_BREATH = 2.0  # seconds


class _DriverError(Exception):
    """Why a driver has failed, in one sentence."""


class Life:
    """Follows a driver's process to its end.

    Parameters
    ----------
    child
        The process.
    number
        How many lives there were before.
    watch
        Judges it.
    restarts
        Is told when it is online.
    handover
        Gets its frames and counts.
    history
        Gets its states and refusals.

    Attributes
    ----------
    facts
        Of the camera; None until it is open.
    last_frame
        When the last frame came, by `time.monotonic`; None before the first.
    pid
        Of the process.
    """

    def __init__(
        self, child: Child, number: int, watch: StallWatch, restarts: Restarts, handover: Handover, history: History
    ) -> None:
        self.facts: CameraFacts | None = None
        self.last_frame: float | None = None
        self.pid = child.pid
        self._child, self._number, self._watch, self._restarts = child, number, watch, restarts
        self._handover, self._history = handover, history
        self._rings = 0
        self._ring: Ring | None = None
        self._sequence = -1
        self._ended = False

    def run(self, stopping: Event, grace: float) -> str | None:
        """Follow the driver until it fails, ends or is no longer wanted; then it is dead.

        Parameters
        ----------
        stopping
            Set when it is no longer wanted.
        grace
            How long it may take to end by itself, seconds.

        Returns
        -------
        str or None
            Why it failed; None if it did not.
        """
        failure, is_dead = None, False
        try:
            self._follow(stopping)
        except _DriverError as error:
            failure = str(error)
        except LinkClosedError:
            is_dead = True
        except Exception as error:  # a mistake of ours: the camera is started again, and the log says it
            _log.exception("following the driver failed")
            failure = f"following the driver failed ({type(error).__name__}: {error})"
        if failure is None and not is_dead:
            with suppress(LinkClosedError):
                self._child.link.send({"is": "close"})
            self._end(grace, "shutdown")
        else:
            # One that has hung up is ending; it may take a moment until its exit code is known.
            said = self._end(_LAST_BREATH if is_dead else 0.0, "shutdown" if stopping.is_set() else "camera_lost")
            failure = failure or said or self._death()
        self._child.close()
        return failure

    def _follow(self, stopping: Event) -> None:
        poll = select.poll()
        for number in (self._child.link.fileno(), self._child.output):
            poll.register(number, select.POLLIN)
        while not stopping.is_set() and not self._ended:
            for number, _ in poll.poll(1000 * _TICK):
                if number == self._child.output and not self._child.listen():
                    poll.unregister(number)
            # Everything that was said is heard before silence is judged: perhaps it is this process
            # that was stopped for a while.
            running = self._child.is_running
            self._hear_all()
            if not running:
                raise LinkClosedError
            self._judge()

    def _judge(self) -> None:
        verdict = self._watch.verdict()
        if verdict.state == "lost":
            raise _DriverError(f"{verdict.reason}; the driver is started anew")
        if verdict.state == "late":
            self._history.enter("degraded", verdict.reason, self._number)
        elif verdict.state == "fine" and (self._is_lossless or self.last_frame is not None):
            self._restarts.online()
            self._history.enter("online", "", self._number)

    def _hear_all(self) -> None:
        received = self._child.link.receive()
        while received is not None and not self._ended:
            message, number = received
            if number is not None:  # drivers have no memory to give
                os.close(number)
            try:
                self._hear(message)
            except (LookupError, TypeError, ValueError) as error:
                reason = f"{type(error).__name__}: {error}"
                raise _DriverError(f"the driver's process talks nonsense ({reason}); it is started anew") from error
            received = self._child.link.receive()

    def _hear(self, message: Message) -> None:
        kind = message["is"]
        if kind == "frame":
            self._take(message)
            return
        if kind == "open":
            facts = self.facts = CameraFacts(**message["facts"])
            self._watch.opened(facts.period, lossless=facts.lossless)
            return
        self._handover.hear(SourceTotals(*message["counts"]))
        self._watch.heard(frame=False)
        if kind == "need":
            self._give_ring(int(message["bytes"]))
        elif kind == "refused":
            file = message["file"]
            self._history.refuse(Refusal(str(message["reason"]), None if file is None else FileIdentity(*file)))
        elif kind == "failed":
            raise _DriverError(str(message["reason"]))
        self._ended = kind == "ended"

    def _take(self, message: Message) -> None:
        if self._ring is None or self.facts is None or message["ring"] != self._rings:
            raise ValueError(f"a frame in memory {message['ring']} of {self._rings}")
        if message["sequence"] <= self._sequence:
            raise ValueError(f"frame {message['sequence']} after frame {self._sequence}")
        waiting = Waiting(message, self._number, self._ring, self._child.link)
        waiting.check()
        self._sequence = message["sequence"]
        self._handover.put(waiting, SourceTotals(*message["counts"]), lossless=self.facts.lossless)
        self._watch.heard(frame=True)
        self.last_frame = time.monotonic()

    def _give_ring(self, size: int) -> None:
        if not 0 < size <= _MOST_BYTES:
            raise _DriverError(f"frames of {size:,} bytes are beyond {_MOST_BYTES:,}; let the camera make smaller ones")
        try:
            number = Ring.allocate(_SLOTS, size)
        except OSError as error:
            raise _DriverError(f"there is no memory for frames of {size:,} bytes ({error.strerror})") from error
        self._rings += 1
        try:
            sent = self._child.link.send({"is": "ring", "ring": self._rings, "slots": _SLOTS}, number)
        finally:
            self._ring = Ring(number, _SLOTS)
        if not sent:
            raise _DriverError("the driver does not listen; it is started anew")

    @property
    def _is_lossless(self) -> bool:
        return self.facts is not None and self.facts.lossless

    def _end(self, grace: float, reason: DropReason) -> str | None:
        """See the process dead, by force after some grace, and settle its counts; return why it failed, if it says."""
        self._child.end(grace)
        self._ended = False
        said = None
        try:
            self._hear_all()  # frames that it had finished are as good as any
        except _DriverError as error:
            said = str(error)
        except LinkClosedError:
            pass
        self._child.listen()
        self._handover.end_life(self._child.totals(), reason)
        return said

    def _death(self) -> str:
        """Return the sentence on a process that has ended and not said why."""
        printed = self._child.printed
        if printed:
            _log.warning("the driver's process printed: %s", printed)
        return f"the driver {self._child.death()}; it is started anew"
