from __future__ import annotations

import threading

import numpy as np
import pytest

from unetplus_edge.errors import CameraError
from unetplus_runtime.cameras.base import Frame
from unetplus_runtime.cameras.counts import SourceCounts
from unetplus_runtime.cameras.newest import NewestOnly


class Device:
    """Makes frames as fast as they are taken, up to a number; then it waits or fails."""

    def __init__(self, frames: int, error: Exception | None = None) -> None:
        self.counts = SourceCounts()
        self.exhausted = threading.Event()
        self.released = threading.Event()
        self._frames, self._error, self._made = frames, error, 0

    def grab(self) -> Frame | None:
        if self._made == self._frames:
            self.exhausted.set()
            self.released.wait()
            raise self._error or CameraError("the end")
        self.counts.capture(self._made)
        self._made += 1
        return Frame(np.zeros((2, 2), np.uint8), self._made - 1, None, 0.0, 0.0)


def test_only_the_newest_is_left() -> None:
    device = Device(50)
    newest = NewestOnly(device.grab, device.counts)
    device.exhausted.wait()
    frame = newest.take(10)
    assert frame is not None
    assert frame.sequence == 49
    assert newest.take(0) is None
    assert device.counts.totals() == (50, {"newest_only": 49})
    device.released.set()
    assert newest.stop(60)


def test_the_last_frame_comes_before_the_error() -> None:
    device = Device(3)
    device.released.set()
    newest = NewestOnly(device.grab, device.counts)
    device.exhausted.wait()
    assert newest.stop(60)
    assert newest.take(10) is not None
    with pytest.raises(CameraError, match="the end"):
        newest.take(10)


def test_whatever_a_driver_raises_is_a_camera_error() -> None:
    device = Device(0, RuntimeError("bus error"))
    device.released.set()
    newest = NewestOnly(device.grab, device.counts)
    with pytest.raises(CameraError, match=r"the driver failed \(RuntimeError: bus error\)"):
        newest.take(60)


def test_a_driver_that_hangs_is_told_from_one_that_stops() -> None:
    device = Device(1)
    newest = NewestOnly(device.grab, device.counts)
    device.exhausted.wait()
    assert not newest.stop(0.01)
    device.released.set()
    assert newest.stop(60)


def test_frames_that_had_piled_up_are_not_handed_out() -> None:
    device = Device(50)
    newest = NewestOnly(device.grab, device.counts, backlog=3600)
    device.exhausted.wait()
    assert newest.take(0.01) is None
    assert device.counts.totals() == (50, {"newest_only": 49})
    device.released.set()
    assert newest.stop(60)


def test_when_they_are_gone_the_newest_is() -> None:
    device = Device(50)
    newest = NewestOnly(device.grab, device.counts, backlog=0.05)
    device.exhausted.wait()
    frame = newest.take(60)
    assert frame is not None
    assert frame.sequence == 49
    device.released.set()
    assert newest.stop(60)
