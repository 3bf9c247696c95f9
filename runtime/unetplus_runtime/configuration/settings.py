"""What can be asked of the daemon. Times are in seconds where nothing else is said."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ByteSize, ConfigDict, Field, TypeAdapter, ValidationError

from unetplus_edge.manifest import EngineName, Precision
from unetplus_edge.zoo import DEFAULT
from unetplus_runtime.cameras.isolation import BackOff
from unetplus_runtime.cameras.settings import CameraSettings
from unetplus_runtime.pipeline import DEFAULT_GRID, GridName

if TYPE_CHECKING:
    from collections.abc import Mapping

LONGEST_INTERVAL = 0.2
"""The most that a power cut may ever lose, seconds."""


def default_data_dir(environ: Mapping[str, str] | None = None) -> Path:
    """Return the folder of a daemon that was not given one.

    Parameters
    ----------
    environ
        The environment; None for that of this process.

    Examples
    --------
    >>> str(default_data_dir({"XDG_STATE_HOME": "/home/ada/state"}))
    '/home/ada/state/unetplus-edge'
    >>> str(default_data_dir({"HOME": "/home/ada"}))
    '/home/ada/.local/state/unetplus-edge'
    """
    environ = os.environ if environ is None else environ
    state = Path(environ.get("XDG_STATE_HOME", ""))
    if not state.is_absolute():  # the XDG specification has such a path ignored
        home = environ.get("HOME")
        state = (Path(home) if home else Path.home()) / ".local" / "state"
    return state / "unetplus-edge"


def _bytes(given: Any) -> Any:
    """Return how many bytes a text such as "10 GiB" stands for; pydantic judges what is no text."""
    if not isinstance(given, str):
        return given
    try:
        return int(_SIZE.validate_python(given))
    except ValidationError:
        raise ValueError('must be a whole number of bytes, or text such as "10 GiB"') from None


_SIZE = TypeAdapter(ByteSize)
_IS_BYTES = {"format": "bytes"}
_Bytes = Annotated[int, Field(ge=0, json_schema_extra=_IS_BYTES), BeforeValidator(_bytes)]


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ModelSettings(_Settings):
    """The model, and what runs it.

    Attributes
    ----------
    bundle
        The model: a name in the zoo, or a folder.
    engine
        What runs it; "auto" takes the fastest that is verified and opens here.
    execution
        Precision to compute in; None takes the first of the engine's that is verified.
    grid
        How frames are cut into patches; "whole" leaves them in one piece, which not every engine takes.
    threads
        Threads of all stages together; None takes every core that the process may use.
    """

    bundle: Annotated[str, Field(min_length=1)] = DEFAULT
    engine: Literal["auto", EngineName] = "auto"
    execution: Precision | None = None
    grid: GridName = DEFAULT_GRID
    threads: Annotated[int, Field(ge=1, le=4096)] | None = None


class Durability(_Settings):
    """What a power cut can lose.

    Attributes
    ----------
    interval
        Results are on disk after at most so many seconds: the most that a power cut can lose. Nobody
        is told of a result before.
    """

    interval: Annotated[float, Field(gt=0, le=LONGEST_INTERVAL)] = LONGEST_INTERVAL


class Recording(_Settings):
    """What is kept of a frame beside its record.

    Attributes
    ----------
    nuclei
        A row in the database for each nucleus.
    labels
        Its label image, as a file.
    frames
        The frame itself, as a lossless TIFF file.
    overlays
        A picture of it with the outlines, as a file.
    """

    nuclei: bool = True
    labels: bool = False
    frames: bool = False
    overlays: bool = False


class Retention(_Settings):
    """How long what was recorded is kept. Nothing else is ever removed.

    Attributes
    ----------
    max_age
        What is older than so many days is removed; None keeps it.
    max_size
        The oldest is removed where all of it takes more than so many bytes; None for no limit.
    min_free
        So many bytes of the disk stay free: below that, recording stops and counting goes on.
    delete_oldest
        Remove the oldest instead where less than `min_free` is free.
    """

    max_age: Annotated[float, Field(gt=0, le=36500)] | None = None
    max_size: _Bytes | None = None
    min_free: _Bytes = 2**30
    delete_oldest: bool = False


class Stopping(_Settings):
    """How the daemon ends.

    Attributes
    ----------
    deadline
        When it is asked to stop, frames at hand are finished and committed for at most so long.
    """

    deadline: Annotated[float, Field(gt=0, le=3600)] = 10.0


class Logging(_Settings):
    """What the daemon says on stderr.

    Attributes
    ----------
    json_lines
        Each line is a JSON object, instead of words and key=value.
    level
        The least that is worth a line.
    """

    json_lines: bool = False
    level: Literal["debug", "info", "warning", "error"] = "info"


class ServeSettings(_Settings):
    """All that can be asked of the daemon.

    Attributes
    ----------
    data_dir
        Folder of the results, of one daemon at a time. By default `unetplus-edge` in the user's
        state folder, which is $XDG_STATE_HOME or ~/.local/state.
    pixel_size
        Side of a pixel in micrometres; None where it is not known.
    camera
        Where frames come from.
    model
        What finds the nuclei.
    durability
        What a power cut can lose.
    record
        What is kept of a frame.
    retention
        How long it is kept.
    restarts
        How long to wait before a camera that failed is started again.
    stopping
        How the daemon ends.
    log
        What it says.
    """

    data_dir: Path = Field(default_factory=default_data_dir)
    pixel_size: Annotated[float, Field(gt=0, le=1000)] | None = None
    camera: CameraSettings
    model: ModelSettings = ModelSettings()
    durability: Durability = Durability()
    record: Recording = Recording()
    retention: Retention = Retention()
    restarts: BackOff = BackOff()
    stopping: Stopping = Stopping()
    log: Logging = Logging()
