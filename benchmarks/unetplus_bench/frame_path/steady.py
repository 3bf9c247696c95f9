"""Memory: what a frame takes once its size is known, what thousands leave behind, and what blocks need."""

from __future__ import annotations

import gc
import itertools
import resource
import tracemalloc
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from unetplus_bench.measuring.worker import Timed, peak_memory
from unetplus_edge.bundle import open_bundle
from unetplus_runtime.large import BlockGrid, LargeJob
from unetplus_runtime.segmenter import Segmenter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from unetplus_edge.manifest import EngineName, Precision

_SAMPLES = 100
"""Of the resident memory, over all frames."""


@dataclass(frozen=True)
class Model:
    """What segments: as for `unetplus_runtime.Segmenter`."""

    bundle: Path
    engine: EngineName
    execution: Precision | None
    threads: int | None

    def open(self) -> Segmenter:
        """Open it."""
        return Segmenter(open_bundle(self.bundle), self.engine, self.threads, self.execution)


def allocations(model: Model, frame: NDArray[Any], frames: int = 5) -> dict[str, Any]:
    """Return what segmenting a frame allocates beyond the arrays of its result, in the steady state.

    Parameters
    ----------
    model
        What segments.
    frame
        The frame, segmented again and again.
    frames
        How often, after as often to get into the steady state.

    Returns
    -------
    dict
        `traced_beyond_result`: the most bytes that Python's and NumPy's allocations rose by during a
        frame, less what the result holds. `faulted`: bytes of pages that the system gave during a
        frame, in the median, the result's among them: also what compiled code and libraries allocate
        anew, and not from what was freed before.
    """
    page = resource.getpagesize()
    with model.open() as segmenter:
        for _ in range(frames):
            segmenter.segment(frame)
        faults = []
        for _ in range(frames):
            before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
            result = segmenter.segment(frame)
            faults.append((resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) * page)
            held = result.labels.nbytes + result.probability.nbytes
            del result
        tracemalloc.start()
        try:
            rises = []
            for _ in range(frames):
                gc.collect()
                tracemalloc.reset_peak()
                before = tracemalloc.get_traced_memory()[0]
                result = segmenter.segment(frame)
                rises.append(tracemalloc.get_traced_memory()[1] - before)
                del result
        finally:
            tracemalloc.stop()
    return {
        "frame": list(frame.shape),
        "float32_frame": 4 * frame.size,
        "result": held,
        "traced_beyond_result": max(rises) - held,
        "faulted": int(np.median(faults)),
    }


def residence(model: Model, frame: NDArray[Any], frames: int) -> dict[str, Any]:
    """Return the resident memory over many frames of a stream, and by how much it grew after the first tenth.

    Parameters
    ----------
    model
        What segments.
    frame
        The frame, streamed again and again.
    frames
        How many, at least 100.
    """
    sizes = []
    every = max(frames // _SAMPLES, 1)
    with model.open() as segmenter:
        for number, _ in enumerate(segmenter.stream(itertools.repeat(frame, frames))):
            if number % every == every - 1:
                sizes.append(_resident())
    first, last = np.median(sizes[10:20]), np.median(sizes[-10:])
    return {"frame": list(frame.shape), "frames": frames, "resident": sizes, "growth": float(last / first - 1)}


def _resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


class Mosaic:
    """A frame of one tile, again and again, that is never in memory as a whole.

    Parameters
    ----------
    tile
        Shape (height, width).
    side
        Height and width of the frame.
    """

    def __init__(self, tile: NDArray[Any], side: int) -> None:
        self._tile, self.shape, self.dtype = tile, (side, side), tile.dtype

    def __getitem__(self, region: tuple[slice, slice]) -> NDArray[Any]:
        rows, columns = (
            np.arange(part.start, part.stop) % length for part, length in zip(region, self._tile.shape, strict=True)
        )
        return self._tile[np.ix_(rows, columns)]


@dataclass(frozen=True)
class BlockSubject:
    """A frame of a size, segmented block by block: for the peak of its process's memory.

    Parameters
    ----------
    model
        What segments.
    frame
        A `.npy` file of a tile.
    side, block
        Of the frame, and of its blocks.
    """

    model: Model
    frame: Path
    side: int
    block: int

    @contextmanager
    def open(self) -> Iterator[Timed]:
        """See `unetplus_bench.measuring.worker.Subject`."""
        with self.model.open() as segmenter, TemporaryDirectory() as folder:

            def call() -> dict[str, float]:
                work = Path(folder) / "work"
                view: Any = Mosaic(np.load(self.frame), self.side)
                job = LargeJob(view, BlockGrid(self.side, self.side, self.block), work, {})
                job.make_masks(segmenter)
                constants = segmenter.bundle.manifest.postprocessing
                job.finish(constants, Path(folder) / "labels.zarr", {}, None, {})
                return {"peak": float(peak_memory())}

            yield Timed(call, {})
