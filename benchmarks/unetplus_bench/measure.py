"""From planned rows to a result file: the rounds, the machine before and after, and what was verified."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING

import numpy as np

from unetplus_bench.accuracy import accuracy_of_file, accuracy_record, verification_of
from unetplus_bench.device import PowerMeter, code_version, device_facts, warnings_about
from unetplus_bench.results import BenchmarkResult, Row
from unetplus_bench.rounds import measure_rounds
from unetplus_edge.imaging.patches import patch_origins

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Literal

    from unetplus_bench.plan import Planned
    from unetplus_bench.rounds import Measured, Schedule

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
        Called as `unetplus_bench.rounds.measure_rounds` does.

    Returns
    -------
    BenchmarkResult
        With one row for each that was planned, in the same order.
    """
    with PowerMeter() as probe:
        pass
    began, before = _now(), device_facts()
    subjects = [row.subject for row in planned if row.subject is not None]
    measured = measure_rounds(subjects, schedule, done, PowerMeter if probe.joules is not None else None)
    after = device_facts()
    found = iter(measured)
    rows = [_row(one, next(found), schedule) if one.subject is not None else one.row for one in planned]
    busy = [(row, found) for row, found in zip(_opened(planned), measured, strict=True) if found.error is None]
    return BenchmarkResult(
        command=command,
        commit=code_version(),
        began=began,
        ended=_now(),
        protocol=protocol,
        device={**before, "after": {room: after[room] for room in _STATES if room in after}},
        warnings=(*warnings_about(before, after), *_restless(busy)),
        reference=next((row.name for row in rows if row.engine == "keras" and row.verified and row.rounds), None),
        rows=tuple(rows),
    )


def _opened(planned: Sequence[Planned]) -> list[Row]:
    return [one.row for one in planned if one.subject is not None]


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
