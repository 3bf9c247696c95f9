"""From planned rows to a result file: the rounds, the machine before and after, and what was verified."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING

import numpy as np

from unetplus_bench.device import PowerMeter, code_version, device_facts, warnings_about
from unetplus_bench.measuring.accuracy import accuracy_of_file, accuracy_record, verification_of
from unetplus_bench.measuring.camera import measure_cameras
from unetplus_bench.measuring.rounds import measure_rounds
from unetplus_bench.results import BenchmarkResult, Row
from unetplus_edge.imaging.patches import patch_origins

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Literal

    from unetplus_bench.measuring.plan import Planned
    from unetplus_bench.measuring.rounds import Measured, Schedule

BUSY_WHILE_IDLE = 0.05
"""Cores: from which on it is told that a row's process worked while others were measured."""

_STATES = ("load", "heat", "gpus", "jetson")


def measure(
    planned: Sequence[Planned],
    schedule: Schedule,
    *,
    command: str,
    protocol: Literal["rounds", "article"] = "rounds",
    done: Callable[[], None] = lambda: None,
) -> BenchmarkResult:
    """Measure rows on this machine.

    Parameters
    ----------
    planned
        The rows.
    schedule
        How long and how often.
    command
        As it was typed.
    protocol
        For the result.
    done
        Called as `unetplus_bench.measuring.rounds.measure_rounds` does.

    Returns
    -------
    BenchmarkResult
        With one row for each that was planned, in the same order.
    """
    with PowerMeter() as probe:
        pass
    began, before = _now(), device_facts()
    subjects = [one.subject for one in planned if one.subject is not None]
    in_turns = measure_rounds(subjects, schedule, done, PowerMeter if probe.joules is not None else None)
    # A service works all the time: it has the machine for itself, after the others.
    cameras = [one.camera for one in planned if one.camera is not None]
    runs, seconds = schedule.runs, schedule.run_seconds
    alone = measure_cameras(cameras, runs, seconds, seed=schedule.seed, patience=schedule.patience, done=done)
    after = device_facts()
    measured = _in_order(planned, in_turns, alone)
    rows = [
        one.row if found is None else _row(one, found, schedule) for one, found in zip(planned, measured, strict=True)
    ]
    busy = [
        (row, found) for row, found in zip(rows, measured, strict=True) if found is not None and found.error is None
    ]
    return BenchmarkResult(
        command=command,
        commit=code_version(),
        began=began,
        ended=_now(),
        protocol=protocol,
        device={**before, "after": {room: after[room] for room in _STATES if room in after}},
        warnings=(*warnings_about(before, after), *_restless(busy)),
        reference=next((row.name for row in rows if _is_yardstick(row)), None),
        rows=tuple(rows),
    )


def _is_yardstick(row: Row) -> bool:
    return bool(row.engine == "keras" and row.verified and row.rounds and row.camera is None)


def _in_order(
    planned: Sequence[Planned], in_turns: Sequence[Measured], alone: Sequence[Measured]
) -> list[Measured | None]:
    """Return what was measured of each row, None where nothing was."""
    turns, services = iter(in_turns), iter(alone)
    return [
        next(turns) if one.subject is not None else next(services) if one.camera is not None else None
        for one in planned
    ]


def _row(planned: Planned, found: Measured, schedule: Schedule) -> Row:
    """Return a row with what was measured of it."""
    known = {**planned.row.model_dump(), **found.facts}
    if found.error is not None:
        return Row.model_validate({**known, "error": found.error})
    row = Row.model_validate(
        {
            **known,
            "rounds": found.rounds,
            "stages": {name: float(np.median(seconds)) for name, seconds in found.stages.items()},
            "first_seconds": found.first_seconds,
            "peak_memory": found.peak_memory,
        }
    )
    changes = {"energy_per_patch": _energy(row, found), **_verified(planned, row)}
    if found.scores and schedule.images is not None:
        changes["accuracy"] = (accuracy_record(schedule.images, found.scores),)
    return row.model_copy(update=changes)


def _verified(planned: Planned, row: Row) -> dict[str, object]:
    """Return what the bundle's manifest says of the file in the precision that it is really computed in."""
    manifest, sha256 = planned.manifest, row.file_sha256
    if manifest is None or sha256 is None:
        return {}
    stored, executed = str(row.stored_precision), str(row.executed_precision)
    verification = verification_of(manifest, sha256, row.engine, executed)
    # The Keras model is what the others are verified against.
    is_reference = sha256 == manifest.keras_sha256 and executed == "fp32"
    return {
        "verified": is_reference or (verification is not None and verification.verified),
        "accuracy": accuracy_of_file(manifest, sha256, row.engine, stored, executed),
    }


def _energy(row: Row, found: Measured) -> float | None:
    if found.joules is None:
        return None
    patches = row.batch * sum(map(len, found.rounds))
    if row.frame_shape is not None and row.network is not None:
        height, width = (len(patch_origins(length, row.network.side)) for length in row.frame_shape)
        patches *= height * width
    return found.joules / patches


def _restless(rows: Sequence[tuple[Row, Measured]]) -> list[str]:
    return [
        f"{row.name} kept {found.idle_share:.2f} of a core busy while other rows were measured, which slows them"
        for row, found in rows
        if found.idle_share > BUSY_WHILE_IDLE
    ]


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
