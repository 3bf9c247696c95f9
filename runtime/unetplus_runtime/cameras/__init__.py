"""Cameras: sources of frames, one file a kind, all opened by `open_camera`.

Importing this package imports none of their libraries. `unetplus_runtime.cameras.isolation` runs one
in a process of its own.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from unetplus_runtime.cameras.base import Camera, CameraFacts, FileIdentity, Frame, Start
from unetplus_runtime.cameras.settings import (
    CameraName,
    CameraSettings,
    Fault,
    FolderSettings,
    OpenCVSettings,
    SimulatedSettings,
)

if TYPE_CHECKING:
    from unetplus_runtime.cameras.base import CameraClass

__all__ = [
    "CAMERAS",
    "Camera",
    "CameraFacts",
    "CameraName",
    "CameraSettings",
    "Fault",
    "FileIdentity",
    "FolderSettings",
    "Frame",
    "OpenCVSettings",
    "SimulatedSettings",
    "Start",
    "open_camera",
]

CAMERAS: dict[CameraName, str] = {
    "simulated": "unetplus_runtime.cameras.simulated:SimulatedCamera",
    "folder": "unetplus_runtime.cameras.folder:FolderCamera",
    "opencv": "unetplus_runtime.cameras.opencv:OpenCVCamera",
}
"""Every camera by its name: `module:Class`, called with its settings and a `Start`."""


def open_camera(settings: CameraSettings, start: Start | None = None) -> Camera:
    """Open a camera in this process; a crash of its driver is a crash of the process.

    Parameters
    ----------
    settings
        Which camera, and how.
    start
        Where to count, and what was handed out before; None for a camera that begins anew.

    Returns
    -------
    Camera
        To be closed after use.

    Raises
    ------
    CameraError
        If it cannot be opened. The sentence says what to do.

    Examples
    --------
    >>> camera = open_camera(SimulatedSettings(height=64, width=96, loop=1, rate=None))
    >>> frame = camera.read(timeout=1)
    >>> frame.array.shape, frame.sequence, frame.metadata["simulated"]
    ((64, 96), 0, True)
    >>> camera.close()
    """
    module, _, name = CAMERAS[settings.camera].partition(":")
    camera_class: CameraClass = getattr(import_module(module), name)
    camera = camera_class(settings, start or Start())
    try:
        camera.open()
    except BaseException:
        camera.close()
        raise
    return camera
