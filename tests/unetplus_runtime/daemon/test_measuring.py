from __future__ import annotations

import statistics

import pytest

from unetplus_runtime.daemon.facts import Spread
from unetplus_runtime.daemon.measuring import Rate, Window


def test_percentiles_are_those_of_the_standard_library() -> None:
    times = [(7 * number % 101) / 10 for number in range(101)]
    window = Window()
    for seconds in times:
        window.add(seconds)
    cuts = statistics.quantiles(times, n=100, method="inclusive")
    spread = window.spread()
    assert (spread.p50, spread.p90, spread.p99) == pytest.approx((cuts[49], cuts[89], cuts[98]))
    assert (spread.count, spread.longest) == (101, max(times))


def test_nothing_is_known_of_no_frames() -> None:
    assert Window().spread() == Spread()


def test_only_the_last_times_count() -> None:
    window = Window(3)
    for seconds in (100.0, 1.0, 1.0, 1.0):
        window.add(seconds)
    assert window.spread() == Spread(3, 1.0, 1.0, 1.0, 1.0)


def test_a_rate_is_that_of_the_last_seconds() -> None:
    now = 0.0
    rate = Rate(window=10, clock=lambda: now)
    assert rate.of(0) == 0
    count, seen = 0, []
    for _ in range(100):  # 2 a second for 25 s, then 8 a second for 25 s
        now += 0.5
        count += 1 if now <= 25 else 4
        seen.append(rate.of(count))
    assert seen[40] == pytest.approx(2)
    assert seen[-1] == pytest.approx(8)
