from __future__ import annotations

import gc
import os
from pathlib import Path

import numpy as np
import pytest

from unetplus_runtime.cameras.isolation.ring import Ring, SharedMemory


def test_what_one_side_writes_the_other_reads() -> None:
    number = Ring.allocate(3, 40 * 50 * 2)
    there = Ring(os.dup(number), 3)
    here = Ring(number, 3)
    frames = [np.full((40, 50), value, np.uint16) for value in (1, 2, 3)]
    for slot, frame in enumerate(frames):
        there.write(slot, frame)
    for slot, frame in enumerate(frames):
        np.testing.assert_array_equal(here.read(slot, (40, 50), np.dtype(np.uint16)), frame)


def test_a_copy_stays_when_the_slot_is_written_again() -> None:
    ring = Ring(Ring.allocate(1, 16), 1)
    ring.write(0, np.arange(4, dtype=np.float32))
    copy = ring.read(0, (4,), np.dtype(np.float32))
    ring.write(0, np.zeros(4, np.float32))
    assert copy.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(("slot", "shape"), [(-1, (1, 1)), (2, (1, 1)), (0, (4097, 1)), (1, (2**40, 2**40))])
def test_nothing_outside_a_slot_is_touched(slot: int, shape: tuple[int, int]) -> None:
    ring = Ring(Ring.allocate(2, 4096), 2)
    with pytest.raises(ValueError, match="has no room"):
        ring.read(slot, shape, np.dtype(np.uint8))


def test_nobody_can_take_the_memory_away() -> None:
    number = Ring.allocate(2, 100)
    other = os.dup(number)
    ring = Ring(number, 2)
    with pytest.raises(PermissionError):
        os.ftruncate(other, 0)
    os.close(other)
    ring.write(1, np.zeros(100, np.uint8))


def test_memory_that_could_be_taken_away_is_refused() -> None:
    number = os.memfd_create("test")
    os.ftruncate(number, 4096)
    with pytest.raises(ValueError, match="not sealed"):
        SharedMemory(number)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(number)


def test_memory_goes_with_its_last_user() -> None:
    def mapped() -> int:
        return Path("/proc/self/maps").read_text().count("memfd:unetplus-frames")

    gc.collect()
    before, open_before = mapped(), len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    ring = Ring(Ring.allocate(2, 4096), 2)
    ring.write(0, np.zeros(4096, np.uint8))
    assert mapped() == before + 1
    assert len(os.listdir("/proc/self/fd")) <= open_before + 1  # noqa: PTH208
    del ring
    gc.collect()
    assert mapped() == before
