"""What an engine is, and what all engines share."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from unetplus_edge.errors import EngineError, InputError

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    from numpy.typing import NDArray

    from unetplus_edge.manifest import EngineName, Precision


@dataclass(frozen=True)
class EngineInfo:
    """The facts of an opened engine, for a report.

    Attributes
    ----------
    engine
        Its name, as `open_engine` takes it.
    library, library_version
        What computes.
    file
        The file that was opened.
    stored_precision
        Of the weights, as found in the file.
    executed_precision
        What the library computes in.
    device
        What it computes on.
    threads
        Threads that one call may use.
    batch
        Patches that the library is given at a time; None if it takes any number.
    patch_side
        Side of a patch in pixels.
    passed_over
        By `engine="auto"`: each engine that would have been taken before this one, and why it
        was not, one sentence each.
    """

    engine: EngineName
    library: str
    library_version: str
    file: Path
    stored_precision: Precision
    executed_precision: Precision
    device: str
    threads: int
    batch: int | None
    patch_side: int
    passed_over: tuple[str, ...] = ()


class Engine(Protocol):
    """An opened network that turns patches into nucleus probabilities.

    An engine is used by one thread at a time. It is a context manager: leaving it closes it.

    Attributes
    ----------
    info
        What was opened and how it computes. It stays true from opening to closing: an engine
        never changes precision or device on the way.
    """

    info: EngineInfo

    def infer(self, patches: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return nucleus probabilities: float32 in [0, 1], shape (n, side, side, 1).

        `patches` are float32 in [0, 1], shape (n, side, side, 1), for any n from 0; they are not
        changed, and the answer to each does not depend on the others. The returned array belongs
        to the engine and is overwritten by the next call: copy what is to be kept. Patches of
        another shape or dtype are an `InputError`, a failure of the library or a closed engine
        is an `EngineError`.
        """
        ...

    def close(self) -> None:
        """Free the network and its memory. Closing twice is no error."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...


class OpenNetwork:
    """The part of an engine that is the same for all: a network that is held until it is closed.

    Attributes
    ----------
    info
        As in `Engine`.
    """

    info: EngineInfo
    _held: Any = None

    def _network(self) -> Any:
        """Return what the library made of the file.

        Raises
        ------
        EngineError
            If the engine is closed.
        """
        if self._held is None:
            raise EngineError(f"{self.info.file} is closed; open the engine again")
        return self._held

    def close(self) -> None:
        """Free the network and its memory."""
        self._held = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class AnswerBuffer:
    """The array that an engine returns, made once for the largest number of patches asked for.

    Parameters
    ----------
    side
        Side of a patch in pixels.
    """

    def __init__(self, side: int) -> None:
        self._array = np.empty((0, side, side, 1), np.float32)

    def first(self, count: int) -> NDArray[np.float32]:
        """Return room for that many patches: float32, shape (count, side, side, 1)."""
        if count > len(self._array):
            self._array = np.empty((count, *self._array.shape[1:]), np.float32)
        return self._array[:count]


def require_patches(patches: NDArray[np.generic], side: int) -> None:
    """Refuse what is no array of patches.

    Raises
    ------
    InputError
        If it is not float32 of shape (n, side, side, 1).
    """
    if patches.dtype != np.float32 or patches.ndim != 4 or patches.shape[1:] != (side, side, 1):
        raise InputError(
            f"the network takes float32 patches of shape (n, {side}, {side}, 1), not {patches.dtype} of shape "
            f"{patches.shape}; cut the preprocessed frame with a PatchGrid of side {side}"
        )


def require_option(engine: EngineName, option: str, asked: str | None, offered: str) -> None:
    """Refuse a device or an execution that an engine has not, instead of taking another silently.

    Raises
    ------
    EngineError
        If something was asked for (not None) that is not what is offered.
    """
    if asked is not None and asked != offered:
        raise EngineError(
            f"{engine} has {option} {offered} here, not {asked}; ask for {offered}, or for another engine"
        )


def thread_count(threads: int | None) -> int:
    """Return the number of threads to use: as asked, or every core that this process may run on.

    Raises
    ------
    InputError
        If fewer than one is asked for.
    """
    if threads is None:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if threads < 1:
        raise InputError(f"{threads} threads compute nothing; ask for at least 1, or for none to use every core")
    return threads


def whole_frame(length: int) -> int:
    """Return a side of a frame as a network takes it that halves it up to 4 times, as 5 levels do.

    >>> whole_frame(520)
    528
    """
    return -(-length // 16) * 16


def missing(engine: EngineName, package: str, error: ImportError) -> EngineError:
    """Return the error of an engine whose library cannot be imported.

    Parameters
    ----------
    engine
        The engine.
    package
        What to install, as pip takes it: `unetplus-edge`, with an extra in brackets where the
        library is not part of every installation.
    error
        What importing it raised.
    """
    reason = "is not installed" if isinstance(error, ModuleNotFoundError) else f"cannot be imported ({error})"
    return EngineError(f"the library of the {engine} engine {reason}; run: pip install '{package}'")
