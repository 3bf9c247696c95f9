"""Many files in, results on disk: what `unetplus-runtime segment` does."""

from unetplus_runtime.batch.run import Outcome, segment_files

__all__ = ["Outcome", "segment_files"]
