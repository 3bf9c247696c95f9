"""Memory that two processes share, in slots of one frame each."""

from __future__ import annotations

import fcntl
import math
import mmap
import os
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL


class SharedMemory:
    """Memory without a name: it goes when the last process that holds it ends, however that ends.

    It cannot be made smaller, by neither side: touching what is gone would kill the other.

    Parameters
    ----------
    number
        A file descriptor of such memory; it is taken over and closed.

    Raises
    ------
    ValueError
        If its size can be changed.
    """

    def __init__(self, number: int) -> None:
        try:
            if fcntl.fcntl(number, fcntl.F_GET_SEALS) & _SEALS != _SEALS:
                raise ValueError("the memory is not sealed")
            self.bytes = os.fstat(number).st_size
            self._map = mmap.mmap(number, self.bytes)
        finally:
            os.close(number)

    @staticmethod
    def allocate(size: int) -> int:
        """Return a file descriptor of that many bytes, all zero; pages are taken when they are written."""
        number = os.memfd_create("unetplus-frames", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            os.ftruncate(number, size)
            fcntl.fcntl(number, fcntl.F_ADD_SEALS, _SEALS)
        except OSError:
            os.close(number)
            raise
        return number

    def view(self, offset: int, shape: Sequence[int], dtype: np.dtype[Any]) -> NDArray[Any]:
        """Return an array over the memory, which stays as long as the array does."""
        array: NDArray[Any] = np.ndarray(tuple(shape), dtype, self._map, offset)
        return array


class Ring:
    """Slots of equal size. Which of them is whose is agreed upon elsewhere.

    Parameters
    ----------
    number
        A file descriptor of shared memory; it is taken over and closed.
    slots
        How many.

    Attributes
    ----------
    slots
        How many.
    capacity
        Bytes of a slot.
    """

    def __init__(self, number: int, slots: int) -> None:
        self._memory = SharedMemory(number)
        self.slots = slots
        self.capacity = self._memory.bytes // slots

    @staticmethod
    def allocate(slots: int, capacity: int) -> int:
        """Return a file descriptor of memory for so many slots of at least so many bytes."""
        pages = -(-capacity // mmap.PAGESIZE)
        return SharedMemory.allocate(slots * pages * mmap.PAGESIZE)

    def write(self, slot: int, array: NDArray[Any]) -> None:
        """Copy an array into a slot, where it fits."""
        np.copyto(self._view(slot, array.shape, array.dtype), array)

    def read(self, slot: int, shape: Sequence[int], dtype: np.dtype[Any]) -> NDArray[Any]:
        """Return a copy of the array in a slot."""
        return self._view(slot, shape, dtype).copy()

    def _view(self, slot: int, shape: Sequence[int], dtype: np.dtype[Any]) -> NDArray[Any]:
        needed = math.prod(shape) * dtype.itemsize
        if not (0 <= slot < self.slots and 0 <= needed <= self.capacity):
            raise ValueError(f"slot {slot} of {self.slots} has no room for {needed} of {self.capacity} bytes")
        return self._memory.view(slot * self.capacity, shape, dtype)
