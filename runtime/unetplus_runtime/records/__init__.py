"""Records of frames that survive: one database and the files beside it, in one folder, of one daemon at a time.

A frame is announced after its record, and the files that the record names, are on the disk.
"""

from __future__ import annotations

from unetplus_runtime.records.pace import CommitTimes
from unetplus_runtime.records.reading import RecordReader
from unetplus_runtime.records.record import Committed, FrameRecord, RunFacts, Totals
from unetplus_runtime.records.recovery import RecoveryReport
from unetplus_runtime.records.space import RecordingState
from unetplus_runtime.records.store import RecordStore

__all__ = [
    "CommitTimes",
    "Committed",
    "FrameRecord",
    "RecordReader",
    "RecordStore",
    "RecordingState",
    "RecoveryReport",
    "RunFacts",
    "Totals",
]
