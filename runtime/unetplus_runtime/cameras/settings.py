"""What can be asked of each camera. Times are in seconds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

CameraName = Literal["simulated", "folder", "opencv"]

FaultKind = Literal[
    "slow_start", "absent", "stall", "hang", "crash", "disappear", "corrupt", "skip", "clock_jump", "growth"
]

Seconds = Annotated[float, Field(gt=0, le=86400)]


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Fault(_Settings):
    """Something that goes wrong with the simulated camera, so that it can be seen what that does.

    Attributes
    ----------
    kind
        slow_start: opening takes `seconds`. absent: opening fails. At `frame`, stall: no frame for
        `seconds`; hang: the driver does not return for `seconds`; crash: the driver dies by a
        segmentation fault; disappear: the driver says that the device is gone; corrupt: a frame
        arrives cut off; skip: `frames` frames never arrive; clock_jump: the device's clock is set
        on, or back, by `seconds`; growth: frames have twice the sides from here on.
    frame
        Sequence number of the frame at which it happens.
    seconds
        How long, or how far.
    frames
        How many.
    lives
        In which lives of the driver it happens, counted from 0; None for all.
    """

    kind: FaultKind
    frame: Annotated[int, Field(ge=0)] = 0
    seconds: Annotated[float, Field(ge=-86400, le=86400)] = 0.0
    frames: Annotated[int, Field(ge=1)] = 1
    lives: tuple[int, ...] | None = None


class SimulatedSettings(_Settings):
    """The simulated specimen: no hardware, and every frame says that it is made up.

    Attributes
    ----------
    height, width
        Sides of a frame, px.
    rate
        Frames a second, as of a live camera; None gives each frame when it is asked for, so that
        none is lost.
    bit_depth
        8 gives uint8; 12 and 16 give uint16.
    seed
        Of the specimen.
    loop
        How many different frames there are; they are shown forwards and backwards for ever. They
        are drawn on opening, which takes as long as that takes.
    frames
        After how many the camera ends; None for never.
    faults
        What goes wrong.
    """

    camera: Literal["simulated"] = "simulated"
    height: Annotated[int, Field(ge=32, le=8192)] = 512
    width: Annotated[int, Field(ge=32, le=8192)] = 512
    rate: Annotated[float, Field(gt=0, le=10000)] | None = 2.0
    bit_depth: Literal[8, 12, 16] = 16
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    loop: Annotated[int, Field(ge=1, le=1000)] = 8
    frames: Annotated[int, Field(ge=1)] | None = None
    faults: tuple[Fault, ...] = ()


class FolderSettings(_Settings):
    """A folder in which images appear: PNG, JPEG and TIFF files, each page a frame.

    Attributes
    ----------
    path
        The folder; folders in it are watched too. What begins with a dot is passed over.
    channel
        Number (from 1) or name of the channel with the nuclei; None where there is one.
    settle
        A file that was written in place is complete when its size and its time of change have
        rested for so long. One that was renamed to its name is complete at once.
    patience
        How long a file that has rested may go on being unreadable before it is put aside.
    poll
        Between two looks at the folder. Where those take long, they become rarer.
    quarantine
        Folder of files that cannot be read, each with its reason in NAME.reason.txt. If relative,
        below `path`.
    """

    camera: Literal["folder"] = "folder"
    path: Path
    channel: str | None = None
    settle: Seconds = 2.0
    patience: Annotated[float, Field(ge=0, le=86400)] = 30.0
    poll: Seconds = 1.0
    quarantine: Path = Path("quarantine")


class OpenCVSettings(_Settings):
    """What OpenCV opens: a UVC camera, a video file, an RTSP or HTTP stream; 8 bits only.

    Attributes
    ----------
    source
        Index of a UVC camera (0 is /dev/video0), path of a video file, or a URL that begins with
        rtsp, rtsps, http, https, udp or tcp.
    channel
        Of a colour picture: "red", "green", "blue", or "grey" for their brightness as an eye sees
        it. None where the picture is grey but for the traces of its compression.
    width, height, rate
        Asked of a UVC camera, in px and frames a second; None takes what it offers. A camera that
        does not follow is an error.
    open_timeout, read_timeout
        How long a stream may take to be opened, and to send a frame.
    """

    camera: Literal["opencv"] = "opencv"
    source: Annotated[int, Field(ge=0)] | str
    channel: Literal["red", "green", "blue", "grey"] | None = None
    width: Annotated[int, Field(ge=1, le=16384)] | None = None
    height: Annotated[int, Field(ge=1, le=16384)] | None = None
    rate: Annotated[float, Field(gt=0, le=10000)] | None = None
    open_timeout: Seconds = 10.0
    read_timeout: Seconds = 5.0

    @field_validator("source")
    @classmethod
    def _number(cls, source: int | str) -> int | str:
        # An environment variable or an option gives an index as text.
        return int(source) if isinstance(source, str) and source.isdecimal() else source


CameraSettings = Annotated[SimulatedSettings | FolderSettings | OpenCVSettings, Field(discriminator="camera")]
"""Settings of any camera, told apart by `camera`."""
