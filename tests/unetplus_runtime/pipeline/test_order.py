from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from unetplus_runtime.pipeline import in_order

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE = 60


def never(_thing: int) -> bool:
    return False


def test_results_come_in_the_order_of_the_things_whichever_is_done_first() -> None:
    second_is_done = threading.Event()

    def work(thing: int) -> int:
        if thing == 0:
            assert second_is_done.wait(PATIENCE)
        if thing == 1:
            second_is_done.set()
        return 10 * thing

    assert list(in_order(range(5), work, work, never, 2)) == [0, 10, 20, 30, 40]


def test_things_are_worked_on_side_by_side() -> None:
    together = threading.Barrier(3)

    def work(thing: int) -> int:
        together.wait(PATIENCE)
        return thing

    assert list(in_order(range(6), work, work, never, 3)) == list(range(6))


def test_no_more_things_are_taken_than_are_worked_on_and_one() -> None:
    taken: list[int] = []

    def things() -> Iterator[int]:
        for number in range(20):
            taken.append(number)
            yield number

    results = in_order(things(), abs, abs, never, 3)
    for expected in range(20):
        assert next(results) == expected
        assert len(taken) <= expected + 4


def test_a_large_thing_is_worked_on_while_nothing_else_is_by_who_takes_the_results() -> None:
    at_work: list[int] = []
    lock = threading.Lock()

    def by_one(thing: int) -> int:
        with lock:
            at_work.append(thing)
        with lock:
            at_work.remove(thing)
        return thing

    def by_all(thing: int) -> int:
        assert not at_work
        assert threading.current_thread() is threading.main_thread()
        return -thing

    results = in_order(range(1, 8), by_one, by_all, lambda thing: thing in (3, 7), 2)
    assert list(results) == [1, 2, -3, 4, 5, 6, -7]


def test_with_one_thread_nothing_is_given_to_another() -> None:
    def by_all(thing: int) -> str:
        return f"{thing} {threading.current_thread() is threading.main_thread()}"

    assert list(in_order(range(2), str, by_all, never, 1)) == ["0 True", "1 True"]


def test_an_error_is_raised_when_its_turn_comes_and_ends_the_work() -> None:
    done: list[int] = []

    def work(thing: int) -> int:
        if thing == 2:
            raise ValueError("two")
        done.append(thing)
        return thing

    results = in_order(range(100), work, work, never, 2)
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(ValueError, match="two"):
        next(results)
    assert len(done) < 10
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("unetplus-frames")]


def test_closing_the_iterator_ends_the_threads() -> None:
    results = in_order(range(100), abs, abs, never, 2)
    next(results)
    results.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("unetplus-frames")]
