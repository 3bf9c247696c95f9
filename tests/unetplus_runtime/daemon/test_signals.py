from __future__ import annotations

import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from unetplus_runtime.daemon.signals import Signals

if TYPE_CHECKING:
    from collections.abc import Iterator

_PROGRAM = """
import time
from unetplus_runtime.daemon.signals import Signals

with Signals(lambda name: print(name, flush=True), lambda: print("reload", flush=True)):
    print("ready", flush=True)
    {work}
"""
_STOPPED = """
import threading, time
from unetplus_runtime.daemon.signals import Signals

told = threading.Event()
with Signals(lambda name: told.set(), lambda: None):
    print("ready", flush=True)
    told.wait()
print("done", flush=True)
time.sleep(600)
"""


@pytest.fixture
def started() -> Iterator[Any]:
    processes: list[subprocess.Popen[str]] = []

    def start(work: str, program: str = _PROGRAM) -> subprocess.Popen[str]:
        process = subprocess.Popen([sys.executable, "-c", program.format(work=work)], stdout=subprocess.PIPE, text=True)
        processes.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_the_second_signal_ends_the_process_at_once(started: Any, second: signal.Signals) -> None:
    process = started("while True: time.sleep(600)")
    process.send_signal(signal.SIGTERM)
    assert process.stdout.readline() == "SIGTERM\n"
    process.send_signal(second)
    assert process.wait(60) == 128 + second


def test_each_kind_of_signal_calls_what_it_is_to_call(started: Any) -> None:
    process = started("while True: time.sleep(600)")
    for _ in range(2):
        process.send_signal(signal.SIGHUP)
        assert process.stdout.readline() == "reload\n"
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline() == "SIGINT\n"
    assert process.poll() is None


def test_a_process_that_was_told_to_end_and_has_done_so_is_killed_by_none(started: Any) -> None:
    process = started("", _STOPPED)
    process.send_signal(signal.SIGTERM)
    assert process.stdout.readline() == "done\n"
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        process.send_signal(number)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.5)


def test_signals_do_afterwards_what_they_did_before() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)]
    with Signals(lambda _: None, lambda: None):
        assert signal.getsignal(signal.SIGINT) is not before[1]
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)] == before
