"""The driver's process: opens one camera and hands its frames over until nobody wants them any more.

Started as `python -m unetplus_runtime.cameras.isolation.worker PARENT LINK COUNTS START`, the last
three being file descriptors.
"""

from __future__ import annotations

import ctypes
import faulthandler
import json
import logging
import os
import signal
import socket
import sys
import time
import traceback
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import TypeAdapter

from unetplus_edge.errors import CameraError, InputError, UnetPlusError
from unetplus_edge.imaging import as_frame
from unetplus_runtime.cameras import CameraSettings, FileIdentity, Start, open_camera
from unetplus_runtime.cameras.counts import Refusal, SourceCounts
from unetplus_runtime.cameras.isolation.link import MAX_MESSAGE, Link, LinkClosedError
from unetplus_runtime.cameras.isolation.ring import Ring, SharedMemory

if TYPE_CHECKING:
    from unetplus_runtime.cameras import Camera, Frame

_BEAT = 0.2  # seconds between signs of life
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG
_MAX_REASON = 2000


class _Closing(Exception):  # noqa: N818
    """The daemon wants no more frames."""


class _Worker:
    def __init__(self, link: Link, counts: SourceCounts) -> None:
        self._link, self._counts = link, counts
        self._ring: Ring | None = None
        self._number = -1
        self._free: list[int] = []
        self._last_beat = 0.0

    def run(self, camera: Camera) -> None:
        """Hand frames over until the camera ends or nobody wants more."""
        self._link.send({"is": "open", "facts": asdict(camera.facts)}, timeout=None)
        while not camera.ended:
            self._beat()
            # A slot before a frame: so a live camera is asked for its newest, and a file waits.
            if self._ring is not None and not self._free:
                self._listen(_BEAT)
                continue
            self._listen(0)
            frame = camera.read(_BEAT)
            if frame is not None:
                self._hand_over(frame)
        self.report_refusals()
        self._send({"is": "ended"})
        while True:
            self._listen(None)

    def report_refusals(self) -> None:
        for reason, file in self._counts.take_refusals():
            self._send({"is": "refused", "reason": reason[:_MAX_REASON], "file": file})

    def fail(self, reason: str) -> None:
        self.report_refusals()
        self._send({"is": "failed", "reason": reason[:_MAX_REASON]})

    def _hand_over(self, frame: Frame) -> None:
        try:
            array = as_frame(frame.array)
        except InputError as error:
            self._counts.drop("corrupt", Refusal(f"frame {frame.sequence}: {error}", frame.file))
            return
        if self._ring is None or array.nbytes > self._ring.capacity:
            self._send({"is": "need", "bytes": array.nbytes})
            number = self._number
            while self._number == number:
                self._listen(None)
        ring = self._ring
        if ring is None:  # the wait above has ended with one
            raise LinkClosedError("there is no memory for frames")
        slot = self._free.pop()
        ring.write(slot, array)
        self._send(
            {
                "is": "frame",
                "ring": self._number,
                "slot": slot,
                "shape": array.shape,
                "dtype": array.dtype.name,
                "sequence": frame.sequence,
                "device_time": frame.device_time,
                "monotonic": frame.monotonic,
                "wall": frame.wall,
                "metadata": dict(frame.metadata),
                "file": frame.file,
            }
        )

    def _beat(self) -> None:
        self.report_refusals()
        now = time.monotonic()
        if now - self._last_beat >= _BEAT:
            self._last_beat = now
            # A daemon that does not listen just now needs no sign of life.
            self._link.send({"is": "alive", "counts": self._counts.totals()})

    def _send(self, message: dict[str, Any]) -> None:
        try:
            self._link.send({**message, "counts": self._counts.totals()}, timeout=None)
        except (TypeError, ValueError) as error:
            raise CameraError(
                f"the camera describes its frames by what JSON has not, or by more than {MAX_MESSAGE:,} bytes ({error})"
            ) from error

    def _listen(self, timeout: float | None) -> None:
        """Heed messages: wait for one, and take what else is there."""
        received = self._link.receive(timeout)
        while received is not None:
            message, number = received
            if message["is"] == "close":
                raise _Closing
            if message["is"] == "ring" and number is not None:
                self._number = message["ring"]
                self._ring = Ring(number, message["slots"])
                self._free = list(range(self._ring.slots))
            elif message["is"] == "free" and message["ring"] == self._number:
                self._free.append(message["slot"])
            received = self._link.receive(0)


def main(arguments: list[str]) -> None:
    """Serve one camera; return when the daemon is gone or wants no more."""
    parent, *numbers = (int(argument) for argument in arguments)
    die_with(parent)
    faulthandler.enable()
    # What ends the daemon is its own to handle, even where all of its processes are told.
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, signal.SIG_IGN)
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # what it grumbles about is read or refused
    for number in numbers:
        os.set_inheritable(number, False)  # a driver's own processes are not to keep the link open
    link_number, counts_number, start_number = numbers
    counts = SourceCounts(SharedMemory(counts_number).view(0, (SourceCounts.CELLS,), np.dtype(np.uint64)))
    with open(start_number, encoding="ascii") as file:  # noqa: PTH123
        told = json.load(file)
    worker = _Worker(Link(socket.socket(fileno=link_number)), counts)
    start = Start(counts, [FileIdentity(*identity) for identity in told["seen"]], told["life"])
    try:
        camera = open_camera(TypeAdapter[CameraSettings](CameraSettings).validate_python(told["settings"]), start)
        try:
            worker.run(camera)
        finally:
            camera.close()
    except (_Closing, LinkClosedError):
        pass
    except UnetPlusError as error:
        _fail(worker, str(error))
    except Exception as error:  # whatever a driver raises, the daemon is to hear of it
        traceback.print_exc()
        _fail(worker, f"the driver failed ({type(error).__name__}: {error}); it will be started anew")


def _fail(worker: _Worker, reason: str) -> None:
    with suppress(LinkClosedError):
        worker.fail(reason)


def die_with(parent: int) -> None:
    """Let the system kill this process when its parent dies, even where this one hangs or is stopped.

    Parameters
    ----------
    parent
        Process id of the parent. If that is dead already, this ends the process.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit(1)


if __name__ == "__main__":
    main(sys.argv[1:])
