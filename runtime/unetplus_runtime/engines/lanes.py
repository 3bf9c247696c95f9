"""How an engine on a CPU answers several patches at a time: one thread a patch, on lanes side by side.

Threads that share a patch wait for each other after every layer, and wait busily. A thread that has
a patch to itself waits for nobody: the same patches take less of the cores' time so, on every engine
on a CPU (`benchmarks/unetplus_bench/lanes.py` measures it). Threads share a patch where there are few.
"""

from __future__ import annotations

from abc import abstractmethod
from contextlib import contextmanager
from queue import LifoQueue
from threading import Lock
from typing import TYPE_CHECKING, Protocol

from unetplus_edge.imaging.workers import Workers
from unetplus_runtime.engines.base import AnswerBuffer, OpenNetwork, require_patches

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    import numpy as np
    from numpy.typing import NDArray

    from unetplus_runtime.engines.base import Engine


class Lane(Protocol):
    """What answers patches, used by one thread at a time: an engine, or a part of one."""

    def infer(self, patches: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return nucleus probabilities, in an array that the next call overwrites; see `Engine.infer`."""
        ...


class FreeLanes:
    """Lanes that nobody uses at the moment; any number of threads may ask for one.

    Parameters
    ----------
    lanes
        All of them.
    """

    def __init__(self, lanes: Sequence[Lane]) -> None:
        self.count = len(lanes)
        self._free: LifoQueue[Lane] = LifoQueue()
        for lane in lanes:
            self._free.put(lane)

    @contextmanager
    def one(self) -> Iterator[Lane]:
        """Wait for a lane, and lend it."""
        lane = self._free.get()
        try:
            yield lane
        finally:
            self._free.put(lane)

    @contextmanager
    def all(self) -> Iterator[None]:
        """Wait until every lane is back, and lend none meanwhile."""
        lanes = [self._free.get() for _ in range(self.count)]
        try:
            yield
        finally:
            for lane in lanes:
                self._free.put(lane)


def infer_side_by_side(
    lend: Callable[[], AbstractContextManager[Lane]],
    patches: NDArray[np.float32],
    answers: NDArray[np.float32],
    step: int,
    workers: Workers,
) -> None:
    """Have the lanes of an engine answer patches.

    Parameters
    ----------
    lend
        Waits for a lane, and lends it.
    patches
        float32 in [0, 1], shape (n, side, side, 1).
    answers
        Gets the nucleus probabilities: float32, same shape.
    step
        How many patches a lane is given at a time.
    workers
        Who use the lanes.
    """

    def answer(start: int) -> None:
        some = slice(start, start + step)
        with lend() as lane:
            answers[some] = lane.infer(patches[some])

    workers.run(answer, [(start,) for start in range(0, len(patches), step)])


class LanedNetwork(OpenNetwork):
    """The part of an engine that is the same for all that have lanes on a CPU."""

    _answers: AnswerBuffer
    _lanes: tuple[Lane, ...] = ()
    _workers: Workers | None = None

    def __init__(self) -> None:
        self._opening = Lock()

    @abstractmethod
    def _shared(self) -> Lane:
        """Return the network whose threads share a patch."""

    @abstractmethod
    def _open_lanes(self, count: int) -> Sequence[Lane]:
        """Return networks of one thread each."""

    @property
    def lanes(self) -> tuple[Lane, ...]:
        """Parts of the engine that may be used at the same time: one thread each, as many as the engine has.

        They are opened when they are first asked for. On another device than the CPU there is one.

        Raises
        ------
        EngineError
            If the engine is closed.
        """
        self._network()
        with self._opening:
            if not self._lanes:
                one = self.info.threads == 1 or self.info.device != "cpu"
                self._lanes = (self._shared(),) if one else tuple(self._open_lanes(self.info.threads))
            return self._lanes

    def infer(self, patches: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return nucleus probabilities.

        Parameters
        ----------
        patches
            float32 in [0, 1], shape (n, side, side, 1).

        Returns
        -------
        numpy.ndarray
            float32 in [0, 1], same shape. The array is reused by the next call.
        """
        require_patches(patches, self.info.patch_side)
        self._network()
        if few_patches(self, len(patches)):
            return self._shared().infer(patches)
        lanes = self.lanes
        if len(lanes) == 1:
            return lanes[0].infer(patches)
        if self._workers is None:
            self._workers = Workers(len(lanes))
        answers = self._answers.first(len(patches))
        infer_side_by_side(FreeLanes(lanes).one, patches, answers, self.info.batch or 1, self._workers)
        return answers

    def close(self) -> None:
        """Free the network and its memory."""
        super().close()
        with self._opening:
            self._lanes, self._workers = (), None


def lanes_of(engine: Engine) -> tuple[Lane, ...]:
    """Return what of an engine may be used at the same time; of one without lanes, the engine itself.

    Raises
    ------
    EngineError
        If it has lanes and is closed.
    """
    return engine.lanes if isinstance(engine, LanedNetwork) else (engine,)


def few_patches(engine: Engine, count: int) -> bool:
    """Return whether so many patches would leave half of the lanes or more without work.

    Then all threads together answer them sooner, one after the other.
    """
    return isinstance(engine, LanedNetwork) and 2 * count <= engine.info.threads * (engine.info.batch or 1)
