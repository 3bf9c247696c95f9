"""Threads that share the parts of a frame between them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Any

from unetplus_edge.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Workers:
    """A number of threads, the caller's own among them. The others end when this object does.

    Parameters
    ----------
    threads
        How many work at a time, 1 or more.

    Raises
    ------
    InputError
        If there would be none.
    """

    def __init__(self, threads: int) -> None:
        if threads < 1:
            raise InputError(f"{threads} threads do no work; ask for 1 or more")
        self.threads = threads
        self._pool = ThreadPoolExecutor(threads - 1, "unetplus-imaging") if threads > 1 else None

    def run(self, task: Callable[..., Any], parts: Sequence[tuple[Any, ...]]) -> None:
        """Call `task(*part)` for every part; return when all are done.

        Whoever is free takes the next part. An error is raised here, once no other thread works any
        more; parts that nobody had begun may be left out then.
        """
        waiting = iter(parts)

        def work() -> None:
            for part in waiting:
                task(*part)

        helpers = min(self.threads, len(parts)) - 1
        others = [self._pool.submit(work) for _ in range(helpers)] if self._pool else []
        try:
            work()
        finally:
            wait(others)
        for other in others:
            other.result()
