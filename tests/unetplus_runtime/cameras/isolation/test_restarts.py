from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unetplus_runtime.cameras.isolation.restarts import BackOff, Restarts

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def make(clock: Any) -> Callable[..., Restarts]:
    """Makes a policy without jitter by the test's clock."""

    def restarts(**settings: float) -> Restarts:
        return Restarts(BackOff.model_validate({"jitter": 0, "storm": 1000, **settings}), clock, lambda low, high: low)

    return restarts


def test_each_wait_is_twice_the_last_up_to_the_longest(make: Callable[..., Restarts]) -> None:
    restarts = make(first=1, longest=10)
    assert [restarts.failed().seconds for _ in range(6)] == [1, 2, 4, 8, 10, 10]


def test_it_never_gives_up(make: Callable[..., Restarts]) -> None:
    restarts = make()
    assert {restarts.failed().seconds for _ in range(2000)} >= {30.0}


def test_calm_makes_the_next_failure_the_first(make: Callable[..., Restarts], clock: Any) -> None:
    restarts = make(first=1, calm=10)
    assert [restarts.failed().seconds for _ in range(3)] == [1, 2, 4]
    restarts.online()
    clock.now += 9.9
    restarts.online()
    assert restarts.failed().seconds == 8
    restarts.online()
    clock.now += 10
    assert restarts.failed().seconds == 1


def test_a_time_offline_is_no_calm(make: Callable[..., Restarts], clock: Any) -> None:
    restarts = make(first=1, calm=10)
    restarts.online()
    clock.now += 5
    restarts.failed()
    clock.now += 100
    assert restarts.failed().seconds == 2


def test_a_storm_is_held_up_until_the_window_has_room(make: Callable[..., Restarts], clock: Any) -> None:
    restarts = make(first=1, calm=0, storm=3, window=60)
    begun = []
    for _ in range(7):
        restarts.online()
        wait = restarts.failed()
        clock.now += wait.seconds
        begun.append((clock.now - 1000, wait.storm))
    assert begun == [(1, False), (2, False), (3, False), (61, True), (62, False), (63, False), (121, True)]


@given(st.lists(st.tuples(st.floats(0, 30), st.booleans()), max_size=60), st.integers(1, 6), st.integers(0, 2**32))
def test_for_any_course_of_events_no_window_holds_more_restarts(
    events: list[tuple[float, bool]], storm: int, seed: int
) -> None:
    now = [0.0]
    drawn = random.Random(seed)  # noqa: S311
    restarts = Restarts(BackOff(storm=storm, window=60, calm=1), lambda: now[0], drawn.uniform)
    begun = []
    for lived, online in events:
        if online:
            restarts.online()
        now[0] += lived
        now[0] += restarts.failed().seconds
        begun.append(now[0])
    for start in begun:
        assert sum(start <= time < start + 60 - 1e-6 for time in begun) <= storm


@given(st.integers(0, 40), st.floats(0, 1))
def test_for_any_draw_the_wait_is_within_the_jitter(failures: int, drawn: float) -> None:
    settings = BackOff(jitter=0.2, storm=1000)
    restarts = Restarts(settings, lambda: 0.0, lambda low, high: low + drawn * (high - low))
    for _ in range(failures):
        restarts.failed()
    plain = min(0.5 * 2**failures, 30)
    assert 0.8 * plain <= restarts.failed().seconds <= 1.2 * plain + 1e-9
