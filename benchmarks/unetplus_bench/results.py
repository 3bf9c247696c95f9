"""The file that a measurement leaves: which rows were measured, how, on what machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from unetplus_edge.errors import InputError, OutputError
from unetplus_edge.files import whole_file

if TYPE_CHECKING:
    from pathlib import Path

SCHEMA_VERSION: Final = 1

Scope = Literal["net", "net+copies", "frame", "camera"]
"""What one time covers.

"net": the engine's own call, on patches that are where it computes. "net+copies": with what goes to
a GPU and back. "frame": from a raw frame to measured nuclei. "camera": frames that come at a fixed
rate.
"""


NET_SCOPES: Final[frozenset[Scope]] = frozenset({"net", "net+copies"})
"""Those whose times are of patches; those of the others are of frames."""


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class NetworkRecord(_Record):
    """What a row computes.

    Attributes
    ----------
    name
        As `architecture_from_name` takes it; another name for what is not one of our networks.
    base_filters
        B; null for a network that is not ours.
    weights
        Number of weights, batch norm's statistics included.
    macs
        Multiply-accumulate operations of one patch.
    side
        Side of a patch in pixels.
    """

    name: str
    base_filters: int | None = None
    weights: int | None = None
    macs: int | None = None
    side: int = 256


class AccuracyRecord(_Record):
    """How well the measured file segments; speed is not shown without it.

    Attributes
    ----------
    images
        The set that was scored.
    average_iou, kaggle_score
        The scores of the file as this engine runs it, or of the Keras model less the drop that
        was measured for it.
    """

    images: Literal["validation_images", "test_images"]
    average_iou: float
    kaggle_score: float


class CameraRecord(_Record):
    """What became of frames that came at a fixed rate.

    Attributes
    ----------
    rate
        Frames a second that the camera was told to give.
    seconds
        In which the camera has given all its frames.
    processed
        Frames of which there are results.
    dropped
        Frames of which there will be none, by reason.
    """

    rate: Annotated[float, Field(gt=0)]
    seconds: Annotated[float, Field(gt=0)]
    processed: int
    dropped: dict[str, int] = {}

    @property
    def settled(self) -> int:
        """All frames that the camera has given."""
        return self.processed + sum(self.dropped.values())

    @property
    def achieved(self) -> float:
        """Frames a second of which there are results."""
        return self.processed / self.seconds


class Row(_Record):
    """One thing that was timed.

    Attributes
    ----------
    name
        What a table calls it; two rows of a file have different names.
    scope
        What one time covers.
    network
        What is computed; null where no network is.
    engine, library
        What computes, and its name with version.
    stored_precision, executed_precision
        Of the weights in the file, and of the computing as the opened engine says.
    verified
        Whether the bundle's manifest has the file as verified for this engine; null where there
        is no manifest.
    device
        What it computes on: "cpu", or a GPU's name.
    batch
        Patches, or frames in the scopes "frame" and "camera", that one time is of.
    threads
        That one call may use.
    frame_shape
        Height and width in pixels, in the scopes "frame" and "camera".
    rounds
        Seconds of every call in every round, in the order in which they were measured; calls of
        warming up are not among them, and nothing else is left out. Null in a file that was made
        of another tool's summary. In the scope "camera", from the capture of a frame to its measured nuclei,
        a list a run of the service.
    summary
        In place of `rounds`, what the other tool says: milliseconds a patch by name, such as "p50".
    stages
        Median seconds of each stage of a call, in the scopes "frame" and "camera".
    camera
        What became of the frames, in the scope "camera".
    load_seconds, first_seconds
        From a process that has not imported the library to an open engine, and of the first call.
    peak_memory
        Largest resident memory of the process that measured the row, in bytes.
    file_bytes
        Of the file, companions included.
    file_sha256
        Of the file, without companions; null where a row is of no file.
    accuracy
        One a set of images.
    energy_per_patch
        Joules, where the board measures its power.
    error
        Why there are no times, in one sentence; null where there are.
    """

    name: str
    scope: Scope
    network: NetworkRecord | None = None
    engine: str
    library: str | None = None
    stored_precision: str | None = None
    executed_precision: str | None = None
    verified: bool | None = None
    device: str = "cpu"
    batch: Annotated[int, Field(ge=1)] = 1
    threads: int | None = None
    frame_shape: tuple[int, int] | None = None
    rounds: tuple[tuple[float, ...], ...] | None = None
    summary: dict[str, float] = {}
    stages: dict[str, float] = {}
    camera: CameraRecord | None = None
    load_seconds: float | None = None
    first_seconds: float | None = None
    peak_memory: int | None = None
    file_bytes: int | None = None
    file_sha256: str | None = None
    accuracy: tuple[AccuracyRecord, ...] = ()
    energy_per_patch: float | None = None
    error: str | None = None

    @property
    def rate(self) -> float | None:
        """Frames a second that a camera was told to give; None in other scopes."""
        return None if self.camera is None else self.camera.rate


class BenchmarkResult(_Record):
    """Everything that one measurement gave.

    Attributes
    ----------
    schema_version
        Of this description.
    command
        As it was typed.
    commit
        Of the code that measured, with "+" where it had changes; null outside a checkout.
    began, ended
        ISO 8601, UTC.
    protocol
        "rounds": rows take turns, round after round. "article": as the article timed its networks.
        "trtexec": made of a log of trtexec.
    device
        Facts about the machine, as `unetplus_bench.device` gathers them before; under "after" what
        changes, as it was in the end.
    warnings
        What a reader must know: throttling, a busy machine, a governor that saves power.
    reference
        Name of the row that ratios are to; null where there is none.
    rows
        In the order of the table.
    """

    schema_version: Literal[1] = SCHEMA_VERSION
    command: str
    commit: str | None = None
    began: str
    ended: str
    protocol: Literal["rounds", "article", "trtexec"] = "rounds"
    device: dict[str, Any]
    warnings: tuple[str, ...] = ()
    reference: str | None = None
    rows: tuple[Row, ...]

    def write(self, path: Path) -> None:
        """Write the file whole or not at all.

        Raises
        ------
        OutputError
            If it cannot be written there.
        """
        try:
            with whole_file(path) as unfinished:
                unfinished.write_text(self.model_dump_json(indent=1) + "\n")
        except OSError as error:
            raise OutputError(f"{path} cannot be written ({error.strerror}); name another file") from error


def read_result(path: Path) -> BenchmarkResult:
    """Return what a measurement left.

    Raises
    ------
    InputError
        If there is no such file, or it is no result of this schema.
    """
    try:
        return BenchmarkResult.model_validate_json(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); name a result of unetplus-bench") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise InputError(
            f"{path} is no result of this unetplus-bench ({where}: {first['msg']}); "
            "measure again with unetplus-bench run"
        ) from error
