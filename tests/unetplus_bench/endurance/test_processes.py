from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import uuid
from multiprocessing import shared_memory
from typing import TYPE_CHECKING

import pytest

from unetplus_bench.endurance import processes

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def child() -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A process that bears a mark, and waits until it is killed."""
    mark = uuid.uuid4().hex
    code = "import sys; sys.stdout.write('.'); sys.stdout.flush(); sys.stdin.read()"
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {processes.MARK: mark},
    )
    assert process.stdout is not None
    process.stdout.read(1)
    yield mark, process
    process.kill()
    process.communicate()


def test_a_process_is_found_by_its_mark_until_it_ends(child: tuple[str, subprocess.Popen[bytes]]) -> None:
    mark, process = child
    assert list(processes.marked(mark)) == [process.pid]
    assert list(processes.left_behind(mark, 0.0)) == [process.pid]
    process.send_signal(signal.SIGKILL)
    assert processes.left_behind(mark, 60.0) == {}
    assert not processes.is_alive(process.pid)


def test_the_memory_of_a_process_is_known(child: tuple[str, subprocess.Popen[bytes]]) -> None:
    _, process = child
    assert 1 << 20 < processes.resident(process.pid) < 1 << 30


def test_udp_sockets_of_a_process_are_counted() -> None:
    before = processes.udp_sockets(os.getpid())
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one,
        socket.socket(socket.AF_INET, socket.SOCK_STREAM) as other,
    ):
        one.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        assert processes.udp_sockets(os.getpid()) == before + 1
    assert processes.udp_sockets(os.getpid()) == before


def test_shared_memory_that_nobody_uses_is_an_orphan() -> None:
    before = processes.shared_names()
    memory = shared_memory.SharedMemory(create=True, size=4096)
    try:
        assert memory.name.lstrip("/") not in processes.orphaned_names(before, 0.0)
        memory.close()
        assert memory.name.lstrip("/") in processes.orphaned_names(before, 0.0)
    finally:
        memory.unlink()
