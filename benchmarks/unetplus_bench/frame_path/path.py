"""The project's own path on a frame, and its engine alone on the frame's patches, in one process."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from unetplus_bench.measuring.worker import Timed
from unetplus_edge.bundle import open_bundle
from unetplus_edge.imaging import PatchGrid, preprocess
from unetplus_runtime.engines import open_engine
from unetplus_runtime.engines.lanes import LanedNetwork
from unetplus_runtime.segmenter import Segmenter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from unetplus_edge.manifest import EngineName, Precision

ALONE = "engine alone: "
FRAME, STREAM = "a frame by itself", "a frame of a stream"
STREAMED = 6
"""Frames of a stream, for one time."""


@dataclass(frozen=True)
class PathSubject:
    """An engine alone on the patches of a frame, in every setting that it has, and the path around it.

    Parameters
    ----------
    bundle
        Folder of the bundle.
    engine, execution
        What runs it.
    threads
        Of everything.
    frame
        A `.npy` file of a raw frame.
    """

    bundle: Path
    engine: EngineName
    execution: Precision | None
    threads: int | None
    frame: Path

    @contextmanager
    def open(self) -> Iterator[Timed]:
        """See `unetplus_bench.measuring.worker.Subject`; the call returns seconds a frame by what was done."""
        bundle, frame = open_bundle(self.bundle), np.load(self.frame)
        recipe = bundle.manifest.recipe
        patches = PatchGrid(frame.shape[0], frame.shape[1], recipe.patch_side).cut(
            preprocess(frame, recipe.preprocessing)
        )
        with open_engine(bundle, self.engine, threads=self.threads, execution=self.execution) as engine:
            segmenter = Segmenter(bundle, engine, self.threads, grid="article")
            ways: dict[str, tuple[int, Callable[[], object]]] = {
                f"{ALONE}{name}": (frames, call) for name, (frames, call) in _alone(engine, patches).items()
            }
            ways[FRAME] = (1, lambda: segmenter.segment(frame))
            ways[STREAM] = (STREAMED, lambda: _last(segmenter.stream([frame] * STREAMED)))

            def call() -> dict[str, float]:
                seconds = {name: _seconds(way) / frames for name, (frames, way) in ways.items()}
                return {**seconds, **{f"stage {name}": part for name, part in segmenter.segment(frame).timings.items()}}

            yield Timed(call, {"file": engine.info.file.name, "threads": engine.info.threads})


def _alone(engine: object, patches: NDArray[np.float32]) -> dict[str, tuple[int, Callable[[], object]]]:
    """Return the settings of an engine: how many frames' patches each is given, and how."""
    several = np.concatenate([patches] * STREAMED)
    ways: dict[str, tuple[int, Callable[[], object]]] = {
        "all patches at once": (1, lambda: engine.infer(patches)),  # type: ignore[attr-defined]
        f"the patches of {STREAMED} frames at once": (STREAMED, lambda: engine.infer(several)),  # type: ignore[attr-defined]
    }
    if isinstance(engine, LanedNetwork):
        shared = engine._shared()  # noqa: SLF001 - the setting that is not taken has no other name
        ways["threads share each patch"] = (1, lambda: shared.infer(patches))
    return ways


def _last(results: Iterator[object]) -> None:
    for _ in results:
        pass


def _seconds(way: Callable[[], object]) -> float:
    begin = time.perf_counter()
    way()
    return time.perf_counter() - begin
