from __future__ import annotations

import os
import socket

import pytest

from unetplus_runtime.cameras.isolation.link import MAX_MESSAGE, Link, LinkClosedError


def pair() -> tuple[Link, Link]:
    here, there = Link.pair()
    return here, Link(there)


def test_messages_arrive_whole_and_in_order() -> None:
    here, there = pair()
    messages = [{"is": "frame", "text": "x" * length, "odd": "caf\udce9"} for length in (0, 10, 50_000)]
    for message in messages:
        assert here.send(message)
    assert [there.receive(60) for _ in messages] == [(message, None) for message in messages]
    assert there.receive() is None
    here.close()
    there.close()


def test_memory_arrives_with_its_message() -> None:
    here, there = pair()
    sent = os.memfd_create("test")
    os.write(sent, b"frame")
    here.send({"is": "ring"}, sent)
    received = there.receive(60)
    assert received is not None
    number = received[1]
    assert number is not None
    assert os.pread(number, 10, 0) == b"frame"
    assert not os.get_inheritable(number)
    for each in (sent, number):
        os.close(each)
    here.close()
    there.close()


def test_what_was_said_before_the_end_is_heard() -> None:
    here, there = pair()
    here.send({"is": "frame"})
    here.close()
    assert there.receive(60) == ({"is": "frame"}, None)
    with pytest.raises(LinkClosedError):
        there.receive(60)
    with pytest.raises(LinkClosedError):
        there.send({"is": "free"})
    there.close()


def test_what_was_said_is_heard_of_one_who_hung_up_without_listening() -> None:
    here, there = pair()
    there.send({"is": "free"})
    here.send({"is": "failed"})
    here.close()
    assert there.receive(60) == ({"is": "failed"}, None)
    with pytest.raises(LinkClosedError):
        there.receive(60)
    there.close()


def test_a_closed_link_says_so() -> None:
    here, there = pair()
    here.close()
    here.close()
    for call in (here.receive, lambda: here.send({"is": "free"})):
        with pytest.raises(LinkClosedError):
            call()
    there.close()


def test_who_does_not_listen_is_not_waited_for() -> None:
    here, there = pair()
    sent = 0
    while here.send({"is": "alive", "text": "x" * 10_000}):
        sent += 1
        assert sent < 10_000
    for _ in range(sent):
        assert there.receive() is not None
    assert there.receive() is None
    here.close()
    there.close()


@pytest.mark.parametrize("content", [b"{", b"[1]", b'"frame"', b"\xff\xfe", b"{}", b'{"is": 3}', b"[" * 50_000])
def test_what_is_no_message_ends_the_link(content: bytes) -> None:
    end, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    link = Link(end)
    other.send(content)
    with pytest.raises(LinkClosedError, match="no message"):
        link.receive(60)
    link.close()
    other.close()


def test_a_message_that_is_too_long_is_refused() -> None:
    here, there = pair()
    with pytest.raises(ValueError, match="longer than"):
        here.send({"is": "frame", "text": "x" * MAX_MESSAGE})
    here.close()
    there.close()
