"""Whatever dies, and however: no process, no memory, no file and no file descriptor stays behind."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from unetplus_runtime.cameras import Fault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_DAEMON = """
import sys, time
from unetplus_runtime.cameras import SimulatedSettings
from unetplus_runtime.cameras.isolation import IsolatedCamera
camera = IsolatedCamera(SimulatedSettings(height=48, width=64, loop=1, rate=50))
camera.open()
while camera.read(1) is None:
    pass
print(camera.status().pid, flush=True)
while True:
    camera.read(1)
"""


def shared_memory() -> set[str]:
    return {entry.name for entry in os.scandir("/dev/shm")}  # noqa: S108


def is_gone(pid: int) -> bool:
    """Whether no process has this id, or a dead one that nobody has waited for."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


@pytest.fixture
def daemon() -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A process with a camera that delivers, and the process id of its driver."""
    process = subprocess.Popen([sys.executable, "-c", _DAEMON], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    driver = int(process.stdout.readline())
    yield process, driver
    process.kill()
    process.wait()
    process.stdout.close()


@pytest.mark.parametrize("driver_is_stopped", [False, True])
def test_the_driver_dies_with_the_daemon(
    daemon: tuple[subprocess.Popen[str], int], driver_is_stopped: bool, wait: Callable[..., None]
) -> None:
    process, driver = daemon
    before = shared_memory()
    assert not is_gone(driver)
    if driver_is_stopped:
        os.kill(driver, signal.SIGSTOP)
    process.kill()
    process.wait()
    wait(lambda: is_gone(driver))
    wait(lambda: shared_memory() <= before)  # what others share for a moment goes again


def test_nothing_of_a_camera_has_a_name_while_it_runs(
    isolate: Callable[..., Any], simulated: Callable[..., Any], wait: Callable[..., None]
) -> None:
    before = shared_memory()
    camera = isolate(simulated())
    frame = camera.read(180)
    camera.done(frame)
    wait(lambda: shared_memory() <= before)  # what others share for a moment goes again
    assert Path("/proc/self/maps").read_text().count("memfd:unetplus-frames") >= 2  # counts and frames


def test_lives_that_end_by_force_leave_no_descriptor_and_no_memory(
    isolate: Callable[..., Any], simulated: Callable[..., Any], wait: Callable[..., None]
) -> None:
    gc.collect()
    files = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    maps = Path("/proc/self/maps").read_text().count("memfd:unetplus")
    before = shared_memory()
    crash = Fault(kind="crash", frame=2, lives=(0, 1, 2))
    camera = isolate(simulated(frames=3, faults=(crash,)))
    while not camera.ended:
        frame = camera.read(1)
        if frame is not None:
            camera.done(frame)
    camera.close()
    assert camera.status().restarts == 3
    del frame
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) == files  # noqa: PTH208
    assert Path("/proc/self/maps").read_text().count("memfd:unetplus") == maps
    wait(lambda: shared_memory() <= before)  # what others share for a moment goes again
