"""Running a model: engines, the path from frames to nuclei, results on disk."""

from unetplus_runtime.engines import open_engine
from unetplus_runtime.segmenter import Result, Segmenter

__all__ = ["Result", "Segmenter", "open_engine"]
