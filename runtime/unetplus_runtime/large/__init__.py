"""Frames that are larger than memory, block by block."""

from unetplus_runtime.large.blocks import BlockGrid
from unetplus_runtime.large.job import LargeJob, LargeResult, Shard
from unetplus_runtime.large.tables import LARGE_TABLES
from unetplus_runtime.large.work import remove_work

__all__ = ["LARGE_TABLES", "BlockGrid", "LargeJob", "LargeResult", "Shard", "remove_work"]
