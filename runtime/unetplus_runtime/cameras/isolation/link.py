"""Messages between the daemon's process and the driver's: whole ones, in order, with memory where it belongs to one.

From the driver: {"is": "open", "facts": ...}, {"is": "need", "bytes": n},
{"is": "frame", "ring": n, "slot": n, ...}, {"is": "alive"}, {"is": "ended"}, {"is": "failed", "reason": ...}.
To it: {"is": "ring", "ring": n, "slots": n} with the memory, {"is": "free", "ring": n, "slot": n}, {"is": "close"}.
"""

from __future__ import annotations

import json
import os
import select
import socket
from threading import Lock
from typing import Any

MAX_MESSAGE = 60_000
"""Most bytes of a message."""

Message = dict[str, Any]


class LinkClosedError(ConnectionError):
    """The other side is gone."""


class Link:
    """One end of a pair of sockets that keep messages apart.

    Parameters
    ----------
    end
        A connected Unix socket of type SOCK_SEQPACKET; it is taken over.
    """

    def __init__(self, end: socket.socket) -> None:
        end.setblocking(False)
        self._socket = end
        self._lock = Lock()

    @staticmethod
    def pair() -> tuple[Link, socket.socket]:
        """Return a link, and the other end for another process."""
        here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        return Link(here), there

    def fileno(self) -> int:
        """Return the number by which `select` knows it."""
        return self._socket.fileno()

    def send(self, message: Message, number: int | None = None, *, timeout: float | None = 0.0) -> bool:
        """Send a message, with a file descriptor if one is given; any thread may.

        Parameters
        ----------
        message
            What JSON can say.
        number
            A file descriptor, which stays open here.
        timeout
            How long to wait while the other side does not read; None for ever.

        Returns
        -------
        bool
            Whether it was sent.

        Raises
        ------
        LinkClosedError
            If the other side is gone.
        ValueError
            If the message has more than `MAX_MESSAGE` bytes.
        """
        content = json.dumps(message).encode()
        if len(content) > MAX_MESSAGE:
            raise ValueError(f"a message of {len(content):,} bytes is longer than {MAX_MESSAGE:,}")
        with self._lock:
            while not self._send_now(content, number):
                if timeout == 0 or not _ready(self._socket, select.POLLOUT, timeout):
                    return False
        return True

    def receive(self, timeout: float | None = 0.0) -> tuple[Message, int | None] | None:
        """Return the next message, and the file descriptor that came with it, which is the caller's.

        Parameters
        ----------
        timeout
            How long to wait for one; None for ever.

        Returns
        -------
        tuple or None
            None if there is none.

        Raises
        ------
        LinkClosedError
            If the other side is gone and has left no message, or has left half of one, or what is
            none.
        """
        if not _ready(self._socket, select.POLLIN, timeout):
            return None
        try:
            content, numbers, flags = self._receive_now()
        except BlockingIOError:
            return None
        except OSError as error:
            raise LinkClosedError(str(error)) from error
        for number in numbers:
            os.set_inheritable(number, False)
        try:
            message = json.loads(content) if content and not flags & socket.MSG_TRUNC else None
        except (ValueError, RecursionError):
            message = None
        if not isinstance(message, dict) or not isinstance(message.get("is"), str):
            for number in numbers:
                os.close(number)
            raise LinkClosedError("the other side has closed" if not content else "the other side sent no message")
        return message, numbers[0] if numbers else None

    def close(self) -> None:
        """Hang up. Closing twice is no error."""
        with self._lock:
            self._socket.close()

    def _receive_now(self) -> tuple[bytes, list[int], int]:
        for _ in range(2):
            try:
                content, numbers, flags, _ = socket.recv_fds(self._socket, MAX_MESSAGE + 1, 1)
            except ConnectionResetError:
                # Told once, ahead of what the other side said, where it hung up without reading all.
                continue
            return content, numbers, flags
        return b"", [], 0

    def _send_now(self, content: bytes, number: int | None) -> bool:
        try:
            socket.send_fds(self._socket, [content], [] if number is None else [number])
        except BlockingIOError:
            return False
        except OSError as error:
            raise LinkClosedError(str(error)) from error
        return True


def _ready(end: socket.socket, event: int, timeout: float | None) -> bool:
    if end.fileno() < 0:
        raise LinkClosedError("the link is closed")
    poll = select.poll()  # unlike `select`, for any number of open files
    poll.register(end, event)
    return bool(poll.poll(None if timeout is None else 1000 * timeout))
