"""Work on many things at a time, whose results come in the order of the things."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable
    from concurrent.futures import Future

_Thing = TypeVar("_Thing")
_Done = TypeVar("_Done")


def in_order(
    things: Iterable[_Thing],
    by_one: Callable[[_Thing], _Done],
    by_all: Callable[[_Thing], _Done],
    is_large: Callable[[_Thing], bool],
    threads: int,
) -> Generator[_Done, None, None]:
    """Yield what work comes to, thing by thing.

    At most one thing more than there are threads has been taken and not yet yielded, so that memory
    is bounded and whoever takes the results sets the pace. What work raises is raised when the turn
    of its thing comes; then, or when the iterator is closed, the threads finish what they have begun,
    and no more.

    Parameters
    ----------
    things
        Taken by the thread that takes the results.
    by_one
        The work, done by one of the threads.
    by_all
        The work on large things, done by the thread that takes the results while the others do
        nothing; so is all work if there is one thread.
    is_large
        Which things are large.
    threads
        1 or more.
    """
    if threads == 1:
        yield from map(by_all, things)
        return
    waiting: deque[Future[_Done]] = deque()
    with ThreadPoolExecutor(threads, "unetplus-frames") as pool:
        try:
            for thing in things:
                if is_large(thing):
                    while waiting:
                        yield waiting.popleft().result()
                    yield by_all(thing)
                    continue
                waiting.append(pool.submit(by_one, thing))
                if len(waiting) > threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
            wait(waiting)
