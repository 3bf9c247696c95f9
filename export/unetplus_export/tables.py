"""The table that an export prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

from unetplus_edge.manifest import ConversionRecord

if TYPE_CHECKING:
    from collections.abc import Iterable

    from unetplus_edge.manifest import VerificationRecord
    from unetplus_export.outcome import Outcome

_NUMBERS = ("MB", "largest\ndiff.", "flipped\nper M", "IOU\ndrop", "Kaggle\ndrop")


def outcome_table(name: str, outcomes: Iterable[Outcome]) -> Table:
    """Return one row for every engine that tried a conversion, and one for what none tried; 80 letters wide."""
    table = Table(title=f"{name}: conversions beside the Keras model", box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for column in ("target", "MB", "engine", *_NUMBERS[1:], "verified"):
        table.add_column(column, justify="right" if column in _NUMBERS else "left", no_wrap=True)
    for outcome in outcomes:
        target = f"{outcome.target} {outcome.precision}{_side(outcome)}"
        size = f"{outcome.size / 1e6:.2f}" if outcome.size else "-"
        if not outcome.verifications:
            table.add_row(target, size, *["-"] * 5, "not made" if outcome.record is None else "no")
        for number, record in enumerate(outcome.verifications):
            table.add_row(*((target, size) if number == 0 else ("", "")), *_cells(record))
    return table


def _side(outcome: Outcome) -> str:
    """Return the side of a patch, where a file is made for another one than the model."""
    side = outcome.record.patch_side if isinstance(outcome.record, ConversionRecord) else None
    return f" {side}" if side else ""


def _cells(record: VerificationRecord) -> list[str]:
    parity, drop = record.parity, record.score_drop
    compared = [f"{parity.max_difference:.1e}", f"{parity.flipped_per_million:.0f}"] if parity else ["-", "-"]
    dropped = [f"{drop[name]:+.4f}" for name in ("average_iou", "kaggle_score")] if drop else ["-", "-"]
    verdict = "yes" if record.verified else "no" if parity else "not run"
    return [f"{record.engine} {record.executed_precision}", *compared, *dropped, verdict]
