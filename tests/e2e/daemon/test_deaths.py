"""The daemon, its driver and its source die, are hung up, or are asked to end."""

from __future__ import annotations

from typing import Any

from unetplus_bench.endurance.driver import crash, stop
from unetplus_bench.endurance.ending import IN_TIME, sigterm
from unetplus_bench.endurance.killing import kill
from unetplus_bench.endurance.server import server


def test_nothing_that_was_announced_is_lost_when_the_daemon_is_killed(play: Any) -> None:
    assert play(kill, 2)["frames announced"] > 0


def test_a_daemon_survives_the_crash_of_its_driver(play: Any) -> None:
    play(crash, 2)


def test_a_daemon_replaces_a_driver_that_hangs(play: Any) -> None:
    assert play(stop, 1)["seconds until a stopped driver is replaced"]["count"] == 1


def test_a_daemon_under_load_ends_with_everything_recorded(play: Any) -> None:
    play(sigterm, 2, aside=IN_TIME)


def test_a_daemon_goes_on_when_a_camera_in_the_network_comes_back(play: Any) -> None:
    play(server, 1)
