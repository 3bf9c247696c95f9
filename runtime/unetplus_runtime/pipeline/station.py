"""The place where frames of one size are worked on, with all the memory that it takes."""

from __future__ import annotations

import time
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from unetplus_edge.errors import EngineError
from unetplus_edge.imaging import PatchGrid, Preprocessor, label_nuclei, measure
from unetplus_runtime.pipeline.grids import PATCH_GRIDS, halo_of
from unetplus_runtime.pipeline.result import Result

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from numpy.typing import NDArray

    from unetplus_edge.imaging.frames import Frame
    from unetplus_edge.imaging.workers import Workers
    from unetplus_edge.manifest import Manifest
    from unetplus_runtime.engines.lanes import Lane
    from unetplus_runtime.pipeline.grids import GridName
    from unetplus_runtime.pipeline.pool import LanePool


class Station:
    """Segments frames of one size, one at a time, by as many threads as its workers are.

    Its memory is allocated once: what a frame needs until it is a probability map takes none from the
    second frame on.

    Parameters
    ----------
    shape
        Height and width of the frames, in pixels.
    manifest
        Of the model.
    grid
        How frames are cut.
    pool
        Lanes of the engine.
    workers
        Who share a frame.
    """

    def __init__(
        self, shape: tuple[int, int], manifest: Manifest, grid: GridName, pool: LanePool, workers: Workers
    ) -> None:
        self.shape, self._manifest, self._pool, self._workers = shape, manifest, pool, workers
        side = manifest.recipe.patch_side
        self._preprocessor = Preprocessor(shape, manifest.recipe.preprocessing, workers)
        self._grid = None if grid == "whole" else PatchGrid(*shape, side, halo_of(grid))
        if self._grid is not None:
            count = len(self._grid.spans)
            self._few = pool.few(count)
            step = count if self._few else min(pool.step, count)
            self._parts = [range(start, min(start + step, count)) for start in range(0, count, step)]
            threads = min(workers.threads, len(self._parts))
            self._patches = [np.empty((step, side, side, 1), np.float32) for _ in range(threads)]
        self._stitching = Lock()

    def segment(self, frame: Frame, pixel_size: float | None, probability: NDArray[np.float32]) -> Result:
        """Return the nuclei of a frame.

        Parameters
        ----------
        frame
            As `unetplus_edge.imaging.as_frame` returns it, of the station's shape.
        pixel_size
            Side of a pixel in micrometres.
        probability
            Where the probabilities go that the result will have: float32 zeros, same shape.
        """
        timings: dict[str, float] = {}
        with _stage(timings, "preprocess"):
            prepared = self._preprocessor(frame)
        if self._grid is None:
            self._in_one_piece(prepared, probability, timings)
        else:
            self._in_patches(self._grid, prepared, probability, timings)
        with _stage(timings, "postprocess"):
            labels = label_nuclei(probability, self._manifest.postprocessing)
        with _stage(timings, "measure"):
            nuclei = measure(labels, frame, pixel_size)
        return Result(labels, nuclei, probability, timings)

    def _in_one_piece(
        self, prepared: NDArray[np.float32], probability: NDArray[np.float32], timings: dict[str, float]
    ) -> None:
        timings["patches"] = 0.0
        with self._pool.together() as engine:
            if not hasattr(engine, "infer_frame"):
                raise EngineError(
                    f"{engine.info.engine} takes no frames in one piece; ask for another --grid "
                    f"({', '.join(PATCH_GRIDS)}), or for the engine openvino or keras"
                )
            with _stage(timings, "engine"):
                engine.infer_frame(prepared, probability)
        timings["stitch"] = 0.0

    def _in_patches(
        self,
        grid: PatchGrid,
        prepared: NDArray[np.float32],
        probability: NDArray[np.float32],
        timings: dict[str, float],
    ) -> None:
        spent: list[tuple[float, float, float, float]] = []
        lend: Callable[[], AbstractContextManager[Lane]] = self._pool.together if self._few else self._pool.lane

        def work(numbers: Sequence[int]) -> None:
            buffer = self._patches.pop()
            try:
                began = time.perf_counter()
                for patch, number in zip(buffer, numbers, strict=False):
                    grid.copy_patch(prepared, number, patch)
                cut = time.perf_counter()
                with lend() as lane:
                    lent = time.perf_counter()
                    answers = lane.infer(buffer[: len(numbers)])
                    answered = time.perf_counter()
                    # Where answers overlap, none may be lost; and the lane's next call overwrites them.
                    with self._stitching:
                        for answer, number in zip(answers, numbers, strict=True):
                            grid.add_answer(answer, number, probability)
                spent.append((cut - began, answered - lent, time.perf_counter() - answered, lent - cut))
            finally:
                self._patches.append(buffer)

        began = time.perf_counter()
        self._workers.run(work, [(part,) for part in self._parts])
        passed = time.perf_counter() - began
        *stages, waited = (sum(kind) for kind in zip(*spent, strict=True))
        passed -= waited / min(self._workers.threads, len(self._parts))
        for name, seconds in zip(("patches", "engine", "stitch"), stages, strict=True):
            timings[name] = max(passed, 0.0) * seconds / max(sum(stages), 1e-9)


@contextmanager
def _stage(timings: dict[str, float], name: str) -> Iterator[None]:
    begin = time.perf_counter()
    yield
    timings[name] = time.perf_counter() - begin
