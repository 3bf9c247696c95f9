"""The daemon, its driver and its source die, are hung up, or are asked to end."""

from __future__ import annotations

from typing import Any

import pytest

from unetplus_bench.endurance.camera_server import mjpeg_camera, rtsp_camera, rtsp_lacks
from unetplus_bench.endurance.driver import crash, stop
from unetplus_bench.endurance.ending import IN_TIME, sigterm
from unetplus_bench.endurance.killing import kill
from unetplus_bench.endurance.server import kill_server


def test_nothing_that_was_announced_is_lost_when_the_daemon_is_killed(play: Any) -> None:
    assert play(kill, 2)["frames announced"] > 0


def test_a_daemon_survives_the_crash_of_its_driver(play: Any) -> None:
    play(crash, 2)


def test_a_daemon_replaces_a_driver_that_hangs(play: Any) -> None:
    assert play(stop, 1)["seconds until a stopped driver is replaced"]["count"] == 1


def test_a_daemon_under_load_ends_with_everything_recorded(play: Any) -> None:
    play(sigterm, 2, aside=IN_TIME)


def test_a_daemon_goes_on_when_an_mjpeg_camera_comes_back(play: Any) -> None:
    play(lambda stage: kill_server(stage, mjpeg_camera(stage), stage.count), 1)


def test_a_daemon_goes_on_when_an_rtsp_camera_comes_back(play: Any) -> None:
    lacks = rtsp_lacks()
    if lacks:
        pytest.skip(lacks)
    figures = play(lambda stage: kill_server(stage, rtsp_camera(stage), stage.count), 2)
    assert figures["frames announced"] >= 9  # three of each connection
