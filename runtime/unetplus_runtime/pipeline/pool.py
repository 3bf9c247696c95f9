"""The lanes of an engine, lent to whoever has patches."""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from unetplus_runtime.engines.base import require_patches
from unetplus_runtime.engines.lanes import FreeLanes, LanedNetwork, few_patches, infer_side_by_side, lanes_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from unetplus_edge.imaging.workers import Workers
    from unetplus_runtime.engines import Engine
    from unetplus_runtime.engines.lanes import Lane

_TOGETHER = 64
"""Patches that an engine without lanes is given at a time, so that they take no more memory than that."""


class LanePool:
    """The lanes of an open engine; any number of threads may ask for one.

    Parameters
    ----------
    engine
        The engine. While the pool is in use, nothing else may use it.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._opening, self._shared = Lock(), Lock()
        self._free: FreeLanes | None = None

    @property
    def step(self) -> int:
        """Patches to bring at a time."""
        return self._engine.info.batch or 1 if isinstance(self._engine, LanedNetwork) else _TOGETHER

    @property
    def lanes(self) -> int:
        """How many lanes there are.

        Raises
        ------
        EngineError
            If the engine is closed.
        """
        return len(lanes_of(self._engine))

    def few(self, count: int) -> bool:
        """Return whether that many patches are better brought all at once to `together`."""
        return few_patches(self._engine, count)

    @contextmanager
    def lane(self) -> Iterator[Lane]:
        """Wait for a lane, and lend it.

        Raises
        ------
        EngineError
            If the engine is closed.
        """
        lanes = lanes_of(self._engine)
        with self._opening:
            if self._free is None:
                self._free = FreeLanes(lanes)
            free = self._free
        with free.one() as lane:
            yield lane

    @contextmanager
    def together(self) -> Iterator[Any]:
        """Wait for the engine as a whole, and lend it: for few patches, and for frames in one piece.

        One that has no lanes is waited for like a lane.
        """
        if self.lanes == 1:
            with self.lane():
                yield self._engine
        else:
            with self._shared:
                yield self._engine

    def infer(self, patches: NDArray[np.float32], workers: Workers) -> NDArray[np.float32]:
        """Return what the engine answers to patches, in an array that belongs to the caller.

        Parameters
        ----------
        patches
            float32 in [0, 1], shape (n, side, side, 1).
        workers
            Who share them.
        """
        require_patches(patches, self._engine.info.patch_side)
        if self.few(len(patches)):
            with self.together() as engine:
                return engine.infer(patches).copy()  # type: ignore[no-any-return]
        answers = np.empty_like(patches, order="C")
        infer_side_by_side(self.lane, patches, answers, self.step, workers)
        return answers

    def close(self) -> None:
        """Close the engine, once all lanes are back."""
        # Who waits for one meanwhile is told by it that it is closed.
        with self._shared, self._opening, nullcontext() if self._free is None else self._free.all():
            self._engine.close()
