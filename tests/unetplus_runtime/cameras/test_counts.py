from __future__ import annotations

import threading

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from unetplus_runtime.cameras.counts import FrameCounters, Refusal, SourceCounts, SourceTotals, read_cells


def test_a_number_that_is_left_out_is_a_gap_at_the_source() -> None:
    counts = SourceCounts()
    for sequence in (2, 3, 7):
        counts.capture(sequence)
    assert counts.totals() == (8, {"gap_at_source": 5})


def test_what_is_counted_in_given_memory_is_there_without_its_counter() -> None:
    cells = np.zeros(SourceCounts.CELLS, np.uint64)
    counts = SourceCounts(cells)
    counts.capture(0)
    counts.capture(1)
    counts.drop("corrupt")
    del counts
    assert read_cells(cells) == (2, {"corrupt": 1})


def test_threads_that_count_at_once_lose_nothing() -> None:
    counts = SourceCounts()

    def drop() -> None:
        for _ in range(500):
            counts.drop("newest_only")

    threads = [threading.Thread(target=drop) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts.totals().dropped == {"newest_only": 2000}


def test_a_refusal_is_told_once() -> None:
    counts = SourceCounts()
    counts.drop("unreadable", Refusal("a.png is cut off"))
    counts.refuse(Refusal("b cannot be listed"))
    assert [refusal.reason for refusal in counts.take_refusals()] == ["a.png is cut off", "b cannot be listed"]
    assert counts.take_refusals() == []
    assert counts.totals().dropped == {"unreadable": 1}


def test_what_a_dead_driver_had_in_hand_is_lost_with_it() -> None:
    counters = FrameCounters()
    counters.hear(SourceTotals(2, {}), delivers=True)
    counters.processed += 1
    counters.end_life(SourceTotals(5, {"corrupt": 1}), "camera_lost")
    totals = counters.totals(waiting=0, taken=0)
    assert (totals.captured, totals.processed, totals.dropped) == (5, 1, {"corrupt": 1, "camera_lost": 3})
    assert totals.balanced
    assert totals.in_flight == 0


def test_memory_that_makes_no_sense_is_not_believed() -> None:
    counters = FrameCounters()
    counters.hear(SourceTotals(3, {"corrupt": 1}), delivers=True)
    counters.end_life(SourceTotals(3, {"corrupt": 2**60}), "camera_lost")
    totals = counters.totals(waiting=1, taken=0)
    assert (totals.captured, totals.dropped) == (3, {"corrupt": 1, "camera_lost": 1})
    assert totals.balanced


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(0, 9), st.booleans()), max_size=5))
def test_for_any_lives_captured_is_processed_dropped_and_in_flight(lives: list[tuple[int, int, int, bool]]) -> None:
    counters = FrameCounters()
    captured = waiting = processed = lost = corrupt = 0
    for delivered, in_hand, broken, take in lives:
        for number in range(delivered):
            counters.hear(SourceTotals(number + 1, {}), delivers=True)
        source = SourceTotals(delivered + in_hand + broken, {"corrupt": broken})
        counters.hear(source, delivers=False)
        captured, corrupt, waiting = captured + source.captured, corrupt + broken, waiting + delivered
        totals = counters.totals(waiting, 0)
        assert totals.balanced
        assert totals.in_driver == in_hand
        if take:
            counters.processed += waiting
            processed, waiting = processed + waiting, 0
        counters.end_life(source, "camera_lost")
        lost += in_hand
        totals = counters.totals(waiting, 0)
        assert totals.balanced
        expected = {"corrupt": corrupt, "camera_lost": lost}
        assert (totals.captured, totals.processed) == (captured, processed)
        assert dict(totals.dropped) == {reason: n for reason, n in expected.items() if n}


def test_a_frame_that_is_counted_twice_shows() -> None:
    counters = FrameCounters()
    counters.hear(SourceTotals(1, {}), delivers=True)
    counters.processed += 1
    assert counters.totals(waiting=0, taken=0).balanced
    counters.processed += 1
    assert not counters.totals(waiting=0, taken=0).balanced
