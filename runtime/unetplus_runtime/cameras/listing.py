"""Which cameras there are here, and what those need that are not."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from unetplus_runtime.cameras.settings import CameraName

_DEVICES = Path("/dev")
_NAMES = Path("/sys/class/video4linux")


@dataclass(frozen=True)
class Listed:
    """A camera, or a kind of camera, that can be asked for.

    Attributes
    ----------
    camera
        Its name in `unetplus_runtime.cameras.CAMERAS`.
    source
        What to give it as its source, or what stands for that.
    description
        What it is.
    available
        Whether it can be opened, as far as can be seen without opening it.
    needs
        What has to be done before it can be, or what it would gain by; empty where nothing is missing.
    """

    camera: CameraName
    source: str
    description: str
    available: bool
    needs: str = ""


def list_cameras(devices: Path = _DEVICES, names: Path = _NAMES) -> list[Listed]:
    """Return all cameras that can be named without being opened.

    Parameters
    ----------
    devices, names
        Where the system lists video devices, and what they are called.
    """
    watcher = "" if find_spec("watchdog") else "to see new files at once: pip install 'unetplus-edge[serve]'"
    return [
        Listed("simulated", "", "the simulated specimen; needs no hardware", available=True),
        Listed("folder", "PATH", "a folder in which images appear", available=True, needs=watcher),
        *_uvc(devices, names),
        *_ffmpeg(),
    ]


def _uvc(devices: Path, names: Path) -> Iterator[Listed]:
    found = sorted(
        (int(match[1]), path)
        for path in devices.glob("video*")
        if (match := re.fullmatch(r"video(\d+)", path.name)) is not None
    )
    if not found:
        yield Listed("opencv", "INDEX", "a UVC camera", False, f"plug one in; {devices} has no video device")
    for index, path in found:
        name = _text(names / path.name / "name") or "a video device"
        # A camera with several devices sends pictures by its first; the others describe them.
        part = _text(names / path.name / "index")
        if not os.access(path, os.R_OK | os.W_OK):
            needs = f"{path} may not be used by this user; run: sudo usermod -aG video $USER, and log in again"
            yield Listed("opencv", str(index), name, False, needs)
        elif part not in ("", "0"):
            yield Listed("opencv", str(index), name, False, "this device sends no pictures; name the camera's first")
        else:
            yield Listed("opencv", str(index), name, True)


def _ffmpeg() -> Iterator[Listed]:
    import cv2

    there = cv2.videoio_registry.hasBackend(cv2.CAP_FFMPEG)
    needs = "" if there else "this OpenCV has no FFmpeg; run: pip install opencv-python-headless"
    yield Listed("opencv", "FILE", "a video file", there, needs)
    yield Listed("opencv", "URL", "a stream: rtsp://, http:// (MJPEG), udp://", there, needs)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
