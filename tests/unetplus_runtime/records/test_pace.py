from __future__ import annotations

import pytest

from unetplus_runtime.records.pace import Pace
from unetplus_runtime.records.queue import MOST_FRAMES


def learned(frame: float, sync: float) -> Pace:
    """What is known of a disk after many groups of some frames each."""
    pace = Pace(0.2)
    for _ in range(100):
        pace.learn(5 * frame, sync, 5)
    return pace


@pytest.mark.parametrize(("frame", "sync"), [(0.01, 0.02), (0.03, 0.001), (0.002, 0.05)])
def test_no_more_frames_wait_than_are_committed_in_time(frame: float, sync: float) -> None:
    limit = learned(frame, sync).limit(0.2)
    # Of a full queue one half is being written and the other half comes after it.
    assert limit * frame + 2 * sync <= 0.2
    assert (limit + 1) * frame + 2 * sync > 0.17, "nor fewer than needed"


def test_a_quick_disk_takes_as_many_as_there_may_be() -> None:
    assert learned(1e-5, 1e-4).limit(0.2) == MOST_FRAMES


def test_a_disk_that_is_always_late_is_given_some_at_once() -> None:
    assert learned(0.001, 0.3).limit(0.2) == 16


def test_frames_are_gathered_for_what_the_commit_leaves_of_the_interval() -> None:
    assert learned(0.004, 0.05).gather(0.2) == pytest.approx(0.9 * 0.2 - 0.07)
    assert learned(0.1, 0.05).gather(0.2) < 0


def test_one_slow_commit_is_remembered_for_a_while() -> None:
    pace = learned(0.001, 0.005)
    before = pace.gather(0.2)
    pace.learn(0.1, 0.0, 1)
    after = [pace.gather(0.2)]
    for _ in range(30):
        pace.learn(0.005, 0.005, 5)
        after.append(pace.gather(0.2))
    assert after[0] < after[1] < after[5] < before
    assert after[-1] == pytest.approx(before)
