"""Rounds: rows in processes of their own, in turns."""

from __future__ import annotations

import os
import textwrap
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest

from unetplus_bench.measuring.rounds import Schedule, measure_rounds, steps

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

QUICK = Schedule(rounds=3, seconds=0.0, warm_up=0.0)

SUBJECTS = '''
import ctypes, os, sys, time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from unetplus_bench.measuring.worker import Timed
from unetplus_edge.errors import EngineError


@dataclass(frozen=True)
class Steps:
    """Notes every call in a file; at a given call it does something else."""
    name: str
    diary: str
    at: int = -1
    deed: str = ""
    seconds: float = 0.0

    @contextmanager
    def open(self):
        if self.deed == "refuse":
            raise EngineError("no such engine here; take another")
        calls = 0
        def call():
            nonlocal calls
            calls += 1
            with open(self.diary, "a") as diary:
                print(self.name, file=diary)
            if calls == self.at:
                DEEDS[self.deed]()
            time.sleep(self.seconds)
            return {"half": 0.5 * calls, "whole": 1.0 * calls}
        yield Timed(call, {"library": self.name, "threads": os.getpid()}, lambda images: {images: 0.5})


def words():
    print("cannot map the file", flush=True)
    os._exit(9)


def spin():
    import threading
    def forever():
        while True:
            pass
    threading.Thread(target=forever, daemon=True).start()


def need_memory():
    need_memory.held = bytearray(200 << 20)


DEEDS = {
    "crash": lambda: ctypes.string_at(0),
    "hang": lambda: time.sleep(3600),
    "words": words,
    "spin": spin,
    "memory": need_memory,
    "raise": lambda: [].pop(),
    "kill": lambda: os.kill(os.getpid(), 9),
}
'''


@pytest.fixture
def steps_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Makes subjects that other processes can import."""
    (tmp_path / "bench_subjects.py").write_text(textwrap.dedent(SUBJECTS))
    monkeypatch.syspath_prepend(tmp_path)
    module = import_module("bench_subjects")
    return lambda name, **deeds: module.Steps(name, str(tmp_path / "diary"), **deeds)


def diary(tmp_path: Path) -> list[str]:
    return (tmp_path / "diary").read_text().split()


def test_every_row_has_every_call_of_every_round(steps_of: Callable[..., Any]) -> None:
    rows = measure_rounds([steps_of("a"), steps_of("b")], Schedule(rounds=3, warm_up=0, calls=4))
    assert [[len(times) for times in row.rounds] for row in rows] == [[4, 4, 4]] * 2
    assert all(seconds > 0 for row in rows for times in row.rounds for seconds in times)


def test_rows_take_turns_in_an_order_that_changes_and_that_the_seed_decides(
    steps_of: Callable[..., Any], tmp_path: Path
) -> None:
    orders = []
    for seed in (1, 1, 2):
        (tmp_path / "diary").unlink(missing_ok=True)
        measure_rounds([steps_of(name) for name in "abc"], Schedule(rounds=4, warm_up=0, calls=1, seed=seed))
        # Three calls of each warm up, one after the other.
        assert diary(tmp_path)[:9] == [*"aaabbbccc"]
        rounds = diary(tmp_path)[9:]
        orders.append([tuple(rounds[start : start + 3]) for start in range(0, 12, 3)])
    assert all(sorted(order) == [*"abc"] for order in orders[0])
    assert len(set(orders[0])) > 1
    assert orders[0] == orders[1] != orders[2]


def test_rows_are_in_processes_of_their_own(steps_of: Callable[..., Any]) -> None:
    rows = measure_rounds([steps_of("a"), steps_of("b")], QUICK)
    assert len({os.getpid(), *(row.facts["threads"] for row in rows)}) == 3


def test_a_turn_is_as_many_calls_as_fill_its_time(steps_of: Callable[..., Any]) -> None:
    (row,) = measure_rounds([steps_of("a", seconds=0.05)], Schedule(rounds=2, seconds=0.5, warm_up=0.2))
    (calls,) = {len(times) for times in row.rounds}
    # A call takes 50 ms or, on a busy machine, more.
    assert 1 <= calls <= 10
    (row,) = measure_rounds([steps_of("a", seconds=0.2)], Schedule(rounds=2, seconds=0.1, warm_up=0))
    assert [len(times) for times in row.rounds] == [1, 1]


def test_stages_of_every_measured_call_are_kept(steps_of: Callable[..., Any]) -> None:
    (row,) = measure_rounds([steps_of("a")], Schedule(rounds=2, warm_up=0, calls=2))
    assert row.stages == {"half": [2.0, 2.5, 3.0, 3.5], "whole": [4.0, 5.0, 6.0, 7.0]}


@pytest.mark.parametrize(
    ("deed", "sentence"),
    [
        ("refuse", "no such engine here; take another"),
        ("raise", "IndexError: pop from empty list"),
        ("crash", "its process was ended by SIGSEGV"),
        ("kill", "its process was ended by SIGKILL, as a system does that is out of memory"),
        ("words", "its process left with code 9; its last words were: cannot map the file"),
    ],
)
@pytest.mark.parametrize("at", [1, 5], ids=["while warming up", "in a round"])
def test_a_row_that_fails_says_why_and_the_others_go_on(
    steps_of: Callable[..., Any], deed: str, at: int, sentence: str
) -> None:
    bad, good = measure_rounds([steps_of("bad", at=at, deed=deed), steps_of("good")], QUICK)
    assert bad.error == sentence
    assert good.error is None
    assert len(good.rounds) == QUICK.rounds


def test_a_row_that_hangs_is_ended(steps_of: Callable[..., Any]) -> None:
    schedule = Schedule(rounds=2, seconds=0, warm_up=0, patience=20)
    bad, good = measure_rounds([steps_of("bad", at=4, deed="hang"), steps_of("good")], schedule)
    assert bad.error is not None
    assert bad.error.startswith("its process did not answer within 2")
    assert len(good.rounds) == 2


def test_a_row_that_keeps_cores_busy_out_of_its_turn_is_found_out(steps_of: Callable[..., Any]) -> None:
    subjects = [steps_of("calm", seconds=0.3), steps_of("busy", at=1, deed="spin")]
    calm, busy = measure_rounds(subjects, QUICK)
    assert busy.idle_share > 5 * calm.idle_share


def test_peak_memory_is_of_the_rows_own_process(steps_of: Callable[..., Any]) -> None:
    large, small = measure_rounds([steps_of("large", at=2, deed="memory"), steps_of("small")], QUICK)
    assert large.peak_memory is not None
    assert small.peak_memory is not None
    assert large.peak_memory - small.peak_memory > 150 << 20


def test_rows_are_scored_where_images_are_named(steps_of: Callable[..., Any]) -> None:
    (row,) = measure_rounds([steps_of("a")], Schedule(rounds=1, warm_up=0, calls=1, images="test_images"))
    assert row.scores == {"test_images": 0.5}


def test_energy_is_that_of_the_turns(steps_of: Callable[..., Any]) -> None:
    class Meter:
        joules = 2.0

        def __enter__(self) -> Meter:
            return self

        def __exit__(self, *_: object) -> None:
            pass

    (row,) = measure_rounds([steps_of("a")], QUICK, power_meter=Meter)
    assert row.joules == 2.0 * QUICK.rounds


def test_progress_is_told_of_every_step(steps_of: Callable[..., Any]) -> None:
    told: list[None] = []
    measure_rounds([steps_of("a"), steps_of("b", deed="refuse")], QUICK, lambda: told.append(None))
    assert len(told) == 2 * steps(QUICK)
