"""What a camera is, and what it hands out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from unetplus_runtime.cameras.counts import SourceCounts

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from unetplus_edge.imaging.frames import Frame as Pixels


class FileIdentity(NamedTuple):
    """A page of a file in one state of its content: what has this identity need not be read twice.

    Attributes
    ----------
    path
        Absolute, as it was found; what is no Unicode in it is escaped as `os.fsdecode` does it.
    size
        Bytes.
    mtime_ns
        When the content was last changed, nanoseconds since 1970.
    page
        Which frame of the file, counted from 0 in the order in which they are handed out.
    pages
        How many it has; 0 for a file that was refused as a whole.
    """

    path: str
    size: int
    mtime_ns: int
    page: int = 0
    pages: int = 1


@dataclass(frozen=True, eq=False)
class Frame:
    """One image of a camera.

    Attributes
    ----------
    array
        uint8, uint16 or float32, shape (height, width). It belongs to whoever holds the frame.
    sequence
        Its number among all that the device has made since it was opened, counted from 0, lost ones
        included: it grows from frame to frame.
    device_time
        By the clock of the device, seconds from a beginning of its own; None where it has none.
        Nothing is promised: device clocks jump.
    monotonic
        When the host got it, seconds as `time.monotonic` counts them, alike in all processes of
        this machine until it is started anew.
    wall
        The same moment, seconds since 1970 (UTC) by the host's clock, which may be set back.
    metadata
        What else the camera says of it, in types that JSON has. A simulated frame has "simulated": True.
    file
        Where the frame is from a file that must not be read twice, that file; else None.
    life
        How many times the driver was started before it was started for this frame.
    """

    array: Pixels
    sequence: int
    device_time: float | None
    monotonic: float
    wall: float
    metadata: Mapping[str, Any] = field(default_factory=dict)
    file: FileIdentity | None = None
    life: int = 0


@dataclass(frozen=True)
class CameraFacts:
    """What is known of an opened camera.

    Attributes
    ----------
    camera
        Its name in `CAMERAS`.
    source
        What is looked at, in a person's words, without passwords.
    lossless
        True: every frame waits until it is taken, as files can. False: the device goes on, and what
        is not taken in time is lost and counted.
    simulated
        Whether its frames are made up.
    period
        Seconds from frame to frame, where that is known beforehand and there is such a thing.
    details
        What else is worth telling, in types that JSON has.
    """

    camera: str
    source: str
    lossless: bool
    simulated: bool = False
    period: float | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


class Camera(Protocol):
    """A source of frames, used by one thread.

    Attributes
    ----------
    facts
        True from opening to closing.
    counts
        What was captured so far, and what of it was lost before anyone could take it.
    ended
        Whether no frame will ever come again, because a file is at its end. It becomes true only
        after the last frame was returned.
    """

    facts: CameraFacts
    counts: SourceCounts
    ended: bool

    def open(self) -> None:
        """Connect to the device and let frames come.

        It returns or raises `CameraError` in bounded time, by timeouts of its own where the device
        has any. The sentence of the error says what to do. A camera is opened once; after an error
        or after `close` a new one is made.
        """
        ...

    def read(self, timeout: float) -> Frame | None:
        """Return the next frame; None if there is none within `timeout` seconds, or at the end.

        A live camera returns its newest frame, never one twice and never an older one after a newer
        one; a lossless camera returns every frame in order. A zero timeout asks for what is there.
        A file may take longer than the timeout to be decoded. `CameraError` means that the device
        is gone: nothing but `close` may follow. What the device delivers damaged is no error: it is
        counted as dropped, and the next frame is waited for.
        """
        ...

    def close(self) -> None:
        """Let go of the device. Closing twice, or what was never opened, is no error."""
        ...


@dataclass
class Start:
    """What a camera is told besides its settings.

    Attributes
    ----------
    counts
        Where it counts; by default in memory of its own.
    seen
        Pages of files that were handed out before, in this run or in another.
    life
        How many times the driver was started before, in this run.
    """

    counts: SourceCounts = field(default_factory=SourceCounts)
    seen: Collection[FileIdentity] = ()
    life: int = 0


class CameraClass(Protocol):
    """What a class in `CAMERAS` is called with."""

    def __call__(self, settings: Any, start: Start) -> Camera:
        """Return a camera that is not opened yet."""
        ...
