from __future__ import annotations

import json
import threading
import time
from pathlib import Path

import pytest

from unetplus_runtime.daemon.facts import ConfigurationFacts
from unetplus_runtime.daemon.state import DaemonState


@pytest.fixture
def state() -> DaemonState:
    return DaemonState(Path("data"), simulated=True, configuration=ConfigurationFacts("h", None, True))


def test_whoever_waits_is_told_of_a_change(state: DaemonState) -> None:
    before = state.snapshot.version
    threading.Timer(0.05, state.update, kwargs={"rate": 3.0}).start()
    told = state.wait(before, timeout=60)
    assert told.version > before
    assert told.rate == 3.0


def test_whoever_waits_in_vain_gets_what_is_known(state: DaemonState) -> None:
    assert state.wait(state.snapshot.version, timeout=0.01) is state.snapshot


def test_what_stays_the_same_makes_no_new_version(state: DaemonState) -> None:
    before = state.snapshot.version
    state.update(rate=0.0)
    state.enter("starting")
    assert state.snapshot.version == before


def test_a_snapshot_stays_as_it_was(state: DaemonState) -> None:
    before = state.snapshot
    state.enter("ready", "because")
    assert (before.phase, before.reason) == ("starting", "")
    assert (state.snapshot.phase, state.snapshot.reason) == ("ready", "because")


def test_a_phase_goes_on_when_only_its_reason_changes(state: DaemonState) -> None:
    state.enter("draining", "a")
    since = state.snapshot.phase_since
    state.enter("draining", "b")
    assert state.snapshot.phase_since == since


def test_of_many_troubles_the_last_ones_are_remembered(state: DaemonState) -> None:
    for number in range(100):
        state.trouble("test", str(number))
    assert [trouble.what for trouble in state.snapshot.troubles] == [str(number) for number in range(80, 100)]


def test_a_daemon_without_camera_is_not_ready_but_lives(state: DaemonState) -> None:
    state.enter("ready")
    assert not state.snapshot.ready
    assert state.snapshot.live


def test_a_loop_that_hangs_makes_the_daemon_dead(state: DaemonState) -> None:
    state.enter("ready")
    state.update(beat=time.monotonic() - 3600)
    assert not state.snapshot.live
    state.beat()
    assert state.snapshot.live


def test_all_of_it_is_json(state: DaemonState) -> None:
    state.trouble("test", "what")
    known = json.loads(json.dumps(state.snapshot.as_json()))
    assert known["phase"] == "starting"
    assert known["simulated"] is True
    assert known["live"] is True
    assert known["ready"] is False
    assert known["troubles"][0]["what"] == "what"
    assert known["configuration"]["simulated_by_default"] is True
