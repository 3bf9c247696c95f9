"""The check of `compare` itself: an engine that is slowed on purpose, and how often it is found."""

from __future__ import annotations

import time
from contextlib import contextmanager

import pytest

from unetplus_bench.measuring.material import Material
from unetplus_bench.measuring.plan import Planned
from unetplus_bench.measuring.worker import Timed
from unetplus_bench.repeatability import SlowedSubject, compared_rows, judged_pairs, summary_of
from unetplus_bench.results import Row
from unetplus_edge.errors import EngineError
from unetplus_edge.zoo import DEFAULT, find_bundle

SLOWED = "openvino int8"
FEW = ("keras fp32", SLOWED)


class Sleeper:
    """Notes how long its calls take."""

    def __init__(self, seconds=None):
        self.took, self.seconds = [], seconds

    @contextmanager
    def open(self):
        yield Timed(self.call, {"library": "sleep"}, seconds=self.seconds)

    def call(self):
        begin = time.perf_counter()
        time.sleep(0.002)
        self.took.append(time.perf_counter() - begin)
        return {"stage": 1.0}


def test_a_slowed_call_takes_the_factor_longer_and_answers_the_same():
    sleeper = Sleeper()
    with SlowedSubject(sleeper, 1.5).open() as timed:
        for _ in range(3):
            begin = time.perf_counter()
            answer = timed.call()
            assert time.perf_counter() - begin >= 1.5 * sleeper.took[-1]
            assert answer == {"stage": 1.0}
        assert timed.facts == {"library": "sleep"}


def test_what_has_a_clock_of_its_own_is_not_slowed_in_vain():
    with (
        pytest.raises(EngineError, match="cannot be slowed from outside"),
        SlowedSubject(Sleeper(seconds=time.perf_counter)).open(),
    ):
        pass


def test_what_failed_its_proof_is_not_among_the_rows(tmp_path):
    rows, slowed = compared_rows(find_bundle(DEFAULT), "openvino", "int8", Material(tmp_path))
    assert slowed in [one.row for one in rows]
    assert all(one.row.error is None for one in rows)


def test_pairs_are_counted_by_what_was_flagged_in_them(made_up):
    rows = [Planned(Row(name=name, scope="net", engine="litert"), Sleeper()) for name in FEW]
    seeds = iter(range(100))
    measured_rows = []

    def measured(planned):
        slow = {one.row.name: 1.3 for one in planned if isinstance(one.subject, SlowedSubject)}
        measured_rows.append(sorted(slow))
        return made_up(next(seeds), slow, rounds=20, only=FEW)

    found = summary_of(judged_pairs(rows, SLOWED, 3, measured), SLOWED)
    assert measured_rows == [[], [], [SLOWED]] * 3
    assert {name: value for name, value in found["equal"].items() if name != "comparisons"} == {
        "pairs": 3,
        "slowed_row_judged": 3,
        "flagged": 0,
        "slowed_row_flagged": 0,
        "others_flagged": 0,
        "improvements": 0,
    }
    assert (found["slowed"]["flagged"], found["slowed"]["slowed_row_flagged"]) == (3, 3)
    assert found["slowed"]["comparisons"][0]["rows"][1]["low"] > 1.05
