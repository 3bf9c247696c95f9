"""What is recorded of a frame, and of a run."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from unetplus_edge.imaging import Nuclei
    from unetplus_runtime.cameras import CameraFacts, FileIdentity, Frame
    from unetplus_runtime.segmenter import Result


@dataclass(frozen=True)
class FrameRecord:
    """What is kept of a frame in any case: a row of the table `frames`.

    Attributes
    ----------
    run
        Id of the run of the daemon.
    life, sequence
        As in `unetplus_runtime.cameras.Frame`: they name the frame within the run.
    camera
        Name of the kind of camera.
    source
        What the camera looks at, without passwords.
    simulated
        Whether the frame is made up.
    captured
        When the host got it, seconds since 1970 (UTC) by a clock that may be set back.
    captured_monotonic
        The same moment, seconds by a clock that only grows until the machine is started anew.
    device_time
        By the clock of the device; None where it has none.
    processed
        When its results were handed over to be recorded, seconds since 1970 (UTC).
    height, width
        Pixels.
    dtype
        Of a pixel: "uint8", "uint16" or "float32".
    pixel_size
        Side of a pixel in micrometres; None where it is not known.
    nuclei
        How many there are.
    area_mean, area_median, area_std
        Of the areas of the nuclei, pixels; None where there are none.
    eccentricity_mean
        Of their eccentricities; None where there are none.
    intensity_mean, intensity_std
        Of their mean intensities, in the frame's own units; None where there are none.
    on_border
        How many touch the border of the frame.
    timings
        Seconds of each stage of segmentation.
    metadata
        What the camera says of the frame.
    model_hash
        SHA-256 of the model; the table `models` says more of it.
    configuration_hash
        Of the settings of the daemon; the table `configurations` has them.
    file
        The page of a file that the frame is from; None where it is from a live camera.
    labels_file, frame_file, overlay_file
        What was recorded, below the data folder; None where it was not.
    file_bytes
        What these take.
    recording
        False where something was to be recorded, but recording had stopped.
    """

    run: str
    life: int
    sequence: int
    camera: str
    source: str
    simulated: bool
    captured: float
    captured_monotonic: float
    device_time: float | None
    processed: float
    height: int
    width: int
    dtype: str
    pixel_size: float | None
    nuclei: int
    area_mean: float | None
    area_median: float | None
    area_std: float | None
    eccentricity_mean: float | None
    intensity_mean: float | None
    intensity_std: float | None
    on_border: int
    timings: Mapping[str, float]
    metadata: Mapping[str, Any]
    model_hash: str
    configuration_hash: str
    file: FileIdentity | None = None
    labels_file: str | None = None
    frame_file: str | None = None
    overlay_file: str | None = None
    file_bytes: int = 0
    recording: bool = True

    @property
    def files(self) -> tuple[str, ...]:
        """What was recorded, below the data folder."""
        return tuple(file for file in (self.labels_file, self.frame_file, self.overlay_file) if file is not None)


class Committed(NamedTuple):
    """A record that is on the disk.

    Attributes
    ----------
    id
        Counted from 1 in the order in which frames were committed, over all runs.
    record
        What it says.
    new
        False where the frame was committed before, and this record is that one.
    """

    id: int
    record: FrameRecord
    new: bool = True


@dataclass(frozen=True)
class RunFacts:
    """What is recorded of a run of the daemon when it starts.

    Attributes
    ----------
    id
        A UUID, as text.
    configuration
        Its settings as JSON, without passwords.
    configuration_hash
        Of the settings.
    model_hash
        SHA-256 of the model.
    model
        What else is known of the model and of what runs it, in types that JSON has.
    version
        Of this program.
    started
        Seconds since 1970 (UTC).
    """

    id: str
    configuration: str
    configuration_hash: str
    model_hash: str
    model: Mapping[str, Any] = field(default_factory=dict)
    version: str = ""
    started: float = field(default_factory=time.time)


@dataclass(frozen=True)
class Totals:
    """What became of all frames, over all runs.

    Attributes
    ----------
    runs
        How many there were, the one that goes on included.
    captured
        Frames that cameras have made.
    processed
        Frames that are committed; those that retention has removed since are among them.
    replayed
        How many of those were committed before, and were not counted again.
    dropped
        Frames that will not be, by reason; "daemon_lost" were in a daemon when it was killed.
    nuclei
        How many were found.
    """

    runs: int
    captured: int
    processed: int
    replayed: int
    dropped: Mapping[str, int]
    nuclei: int

    @property
    def in_flight(self) -> int:
        """Frames that were captured, and are neither processed nor dropped yet."""
        return self.captured - self.processed - sum(self.dropped.values())


def record_of(
    frame: Frame,
    result: Result,
    facts: CameraFacts,
    *,
    run: str,
    model_hash: str,
    configuration_hash: str,
    processed: float,
) -> FrameRecord:
    """Return the record of a frame, before anything of it was written to a file."""
    nuclei = result.nuclei
    height, width = frame.array.shape
    area_mean, area_median, area_std = _mean_median_std(nuclei.area)
    intensity_mean, _, intensity_std = _mean_median_std(nuclei.intensity_mean)
    return FrameRecord(
        run=run,
        life=frame.life,
        sequence=frame.sequence,
        camera=facts.camera,
        source=facts.source,
        simulated=facts.simulated or _says_simulated(frame),
        captured=frame.wall,
        captured_monotonic=frame.monotonic,
        device_time=frame.device_time,
        processed=processed,
        height=height,
        width=width,
        dtype=str(frame.array.dtype),
        pixel_size=nuclei.pixel_size,
        nuclei=len(nuclei),
        area_mean=area_mean,
        area_median=area_median,
        area_std=area_std,
        eccentricity_mean=_mean_median_std(nuclei.eccentricity)[0],
        intensity_mean=intensity_mean,
        intensity_std=intensity_std,
        on_border=_on_border(nuclei),
        timings=dict(result.timings),
        metadata=dict(frame.metadata),
        model_hash=model_hash,
        configuration_hash=configuration_hash,
        file=frame.file,
    )


def _says_simulated(frame: Frame) -> bool:
    return bool(frame.metadata.get("simulated", False))


def _on_border(nuclei: Nuclei) -> int:
    return int(np.count_nonzero(nuclei.touches_border))


def _mean_median_std(values: NDArray[Any]) -> tuple[float | None, float | None, float | None]:
    if not len(values):
        return None, None, None
    return float(values.mean()), float(np.median(values)), float(values.std())
