"""What came of one target and precision, as it is printed and written as JSON."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Literal

from unetplus_edge.manifest import PlanRecord

if TYPE_CHECKING:
    from unetplus_edge.manifest import ConversionRecord, Precision, Target, VerificationRecord

Status = Literal["verified", "unverified", "impossible", "failed"]


@dataclass(frozen=True)
class Outcome:
    """What came of one target and precision.

    Attributes
    ----------
    target, precision
        What was asked for.
    status
        verified: it is in the bundle and keeps its limits; unverified: it is made, and nothing
        here can run it; impossible: it cannot be made here; failed: it was made, does not keep
        its limits, and is not in the bundle.
    reason
        Why not, in one sentence; None where verified.
    record
        What was made; None where nothing was.
    size
        Of its files, in bytes.
    """

    target: Target
    precision: Precision
    status: Status
    reason: str | None = None
    record: ConversionRecord | PlanRecord | None = None
    size: int = 0

    @property
    def verifications(self) -> tuple[VerificationRecord, ...]:
        """What every engine that was tried made of it."""
        if isinstance(self.record, PlanRecord):
            return (self.record.verification,)
        return self.record.verifications if self.record else ()

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        record = self.record.model_dump(mode="json") if self.record else None
        return {**{field.name: getattr(self, field.name) for field in fields(self)}, "record": record}
