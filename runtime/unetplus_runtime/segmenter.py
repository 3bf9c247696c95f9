"""From a frame to labelled and measured nuclei, in one call."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Literal

import cv2
import numpy as np

from unetplus_edge.bundle import Bundle
from unetplus_edge.errors import EngineError
from unetplus_edge.imaging import as_frame
from unetplus_edge.imaging.workers import Workers
from unetplus_edge.zoo import DEFAULT, find_bundle
from unetplus_runtime.engines import Engine, EngineInfo, open_engine
from unetplus_runtime.engines.base import thread_count
from unetplus_runtime.pipeline import DEFAULT_GRID, GridName, LanePool, Result, Station, in_order, require_grid

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    from numpy.typing import NDArray

    from unetplus_edge.manifest import EngineName, Precision

__all__ = ["Result", "Segmenter"]

_MOST_PIXELS = 2**24
"""Of all frames that are worked on at a time; larger ones are worked on one after the other, by all threads."""


class Segmenter:
    """A model that is ready to segment frames.

    It may be used by many threads at a time: they share the engine, and all other stages run side by
    side. What it allocates for a size of frames is kept for the next ones. It is a context manager:
    leaving it closes the engine, unless that was opened by the caller.

    Parameters
    ----------
    bundle
        The model: a bundle, opened or by its folder or its name in the zoo. Every constant of
        preprocessing, patches and postprocessing is that of its manifest.
    engine
        As for `unetplus_runtime.open_engine`; or an engine that is open already, which is taken
        as it is, verified or not, and which nothing else may use from then on.
    threads
        Threads of all stages together: those of the engine and those that preprocess and measure
        take turns, and OpenCV is set to one thread in this process. None takes every core that the
        process may use; with an engine that is open already and computes on a CPU, as many as that
        has.
    execution
        Precision to compute in, as for `unetplus_runtime.open_engine`. Of no effect on an engine
        that is open already.
    grid
        How frames are cut for the engine.

    Raises
    ------
    BundleError
        If there is no such bundle, or it is damaged.
    EngineError
        If no engine opens, or its patches are not of the bundle's size.
    InputError
        If there is no such grid.
    """

    def __init__(
        self,
        bundle: Bundle | Path | str = DEFAULT,
        engine: EngineName | Literal["auto"] | Engine = "auto",
        threads: int | None = None,
        execution: Precision | None = None,
        grid: GridName = DEFAULT_GRID,
    ) -> None:
        require_grid(grid)
        cv2.setNumThreads(1)
        self.bundle = bundle if isinstance(bundle, Bundle) else find_bundle(bundle)
        self.grid = grid
        self._owned = isinstance(engine, str)
        self._engine = (
            open_engine(self.bundle, engine, threads=threads, execution=execution)
            if isinstance(engine, str)
            else engine
        )
        self._pool, info = LanePool(self._engine), self._engine.info
        expected, found = self.bundle.manifest.recipe.patch_side, info.patch_side
        if found != expected:
            self.close()
            raise EngineError(
                f"{info.file} takes patches of {found} x {found} pixels, its bundle {self.bundle.path} is "
                f"of {expected} x {expected}: convert the model again with unetplus-export"
            )
        self.workers = Workers(threads or (info.threads if info.device == "cpu" else thread_count(None)))
        self._alone = Workers(1)
        self._lock = Lock()
        self._stations: list[tuple[Workers, Station]] = []

    @property
    def engine(self) -> EngineInfo:
        """What computes, and how."""
        return self._engine.info

    def segment(self, array: NDArray[np.generic], pixel_size: float | None = None) -> Result:
        """Return the nuclei of a frame, which all threads share: the soonest that one frame is done.

        Parameters
        ----------
        array
            The raw frame: uint8, uint16 or floating point, shape (height, width); it is not changed.
        pixel_size
            Side of a pixel in micrometres, for measurements in micrometres.

        Returns
        -------
        Result
            Its arrays belong to the caller.

        Raises
        ------
        InputError
            If the array is no frame (see `unetplus_edge.imaging.as_frame`), or the pixel size no
            length.
        EngineError
            If the engine fails, or is closed.
        """
        return self._segment(array, pixel_size, self.workers)

    def stream(
        self, arrays: Iterable[NDArray[np.generic]], pixel_size: float | None = None
    ) -> Generator[Result, None, None]:
        """Yield the nuclei of frame after frame: the most frames in a time.

        As many frames are worked on at a time as there are threads, each by one of them, so that one
        is preprocessed while another is in the engine and none waits for the others; few frames that
        are very large are shared by all threads instead. What each frame gives is what `segment`
        gives. No more frames are taken than are worked on, and one: who takes the results sets the
        pace.

        Parameters
        ----------
        arrays
            The raw frames, of any sizes; see `segment`. One may be changed once its result is there.
        pixel_size
            Side of a pixel in micrometres.

        Yields
        ------
        Result
            In the order of the frames. Its arrays belong to the caller.

        Raises
        ------
        InputError, EngineError
            As `segment`, when the turn of the frame comes that is the cause.
        """
        return in_order(
            arrays,
            lambda array: self.segment_by_one(array, pixel_size),
            lambda array: self.segment(array, pixel_size),
            lambda array: self.is_large(array.size),
            self.frames_at_a_time,
        )

    def segment_by_one(self, array: NDArray[np.generic], pixel_size: float | None = None) -> Result:
        """Return what `segment` does, computed by the calling thread alone, while others do other frames."""
        return self._segment(array, pixel_size, self._alone)

    @property
    def frames_at_a_time(self) -> int:
        """How many frames a stream works on at a time, one thread each.

        On a CPU as many as the engine has lanes: where its threads share every patch, no core is left
        for another frame. Beside a GPU as many as there are threads, and at least 2: one waits.
        """
        if self._engine.info.device == "cpu":
            return min(self._pool.lanes, self.workers.threads)
        return max(self.workers.threads, 2)

    def is_large(self, pixels: int) -> bool:
        """Return whether frames of so many pixels are worked on one after the other, by all threads."""
        return pixels * self.frames_at_a_time > _MOST_PIXELS or self.grid == "whole"

    def infer(self, patches: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return what the engine answers to patches, as `unetplus_runtime.engines.Engine.infer`.

        The array belongs to the caller.
        """
        return self._pool.infer(patches, self.workers)

    def close(self) -> None:
        """Close the engine, unless the caller opened it."""
        if self._owned:
            self._pool.close()

    def _segment(self, array: NDArray[np.generic], pixel_size: float | None, workers: Workers) -> Result:
        frame = as_frame(array)
        station = self._take_station(frame.shape, workers)
        result = station.segment(frame, pixel_size, np.zeros(frame.shape, np.float32))
        # After an error it is not used again: something of it may be out of place.
        with self._lock:
            self._stations.append((workers, station))
            del self._stations[: -self.frames_at_a_time - 1]
        return result

    def _take_station(self, shape: tuple[int, int], workers: Workers) -> Station:
        with self._lock:
            for number, (used_by, station) in enumerate(self._stations):
                if used_by is workers and station.shape == shape:
                    del self._stations[number]
                    return station
        return Station(shape, self.bundle.manifest, self.grid, self._pool, workers)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
