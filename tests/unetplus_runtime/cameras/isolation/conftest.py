"""What tests of cameras in their own processes share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import pytest

from unetplus_runtime.cameras import SimulatedSettings
from unetplus_runtime.cameras.isolation import BackOff, IsolatedCamera

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from unetplus_runtime.cameras import CameraSettings, Frame


class Isolate(Protocol):
    def __call__(self, settings: CameraSettings, **options: object) -> IsolatedCamera: ...


@pytest.fixture
def isolate() -> Iterator[Isolate]:
    """Opens cameras in processes of their own; after the test every frame must be accounted for."""
    cameras: list[IsolatedCamera] = []

    def opened(settings: CameraSettings, **options: object) -> IsolatedCamera:
        quick = {"back_off": BackOff(first=0.01, longest=0.1, storm=1000)} | options
        camera = IsolatedCamera(settings, **quick)  # type: ignore[arg-type]
        cameras.append(camera)
        camera.open()
        return camera

    yield opened
    for camera in cameras:
        camera.close()
        totals = camera.status().totals
        assert totals.balanced, totals
        assert totals.in_flight == totals.taken, totals


@pytest.fixture
def simulated() -> Callable[..., SimulatedSettings]:
    """Settings of a small simulated camera that gives a frame whenever it is asked."""

    def settings(**given: object) -> SimulatedSettings:
        return SimulatedSettings.model_validate({"height": 48, "width": 64, "loop": 2, "rate": None} | given)

    return settings


@pytest.fixture
def process_all() -> Callable[[IsolatedCamera], list[Frame]]:
    """Takes and settles every frame, until the camera has no more."""

    def process(camera: IsolatedCamera) -> list[Frame]:
        frames = []
        while not camera.ended:
            frame = camera.read(1)
            if frame is not None:
                frames.append(frame)
                camera.done(frame)
            assert camera.status().totals.balanced
        return frames

    return process
