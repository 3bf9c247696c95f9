"""The OpenCV camera: UVC cameras, video files, RTSP and HTTP streams, all of 8 bits."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2

from unetplus_edge.errors import CameraError, InputError
from unetplus_runtime.cameras.base import CameraFacts, Frame, Start
from unetplus_runtime.cameras.counts import Refusal
from unetplus_runtime.cameras.newest import NewestOnly
from unetplus_runtime.cameras.opencv_source import four_letters, is_lossy, pixel_bits, source_of, take_grey

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from unetplus_runtime.cameras.settings import OpenCVSettings

    Picture = tuple[NDArray[np.uint8], float]

_ASKED = ((cv2.CAP_PROP_FRAME_WIDTH, "width"), (cv2.CAP_PROP_FRAME_HEIGHT, "height"), (cv2.CAP_PROP_FPS, "rate"))
_FOLLOWS = 0.01  # a camera that is asked for 30 frames a second may have 29.97
_RATES = (0.01, 1000.0)  # what FFmpeg says beyond these is a guess at a time base
_BACKLOG = 0.2  # seconds in which pictures are decoded that came while FFmpeg looked at the stream to open it


class OpenCVCamera:
    """Whatever `cv2.VideoCapture` opens. See `unetplus_runtime.cameras.base.Camera`.

    A video file is lossless and ends. Of everything else a thread keeps the newest picture only, so
    that none is older than its way through the driver; the others are dropped as newest_only. The
    metadata of a frame has "codec" and "lossy", which says whether that loses some of the picture,
    and is None where it is not known.

    Parameters
    ----------
    settings
        What to open.
    start
        Where to count.
    """

    def __init__(self, settings: OpenCVSettings, start: Start) -> None:
        self._settings, self._life = settings, start.life
        self._source = source_of(settings.source)
        self.counts = start.counts
        self.ended = False
        self.facts = CameraFacts("opencv", self._source.name, lossless=self._source.is_file)
        self._capture: cv2.VideoCapture | None = None
        self._looked_at: Picture | None = None
        self._sequence = 0
        self._metadata: dict[str, Any] = {}
        self._newest: NewestOnly | None = None

    def open(self) -> None:
        """Open the source, and look at its first picture."""
        name, channel = self._source.name, self._settings.channel
        capture = self._capture = self._connect()
        picture = self._looked_at = self._next_picture()
        if picture is None:
            raise CameraError(f"{name} opens, but sends no picture; check that it plays elsewhere")
        codec = four_letters(capture.get(cv2.CAP_PROP_FOURCC))
        bits = max(pixel_bits(codec), pixel_bits(four_letters(capture.get(cv2.CAP_PROP_CODEC_PIXEL_FORMAT))))
        if bits > 8:
            raise CameraError(
                f"{name} has {bits}-bit pixels, of which OpenCV would keep 8; record it as TIFF files and watch their "
                "folder, or use the camera's own driver"
            )
        try:
            take_grey(picture[0], channel, name)
        except InputError as error:
            raise CameraError(str(error)) from error
        letters = codec.decode("ascii", "replace").strip("\0 ").lower()
        self._metadata = {"codec": letters, "lossy": is_lossy(letters)}
        rate = capture.get(cv2.CAP_PROP_FPS)
        paced = not self._source.is_file and _RATES[0] <= rate <= _RATES[1]
        self.facts = CameraFacts(
            camera="opencv",
            source=name,
            lossless=self._source.is_file,
            period=1 / rate if paced else None,
            details={"height": picture[0].shape[0], "width": picture[0].shape[1], **self._metadata},
        )
        if not self._source.is_file:
            backlog = _BACKLOG if self._source.kind == "stream" else 0.0
            self._newest = NewestOnly(self._grab, self.counts, backlog)

    def read(self, timeout: float) -> Frame | None:
        """Return the next picture of a file, or the newest one of anything else."""
        if self._newest is not None:
            return self._newest.take(timeout)
        while not self.ended:
            picture = self._next_picture()
            if picture is None:
                self._end()
            else:
                frame = self._frame(picture)
                if frame is not None:
                    return frame
        return None

    def close(self) -> None:
        """Let go of the source; one that a driver still reads is left to the end of the process."""
        self.ended = True
        if self._newest is None or self._newest.stop(self._settings.read_timeout + 1):
            self._newest = None
            if self._capture is not None:
                self._capture.release()
        self._capture = None

    def _connect(self) -> cv2.VideoCapture:
        settings, source = self._settings, self._source
        if source.is_file and not Path(str(source.address)).is_file():
            raise CameraError(f"{source.name} is no file; name a video file, the index of a camera, or a URL")
        limits: list[int] = []
        if source.kind != "uvc":  # V4L2 has none
            limits += [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, round(1000 * settings.open_timeout)]
            limits += [cv2.CAP_PROP_READ_TIMEOUT_MSEC, round(1000 * settings.read_timeout)]
        capture = cv2.VideoCapture(source.address, source.backend, limits)
        if not capture.isOpened():
            raise CameraError(f"{source.name} cannot be opened; {source.advice}")
        for number, name in _ASKED:
            asked = getattr(settings, name)
            if asked is not None:
                capture.set(number, asked)
                found = capture.get(number)
                if abs(found - asked) > _FOLLOWS * asked:
                    raise CameraError(f"{source.name} has {name} {found:g}, not {asked:g}; ask for what it offers")
        return capture

    def _next_picture(self) -> Picture | None:
        """Return the next picture, and its time by the source, in seconds; None if none came."""
        if self._looked_at is not None:
            picture, self._looked_at = self._looked_at, None
            return picture
        capture = self._capture
        if capture is None:
            return None
        try:
            arrived, array = capture.read()
        except cv2.error as error:
            reason = " ".join(str(error).split())[:200]
            raise CameraError(f"{self._source.name} cannot be read ({reason}); it will be opened anew") from error
        return (array, capture.get(cv2.CAP_PROP_POS_MSEC) / 1000) if arrived else None  # type: ignore[return-value]

    def _end(self) -> None:
        self.ended = True
        promised = int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT)) if self._capture is not None else 0
        if self._sequence < promised:
            name, read = self._source.name, self._sequence
            self.counts.refuse(
                Refusal(f"{name} says that it has {promised} pictures, and ends after {read}; copy it again")
            )

    def _grab(self) -> Frame | None:
        """Return the next picture of a live source as a frame; None for one that was dropped."""
        picture = self._next_picture()
        if picture is None:
            raise CameraError(f"{self._source.name} sends no more pictures; check that it runs, it will be opened anew")
        return self._frame(picture)

    def _frame(self, picture: Picture) -> Frame | None:
        """Count a picture and return it as a frame; None, and dropped, where it is none."""
        array, device_time = picture
        monotonic, wall = time.monotonic(), time.time()
        sequence = self._sequence
        self._sequence += 1
        self.counts.capture(sequence)
        try:
            grey = take_grey(array, self._settings.channel, self._source.name)
        except InputError as error:
            self.counts.drop("corrupt", Refusal(str(error)))
            return None
        return Frame(grey, sequence, device_time, monotonic, wall, self._metadata, life=self._life)
