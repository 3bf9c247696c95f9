from __future__ import annotations

from typing import Any

import pytest

from unetplus_runtime.cameras.isolation.watch import Patience, StallWatch


def states(watch: StallWatch, clock: Any, seconds: list[float], *, frames: bool = False, beats: bool = False) -> list:
    found = []
    for step in seconds:
        clock.now += step
        if frames or beats:
            watch.heard(frame=frames)
        found.append(watch.verdict().state)
    return found


def test_a_camera_that_takes_too_long_to_open_is_lost(clock: Any) -> None:
    watch = StallWatch(Patience(opening=60), clock)
    assert states(watch, clock, [1, 58, 1]) == ["opening", "opening", "lost"]
    assert watch.verdict().reason == "the camera was not open after 60 s"


@pytest.mark.parametrize(
    ("period", "late", "lost"), [(0.01, 2, 10), (0.1, 2, 10), (1.0, 5, 20), (60.0, 300, 1200), (None, 5, 20)]
)
def test_a_live_camera_is_judged_by_its_period(clock: Any, period: float | None, late: float, lost: float) -> None:
    watch = StallWatch(Patience(hung=86400), clock)
    watch.opened(period, lossless=False)
    steps = [late - 0.01, 0.02, lost - late - 0.02, 0.02]
    assert states(watch, clock, steps, beats=True) == ["fine", "late", "late", "lost"]


def test_the_patience_that_was_asked_for_goes_before_the_period(clock: Any) -> None:
    watch = StallWatch(Patience(late=1, lost=3), clock)
    watch.opened(60.0, lossless=False)
    assert states(watch, clock, [0.9, 0.2, 2]) == ["fine", "late", "lost"]
    assert watch.verdict().reason == "there was no frame for 3 s"


def test_a_frame_makes_a_late_camera_fine(clock: Any) -> None:
    watch = StallWatch(Patience(late=1, lost=3), clock)
    watch.opened(None, lossless=False)
    assert states(watch, clock, [2]) == ["late"]
    watch.heard(frame=True)
    assert watch.verdict().state == "fine"


def test_a_folder_without_new_files_is_fine_as_long_as_its_driver_lives(clock: Any) -> None:
    watch = StallWatch(Patience(), clock)
    watch.opened(None, lossless=True)
    assert states(watch, clock, [50.0] * 1000, beats=True) == ["fine"] * 1000


def test_a_driver_without_a_sign_of_life_is_lost(clock: Any) -> None:
    watch = StallWatch(Patience(hung=60), clock)
    watch.opened(None, lossless=True)
    assert states(watch, clock, [29, 2, 30]) == ["fine", "late", "lost"]
    assert watch.verdict().reason == "the driver gave no sign of life for 60 s"
