"""Cameras in the network, each a server in a process of its own, that can be killed and come back."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from unetplus_bench.endurance import rtsp
from unetplus_bench.endurance.pictures import draw_as_cameras
from unetplus_bench.endurance.processes import MARK
from unetplus_bench.endurance.served import PATIENCE, GivenUpError

if TYPE_CHECKING:
    from collections.abc import Callable

    from unetplus_bench.endurance.stage import Stage

RATE = 15
"""Pictures a second."""

_PICTURES = 4

# GStreamer's bindings are for the system's own Python, of which nothing of ours is expected.
_RTSP = ("/usr/bin/python3", "-I", str(Path(rtsp.__file__)))


class Kind(NamedTuple):
    """What a server is.

    Attributes
    ----------
    name
        For a person.
    command
        Starts it at a port, or at any that is free where that is 0.
    url
        Where its pictures are, by its port.
    """

    name: str
    command: Callable[[int], list[str]]
    url: Callable[[int], str]


class CameraServer:
    """A server's process. It is a context manager.

    Parameters
    ----------
    kind
        What it is.
    mark
        By which its process is told from all others.

    Attributes
    ----------
    kind
        As given.
    """

    def __init__(self, kind: Kind, mark: str) -> None:
        self.kind, self._mark, self._port = kind, mark, 0
        self.start()

    @property
    def url(self) -> str:
        """Where its pictures are."""
        return self.kind.url(self._port)

    def start(self) -> None:
        """Start it, at the same address every time.

        Raises
        ------
        GivenUpError
            If it does not start.
        """
        self._process = subprocess.Popen(
            self.kind.command(self._port), stdout=subprocess.PIPE, text=True, env=os.environ | {MARK: self._mark}
        )
        assert self._process.stdout is not None  # noqa: S101 - it is a pipe
        said = self._process.stdout.readline()
        if not said:
            raise GivenUpError(f"the {self.kind.name} server does not start")
        self._port = int(said)

    def kill(self) -> None:
        """Kill it."""
        self._process.kill()
        self._process.communicate()

    def __enter__(self) -> CameraServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


def mjpeg_camera(stage: Stage) -> CameraServer:
    """Start a camera that sends JPEG pictures over HTTP."""

    def command(port: int) -> list[str]:
        return [sys.executable, "-m", "unetplus_bench.endurance.mjpeg", *map(str, (port, RATE, stage.side))]

    return CameraServer(Kind("MJPEG", command, "http://127.0.0.1:{}/stream.mjpg".format), f"{stage.mark}-server")


def rtsp_camera(stage: Stage) -> CameraServer:
    """Start a camera that sends JPEG pictures by RTSP; `rtsp_lacks` says whether it can be."""
    folder = stage.folder / "sent"
    folder.mkdir()
    for number, content in enumerate(draw_as_cameras(stage.side, _PICTURES)):
        (folder / f"{number}.jpg").write_bytes(content)

    def command(port: int) -> list[str]:
        return [*_RTSP, *map(str, (port, RATE, stage.side)), str(folder)]

    return CameraServer(Kind("RTSP", command, f"rtsp://127.0.0.1:{{}}{rtsp.PATH}".format), f"{stage.mark}-server")


def rtsp_lacks() -> str:
    """Return what an RTSP camera lacks on this machine, and what to install; nothing where it lacks nothing.

    Raises
    ------
    GivenUpError
        If that cannot be found out.
    """
    python = _RTSP[0]
    if Path(python).exists():
        done = subprocess.run(_RTSP, capture_output=True, text=True, timeout=PATIENCE, check=False)
        if done.returncode:
            raise GivenUpError(f"{python} cannot say whether GStreamer is there: {done.stderr.strip()}")
        lacks = done.stdout.strip()
    else:
        lacks = f"there is no {python}"
    return f"{lacks}: apt-get install {' '.join(rtsp.PACKAGES)}" if lacks else ""
