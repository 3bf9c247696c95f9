"""What tests of cameras share: waiting without counting on speed, and image files."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Protocol

import cv2
import numpy as np
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

_LONG_AGO = 1_600_000_000


class PutImage(Protocol):
    def __call__(self, path: Path, value: int = ..., age: int = ...) -> Path: ...


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def put_image() -> PutImage:
    """Puts a complete PNG file at a path: its time of change lies before that of its inode."""

    def put(path: Path, value: int = 7, age: int = 0) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(cv2.imencode(".png", image(value))[1].tobytes())
        os.utime(path, ns=((_LONG_AGO - age) * 10**9,) * 2)
        return path

    return put


def image(value: int) -> NDArray[np.uint16]:
    """Return a frame that is told by its first pixel."""
    frame = np.arange(40 * 50, dtype=np.uint16).reshape(40, 50)
    frame[0, 0] = value
    return frame


class MjpegServer:
    """An IP camera on this machine: pictures of 48 x 64 px, one after the other, for ever.

    Attributes
    ----------
    sent
        How many pictures were sent, to all clients.
    brightness
        Grey level of what is sent.
    is_stalled
        Whether nothing is sent just now.
    """

    def __init__(self) -> None:
        self.sent, self.brightness, self.is_stalled = 0, 50, False
        self._port = 0
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}/stream"

    def start(self) -> None:
        """Serve, at the same address every time."""
        self._stopping = threading.Event()
        stopping, camera = self._stopping, self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *arguments: object) -> None:
                pass

            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
                self.end_headers()
                with suppress(ConnectionError):
                    while not stopping.wait(0.01):
                        if not camera.is_stalled:
                            self.wfile.write(camera.part())

        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), Handler)
        self._port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def part(self) -> bytes:
        picture = np.full((48, 64), self.brightness, np.uint8)
        picture[:, :8] = 255
        content = cv2.imencode(".jpg", picture)[1].tobytes()
        self.sent += 1
        return b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%b\r\n" % (len(content), content)

    def stop(self) -> None:
        """Hang up, and refuse connections."""
        self._stopping.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def mjpeg_server() -> Iterator[MjpegServer]:
    server = MjpegServer()
    yield server
    server.stop()
