"""What a row's process opens and times: a network alone, or all the way from a frame to its nuclei."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import cycle
from typing import TYPE_CHECKING, Any

import numpy as np

from unetplus_bench.measuring.worker import Timed
from unetplus_edge.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from unetplus_edge.manifest import EngineName, Precision
    from unetplus_runtime.engines import Engine, EngineInfo
    from unetplus_runtime.scoring import Labelled
    from unetplus_runtime.segmenter import Result


@dataclass(frozen=True)
class EngineSubject:
    """A file of a bundle on one engine.

    Parameters
    ----------
    bundle
        Folder of the bundle, by whose constants it is scored.
    file
        What the engine opens.
    engine, device, threads, execution
        As for `unetplus_runtime.open_engine`.
    """

    bundle: Path
    file: Path
    engine: EngineName
    device: str | None
    threads: int | None
    execution: Precision | None


@dataclass(frozen=True)
class NetworkSubject(EngineSubject):
    """The network alone: `Engine.infer` on patches that are preprocessed already.

    Parameters
    ----------
    batch
        Patches a call.
    patches
        A `.npy` file of patches, float32 in [0, 1], shape (n, side, side, 1), n a multiple of
        `batch`; each call takes the next ones.
    compute_only
        Time what a GPU does with patches that it has, by its own clock, instead of the whole call.
    """

    batch: int
    patches: Path
    compute_only: bool = False

    @contextmanager
    def open(self) -> Iterator[Timed]:
        """See `unetplus_bench.measuring.worker.Subject`."""
        engine, load_seconds = _opened(self)
        with engine:
            patches = np.load(self.patches)
            batches = cycle(patches.reshape(-1, self.batch, *patches.shape[1:]))

            def call() -> None:
                engine.infer(next(batches))

            seconds = None
            if self.compute_only and engine.info.device != "cpu":
                compute = _compute_clock(engine)

                def seconds() -> float:
                    return compute(next(batches))

            facts = {**engine_facts(engine.info), "load_seconds": load_seconds}
            yield Timed(call, facts, lambda images: segmenter_scores(self.bundle, engine, images), seconds)


@dataclass(frozen=True)
class FrameSubject(EngineSubject):
    """`Segmenter.segment` on a frame, by stage.

    Parameters
    ----------
    frame
        A `.npy` file of a raw frame, shape (height, width).
    """

    frame: Path

    @contextmanager
    def open(self) -> Iterator[Timed]:
        """See `unetplus_bench.measuring.worker.Subject`."""
        from unetplus_runtime.segmenter import Segmenter

        engine, load_seconds = _opened(self)
        with engine, Segmenter(self.bundle, engine) as segmenter:
            frame = np.load(self.frame)
            facts = {**engine_facts(engine.info), "load_seconds": load_seconds}
            yield Timed(
                lambda: segmenter.segment(frame).timings,
                facts,
                lambda images: segmenter_scores(self.bundle, engine, images),
            )


def engine_facts(info: EngineInfo) -> dict[str, Any]:
    """Return the fields of a `Row` that an open engine tells."""
    return {
        "library": f"{info.library} {info.library_version}",
        "stored_precision": info.stored_precision,
        "executed_precision": info.executed_precision,
        "device": info.device,
        "threads": info.threads,
    }


def segmenter_scores(bundle: Path, engine: Engine, images: str) -> dict[str, float]:
    """Return the scores by name of a bundle, run by an engine, on a set of images of the data set."""
    from unetplus_runtime.segmenter import Segmenter

    with Segmenter(bundle, engine, grid="article") as segmenter:
        return scores_of(segmenter.segment, images)


def scores_of(segment: Callable[[Any], Result], images: str) -> dict[str, float]:
    """Return the scores by name of a way to segment, on "validation_images" or "test_images".

    Raises
    ------
    DataSetError
        If the data set is not there.
    """
    from unetplus_edge.evaluation import score_image, score_set

    samples: tuple[Labelled, ...] = _samples(images)
    scores = [score_image(sample.labels(), segment(sample.image()).labels) for sample in samples]
    return {name: value for name, value in asdict(score_set(scores)).items() if value is not None}


def _samples(images: str) -> tuple[Labelled, ...]:
    from unetplus_edge.datasets import open_dsb2018

    return open_dsb2018(labels="released").test if images == "test_images" else open_dsb2018().validation


def _opened(subject: EngineSubject) -> tuple[Engine, float]:
    from unetplus_runtime.engines import open_engine

    begin = time.perf_counter()
    engine = open_engine(subject.file, subject.engine, subject.device, subject.threads, subject.execution)
    return engine, time.perf_counter() - begin


def _compute_clock(engine: Engine) -> Callable[[Any], float]:
    """Return what times an engine's computing alone."""
    clock: Callable[[Any], float] | None = getattr(engine, "compute_seconds", None)
    if clock is None:
        raise EngineError(
            f"{engine.info.engine} on {engine.info.device} has no clock for computing alone; measure it with "
            "--scope net+copies"
        )
    return clock
