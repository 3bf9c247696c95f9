"""What is known of the daemon at one moment."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from unetplus_runtime.daemon.facts import NO_FRAMES

if TYPE_CHECKING:
    from unetplus_runtime.cameras.isolation import CameraStatus
    from unetplus_runtime.daemon.facts import ConfigurationFacts, LastResult, ModelFacts, Spread, Trouble
    from unetplus_runtime.records import RecordingState, RecoveryReport, Totals
    from unetplus_runtime.records.pace import CommitTimes

Phase = Literal["starting", "warming", "ready", "degraded", "draining", "stopped"]
"""starting: the model and the records are opened. warming: the model segments its first frame. ready:
frames are segmented as they come. degraded: they come, but the engine fails. draining: what is at hand is
finished. stopped: nothing comes any more."""

_LIFE = 60.0  # seconds that a frame may take before the daemon counts as dead


@dataclass(frozen=True)
class DaemonSnapshot:
    """All that is known of the daemon at one moment.

    Attributes
    ----------
    version
        Grows with every change.
    run
        Id of this run of the daemon.
    pid
        Its process.
    program
        Version of this program.
    data_dir
        Folder of the results.
    started, started_monotonic
        When it started, seconds since 1970 (UTC) and as `time.monotonic` counts them.
    simulated
        Whether its frames are made up.
    configuration
        The settings at work.
    phase, reason, phase_since
        What it does; why, where there is something to say; since when, seconds since 1970 (UTC).
    camera
        The camera and its counts; None before it was opened.
    model
        The model at work; None before it was opened.
    model_swaps
        How many times it was swapped.
    recording
        Whether what is to be kept beside the records is kept; None before they were opened.
    totals
        What became of all frames, over all runs, as far as it is on the disk.
    commits
        How long frames waited until they were on the disk.
    recovery
        What an earlier run has left behind.
    last
        The frame that was committed last in this run.
    latency
        From the moment when the host got a frame to the moment when its record was on the disk.
    segmenting
        From a frame to its nuclei.
    rate, capture_rate
        Frames committed and captured a second, over the last ten seconds.
    failures
        Frames in a row that the engine could not segment.
    engine_restarts
        How many times the engine was opened again because of that.
    troubles
        What went wrong lately, oldest first.
    beat
        When the loop last was at its beginning, as `time.monotonic` counts.
    """

    version: int
    run: str
    pid: int
    program: str
    data_dir: str
    started: float
    started_monotonic: float
    simulated: bool
    configuration: ConfigurationFacts
    phase: Phase = "starting"
    reason: str = ""
    phase_since: float = 0.0
    camera: CameraStatus | None = None
    model: ModelFacts | None = None
    model_swaps: int = 0
    recording: RecordingState | None = None
    totals: Totals | None = None
    commits: CommitTimes | None = None
    recovery: RecoveryReport | None = None
    last: LastResult | None = None
    latency: Spread = NO_FRAMES
    segmenting: Spread = NO_FRAMES
    rate: float = 0.0
    capture_rate: float = 0.0
    failures: int = 0
    engine_restarts: int = 0
    troubles: tuple[Trouble, ...] = ()
    beat: float = 0.0

    @property
    def balanced(self) -> bool:
        """Whether captured = processed + dropped + in flight, in this run."""
        return self.camera is None or self.camera.totals.balanced

    @property
    def ready(self) -> bool:
        """Whether frames are segmented and recorded as they come: model, camera and disk do their part."""
        held = self.recording is None or self.recording.held
        return self.phase == "ready" and not held and self.camera is not None and self.camera.now.state == "online"

    @property
    def live(self) -> bool:
        """Whether the daemon does anything at all: waiting for frames, or for room on the disk, is doing."""
        if self.phase in ("ready", "degraded"):
            return time.monotonic() - self.beat < _LIFE
        return self.phase != "stopped"

    def as_json(self) -> dict[str, Any]:
        """Return it in types that JSON has, with what follows from it: uptime, ready, live, balanced."""
        totals = self.camera and self.camera.totals
        known = asdict(self)
        if totals:
            known["camera"]["totals"]["in_flight"] = totals.in_flight
        if self.totals:
            known["totals"]["in_flight"] = self.totals.in_flight
        return known | {
            "uptime": time.monotonic() - self.started_monotonic,
            "ready": self.ready,
            "live": self.live,
            "balanced": self.balanced,
        }
