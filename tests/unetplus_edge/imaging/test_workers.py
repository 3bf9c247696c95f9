"""Parts of a frame are shared by threads, each part done once."""

from __future__ import annotations

import threading

import pytest

from unetplus_edge.errors import InputError
from unetplus_edge.imaging.workers import Workers


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("count", [0, 1, 3, 40])
def test_every_part_is_done_once(threads: int, count: int) -> None:
    done: list[tuple[int, str]] = []
    Workers(threads).run(lambda number, text: done.append((number, text)), [(n, "part") for n in range(count)])
    assert sorted(done) == [(n, "part") for n in range(count)]


def test_parts_are_done_side_by_side() -> None:
    meeting = threading.Barrier(3, timeout=60)
    Workers(3).run(meeting.wait, [(), (), ()])


def test_the_caller_works_too() -> None:
    seen: set[str] = set()
    Workers(1).run(lambda: seen.add(threading.current_thread().name), [()])
    assert seen == {threading.current_thread().name}


@pytest.mark.parametrize("failing", [0, 1])
def test_an_error_of_any_thread_reaches_the_caller(failing: int) -> None:
    meeting = threading.Barrier(2, timeout=60)

    def task(number: int) -> None:
        meeting.wait()
        if number == failing:
            raise ArithmeticError(f"part {number}")

    workers = Workers(2)
    with pytest.raises(ArithmeticError, match=f"part {failing}"):
        workers.run(task, [(0,), (1,)])
    done: list[int] = []
    workers.run(done.append, [(1,), (2,)])
    assert sorted(done) == [1, 2]


@pytest.mark.parametrize("threads", [0, -1])
def test_no_threads_are_refused(threads: int) -> None:
    with pytest.raises(InputError, match="ask for 1 or more"):
        Workers(threads)
