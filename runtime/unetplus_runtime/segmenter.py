"""From a frame to labelled and measured nuclei, in one call."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Literal

from unetplus_edge.bundle import Bundle
from unetplus_edge.errors import EngineError
from unetplus_edge.imaging import Nuclei, PatchGrid, as_frame, label_nuclei, measure, preprocess
from unetplus_edge.zoo import DEFAULT, find_bundle
from unetplus_runtime.engines import Engine, EngineInfo, open_engine

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    import numpy as np
    from numpy.typing import NDArray

    from unetplus_edge.manifest import EngineName, Precision


@dataclass(frozen=True)
class Result:
    """What was found in a frame.

    Attributes
    ----------
    labels
        Label image: int32, shape (height, width), 0 = background, nuclei numbered from 1.
    nuclei
        Measurements of each, in the order of their numbers.
    probability
        Of nucleus, float32 in [0, 1], shape (height, width).
    timings
        Seconds of each stage, in the order in which they ran: "preprocess", "patches", "engine",
        "stitch", "postprocess", "measure". Waiting for another thread's use of the engine is not
        among them.
    """

    labels: NDArray[np.int32]
    nuclei: Nuclei
    probability: NDArray[np.float32]
    timings: dict[str, float]


class Segmenter:
    """A model that is ready to segment frames.

    It may be used by many threads at a time: they share the engine, which one of them uses at a
    time, and all other stages run side by side. It is a context manager: leaving it closes the
    engine, unless that was opened by the caller.

    Parameters
    ----------
    bundle
        The model: a bundle, opened or by its folder or its name in the zoo. Every constant of
        preprocessing, patches and postprocessing is that of its manifest.
    engine
        As for `unetplus_runtime.open_engine`; or an engine that is open already, which is taken
        as it is, verified or not.
    threads
        Threads of the engine; None takes every core that the process may use. Of no effect on an
        engine that is open already.
    execution
        Precision to compute in, as for `unetplus_runtime.open_engine`. Of no effect on an engine
        that is open already.

    Raises
    ------
    BundleError
        If there is no such bundle, or it is damaged.
    EngineError
        If no engine opens, or its patches are not of the bundle's size.
    """

    def __init__(
        self,
        bundle: Bundle | Path | str = DEFAULT,
        engine: EngineName | Literal["auto"] | Engine = "auto",
        threads: int | None = None,
        execution: Precision | None = None,
    ) -> None:
        self.bundle = bundle if isinstance(bundle, Bundle) else find_bundle(bundle)
        self._lock = Lock()
        self._owned = isinstance(engine, str)
        self._engine = (
            open_engine(self.bundle, engine, threads=threads, execution=execution)
            if isinstance(engine, str)
            else engine
        )
        expected, found = self.bundle.manifest.recipe.patch_side, self._engine.info.patch_side
        if found != expected:
            self.close()
            raise EngineError(
                f"{self._engine.info.file} takes patches of {found} x {found} pixels, its bundle {self.bundle.path} is "
                f"of {expected} x {expected}: convert the model again with unetplus-export"
            )

    @property
    def engine(self) -> EngineInfo:
        """What computes, and how."""
        return self._engine.info

    def segment(self, array: NDArray[np.generic], pixel_size: float | None = None) -> Result:
        """Return the nuclei of a frame.

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
        frame = as_frame(array)
        manifest = self.bundle.manifest
        grid = PatchGrid(frame.shape[0], frame.shape[1], manifest.recipe.patch_side)
        timings: dict[str, float] = {}
        with _stage(timings, "preprocess"):
            prepared = preprocess(frame, manifest.recipe.preprocessing)
        with _stage(timings, "patches"):
            patches = grid.cut(prepared)
        # The answers belong to the engine, so they are stitched before the next thread asks.
        with self._lock:
            with _stage(timings, "engine"):
                answers = self._engine.infer(patches)
            with _stage(timings, "stitch"):
                probability = grid.stitch(answers)
        with _stage(timings, "postprocess"):
            labels = label_nuclei(probability, manifest.postprocessing)
        with _stage(timings, "measure"):
            nuclei = measure(labels, frame, pixel_size)
        return Result(labels, nuclei, probability, timings)

    def infer(self, patches: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return what the engine answers to patches, as `unetplus_runtime.engines.Engine.infer`.

        The array belongs to the caller.
        """
        with self._lock:
            return self._engine.infer(patches).copy()

    def close(self) -> None:
        """Close the engine, unless the caller opened it."""
        if self._owned:
            with self._lock:
                self._engine.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


@contextmanager
def _stage(timings: dict[str, float], name: str) -> Iterator[None]:
    begin = time.perf_counter()
    yield
    timings[name] = time.perf_counter() - begin
