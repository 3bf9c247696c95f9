"""What the daemon knows of its parts: the last frame, times, model, settings, troubles."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Spread:
    """How times are distributed, of the last frames. All are in seconds.

    Attributes
    ----------
    count
        How many frames were looked at; with none, all else is 0.
    p50, p90, p99
        So many percent took no longer.
    longest
        None took longer.
    """

    count: int = 0
    p50: float = 0.0
    p90: float = 0.0
    p99: float = 0.0
    longest: float = 0.0


NO_FRAMES = Spread()
"""Before the first."""


@dataclass(frozen=True)
class LastResult:
    """The frame that was committed last.

    Attributes
    ----------
    id
        Of its record.
    life, sequence
        As in `unetplus_runtime.cameras.Frame`.
    source
        What the camera looks at.
    file
        Path of the file that it is from; None where it is from none.
    nuclei
        How many were found.
    height, width
        Of the frame, px.
    captured, committed
        When the host got it, and when its record was on the disk, seconds since 1970 (UTC).
    latency
        Seconds from the one to the other, by a clock that nobody sets.
    timings
        Seconds of each stage.
    model_hash
        Of what found them.
    recording
        Whether what was to be kept beside the record was kept.
    """

    id: int
    life: int
    sequence: int
    source: str
    file: str | None
    nuclei: int
    height: int
    width: int
    captured: float
    committed: float
    latency: float
    timings: Mapping[str, float]
    model_hash: str
    recording: bool


@dataclass(frozen=True)
class ModelFacts:
    """The model at work, and what runs it.

    Attributes
    ----------
    name
        As its manifest has it.
    bundle
        Its folder.
    hash
        SHA-256 of everything that results depend on besides the frames: that of the records.
    engine, library, precision, device, threads
        What computes, and how.
    grid
        How frames are cut for it.
    specimen_nuclei, specimen_truth
        What it finds in the built-in specimen, and what is there.
    since
        When it began to work, seconds since 1970 (UTC).
    provenance
        What the hash is of.
    passed_over
        By "auto": engines that would have been taken before, and why they were not.
    """

    name: str
    bundle: str
    hash: str
    engine: str
    library: str
    precision: str
    device: str
    grid: str
    threads: int
    specimen_nuclei: int
    specimen_truth: int
    since: float
    provenance: Mapping[str, str] = field(default_factory=dict)
    passed_over: tuple[str, ...] = ()


@dataclass(frozen=True)
class ConfigurationFacts:
    """The settings at work.

    Attributes
    ----------
    hash
        That of the records.
    file
        The configuration file; None where there is none.
    simulated_by_default
        Whether the camera is simulated because nothing was configured.
    origin
        Where each field is set, by its dotted name.
    loaded
        When, seconds since 1970 (UTC).
    needs_restart
        Fields of the file that differ, and that a running daemon does not take over.
    error
        Why the file was not taken over when that was asked for last; empty where it was.
    """

    hash: str
    file: str | None
    simulated_by_default: bool
    origin: Mapping[str, str] = field(default_factory=dict)
    loaded: float = field(default_factory=time.time)
    needs_restart: tuple[str, ...] = ()
    error: str = ""


@dataclass(frozen=True)
class Trouble:
    """Something that went wrong.

    Attributes
    ----------
    wall
        When, seconds since 1970 (UTC).
    kind
        In a word or two: that of the event in the records.
    what
        In a sentence.
    """

    wall: float
    kind: str
    what: str
