"""Many files in, results on disk: what `unetplus-runtime segment` does."""

from __future__ import annotations

import os
import time
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from unetplus_edge.errors import InputError, OutputError
from unetplus_runtime.formats import Segmented, write_results
from unetplus_runtime.large import LARGE_TABLES, LargeJob, remove_work
from unetplus_runtime.large.cluster import RemoteFrame, make_masks_on_dask
from unetplus_runtime.pipeline import in_order
from unetplus_runtime.pixel_size import PixelSize
from unetplus_runtime.provenance import provenance_of
from unetplus_runtime.readers import open_pages
from unetplus_runtime.results import SummaryRow, write_summary
from unetplus_runtime.run_record import RECORD, continued, shard_record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from unetplus_runtime.inputs import FrameSource
    from unetplus_runtime.large import BlockGrid
    from unetplus_runtime.pages import Pages
    from unetplus_runtime.pipeline import Result
    from unetplus_runtime.plan import Plan, PlannedFile
    from unetplus_runtime.run_record import RecordWriter
    from unetplus_runtime.segmenter import Segmenter


@dataclass
class Outcome:
    """What a run did.

    Attributes
    ----------
    rows
        The summary: one row for each frame whose results are complete.
    refused
        One sentence for each file or page that could not be segmented.
    kept
        How many of the frames an unfinished run had done before.
    """

    rows: list[SummaryRow] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    kept: int = 0


def segment_files(
    plan: Plan,
    segmenter: Segmenter,
    pixel_size: float | None = None,
    done: Callable[[], None] | None = None,
    dask: str | None = None,
    threads: int | None = None,
) -> Outcome:
    """Segment every frame of a plan and write its results, and then the summary.

    Frames are worked on side by side, each by one thread, as `Segmenter.stream` does; large ones one
    after the other by all. A frame that cannot be read or segmented is refused, and the run goes on.
    A run that is broken off, by an error or by the user, leaves complete results, their summary, and
    a record by which the same plan made again goes on; so does a run that refused something.

    Parameters
    ----------
    plan
        What to do.
    segmenter
        What does it.
    pixel_size
        Side of a pixel in micrometres; None takes what a file says.
    done
        Called after every frame, and after every block of a large one.
    dask
        Address of a Dask scheduler whose workers segment the blocks of large frames.
    threads
        Threads of a worker's engine; None takes every core that it may use.

    Raises
    ------
    OutputError
        If a result cannot be written, or the plan goes on with a run of another model or with
        other options.
    EngineError
        If the engine fails.
    """
    outcome = Outcome(refused=list(plan.refused))
    if not plan.files:
        return outcome
    settings = provenance_of(segmenter) | {
        "--pixel-size": str(pixel_size),
        "--channel": str(plan.channel),
        "--formats": ",".join(plan.formats),
        "--large": str(plan.cutting.max_pixels),
        "--block": str(plan.cutting.side),
    }
    name = RECORD if plan.shard is None else shard_record(plan.shard.number, plan.shard.count)
    ids = [frame.id for frame in plan.own_frames]
    with continued(
        plan.out, plan.before, settings, ids, overwrite=plan.overwrite, name=name, shards=plan.shards
    ) as record:
        run = _Run(plan, segmenter, pixel_size, record, outcome, settings, done or (lambda: None), dask, threads)
        try:
            run.segment(plan.files)
        except BaseException:
            with suppress(OutputError):
                run.write_summary()
            raise
        run.write_summary()
        # What a shard has done is ended by another run.
        if plan.shard is None and (not outcome.rows or not outcome.refused):
            record.finish()
    return outcome


@dataclass
class _Job:
    """A frame: what is known of it before, and what comes of it.

    Attributes
    ----------
    planned, source, grid
        As planned.
    frame
        Its pixels, until it is segmented; None where it is cut into blocks, done or refused.
    pages
        Where the blocks are read.
    large
        What has been done of the blocks.
    row, kept
        Of the summary, once its results are written; and whether an earlier run did that.
    refused, unopened
        Why it could not be segmented; and whether its file, and no frame of it, could be opened.
    """

    planned: PlannedFile
    source: FrameSource
    grid: BlockGrid | None
    frame: NDArray[Any] | None = None
    pages: Pages | None = None
    large: LargeJob | None = None
    row: SummaryRow | None = None
    kept: bool = False
    refused: str | None = None
    unopened: bool = False


def _read(job: _Job, pages: Pages) -> None:
    job.frame = pages.read(job.source.plane)


class _Run:
    def __init__(
        self,
        plan: Plan,
        segmenter: Segmenter,
        pixel_size: float | None,
        record: RecordWriter,
        outcome: Outcome,
        settings: dict[str, str],
        done: Callable[[], None],
        dask: str | None,
        threads: int | None,
    ) -> None:
        self._dask, self._threads = dask, threads
        self._plan, self._segmenter, self._record, self._outcome = plan, segmenter, record, outcome
        self._pixel_size = None if pixel_size is None else PixelSize(pixel_size, "--pixel-size")
        self._provenance, self._settings = provenance_of(segmenter), settings
        self._done = done

    def segment(self, files: Iterable[PlannedFile]) -> None:
        jobs = in_order(
            self._jobs(files),
            lambda job: self._do(job, self._segmenter.segment_by_one),
            lambda job: self._do(job, self._segmenter.segment),
            lambda job: job.grid is not None or (job.frame is not None and self._segmenter.is_large(job.frame.size)),
            self._segmenter.frames_at_a_time,
        )
        with closing(jobs):
            for job in jobs:
                self._finish(job)

    def _jobs(self, files: Iterable[PlannedFile]) -> Iterator[_Job]:
        """Yield what there is to do for each frame, with the frame, where it is small enough for that."""
        for planned in files:
            with ExitStack() as stack:
                pages: Pages | None = None
                for source in planned.frames:
                    job = _Job(planned, source, self._plan.cutting.grid(source))
                    if job.grid is None and not self._plan.writes(planned, source):
                        continue
                    job.row = self._finished(source)
                    if job.row is not None:
                        job.kept = True
                        yield job
                        continue
                    try:
                        pages = pages or stack.enter_context(open_pages(planned.file.path, self._plan.channel))
                    except InputError as error:  # it could be opened when the plan was made
                        job.refused, job.unopened = str(error), True
                        yield job
                        break
                    if job.grid is None:
                        self._trying(job, partial(_read, job, pages))
                    else:
                        job.pages = pages
                    yield job

    def _do(self, job: _Job, segment: Callable[[NDArray[Any], float | None], Result]) -> _Job:
        """Segment a frame and write its results; of what is done or refused there is nothing to do."""
        if job.frame is not None:
            self._trying(job, lambda: self._whole(job, segment))
            job.frame = None
        elif job.pages is not None:
            self._trying(job, lambda: self._in_blocks(job))
        return job

    def _trying(self, job: _Job, do: Callable[[], None]) -> None:
        try:
            do()
        except InputError as error:
            job.refused = str(error)
        except MemoryError:
            job.refused = f"{job.source.id} needs more memory than there is; cut it into smaller frames"

    def _finish(self, job: _Job) -> None:
        """Record a frame, in the order of the plan."""
        if job.refused is not None:
            self._outcome.refused.append(job.refused)
        elif job.kept and job.row is not None:
            self._outcome.rows.append(replace(job.row, file=str(job.source.file.path)))  # as it is typed now
            self._outcome.kept += 1
        elif job.row is not None:
            self._record.add(job.planned.stamp, job.row)
            self._outcome.rows.append(job.row)
        if job.large is not None and job.row is not None:
            job.large.remove()
        elif job.grid is not None and job.kept:  # a kill may come between the record and that
            remove_work(self._work(job.source))
        if job.grid is None and not job.unopened:
            self._done()

    def _finished(self, source: FrameSource) -> SummaryRow | None:
        results = self._plan.results(source)
        row = self._plan.before.finished(source.id, results)
        if row is None and self._plan.shards is not None:
            row = self._plan.shards.finished(source.id, results)
        return row

    def _whole(self, job: _Job, segment: Callable[[NDArray[Any], float | None], Result]) -> None:
        frame, source = job.frame, job.source
        assert frame is not None  # noqa: S101
        result = segment(frame, self._micrometres(source))
        write_results(self._plan.out, source.id, Segmented(frame, result, self._provenance), self._plan.formats)
        areas = result.nuclei.area
        mean = float(areas.mean()) if len(areas) else None
        job.row = self._row(source, result.labels.shape, len(areas), mean, sum(result.timings.values()))

    def _in_blocks(self, job: _Job) -> None:
        pages, source, grid = job.pages, job.source, job.grid
        assert pages is not None  # noqa: S101
        assert grid is not None  # noqa: S101
        begin = time.perf_counter()
        settings = self._settings | {"frame": source.id, "image": job.planned.stamp.model_dump_json()}
        if self._plan.overwrite:
            remove_work(self._work(source))
        large = job.large = LargeJob(pages.view(source.plane), grid, self._work(source), settings)
        if self._dask is not None:
            self._on_dask(self._dask, large, source, grid)
        else:
            large.make_masks(self._segmenter, self._plan.shard, self._done)
        if self._plan.shard is not None:
            return
        labels, *tables = self._plan.results(source)
        names = [name for name in self._plan.formats if name in LARGE_TABLES]
        result = large.finish(
            self._segmenter.bundle.manifest.postprocessing,
            labels,
            dict(zip(names, tables, strict=True)),
            self._micrometres(source),
            self._provenance,
        )
        shape = grid.height, grid.width
        job.row = self._row(source, shape, result.nuclei, result.mean_area, time.perf_counter() - begin)

    def _on_dask(self, address: str, job: LargeJob, source: FrameSource, grid: BlockGrid) -> None:
        whole_range = job.begin()
        missing = job.missing
        for _ in range(len(grid.blocks) - len(missing)):
            self._done()
        engine = self._segmenter.engine
        frame = RemoteFrame(
            image=os.path.realpath(source.file.path),
            channel=self._plan.channel,
            plane=source.plane,
            grid=grid,
            whole_range=whole_range,
            work=os.path.realpath(self._work(source)),
            bundle=os.path.realpath(self._segmenter.bundle.path),
            engine=engine.engine,
            execution=engine.executed_precision,
            threads=self._threads,
            patch_grid=self._segmenter.grid,
            provenance=tuple(self._provenance.items()),
        )
        make_masks_on_dask(address, frame, missing, self._done)

    def _work(self, source: FrameSource) -> Path:
        labels = self._plan.results(source)[0]
        return labels.with_name(f".unfinished-{labels.name}")

    def _size(self, source: FrameSource) -> PixelSize | None:
        return self._pixel_size or source.plane.pixel_size

    def _micrometres(self, source: FrameSource) -> float | None:
        size = self._size(source)
        return size.micrometres if size else None

    def _row(
        self, source: FrameSource, shape: tuple[int, ...], nuclei: int, mean_area: float | None, seconds: float
    ) -> SummaryRow:
        size = self._size(source)
        return SummaryRow(
            id=source.id,
            file=str(source.file.path),
            page=source.plane.page + 1,
            pixel_size=size.micrometres if size else None,
            pixel_size_from=size.source if size else None,
            height=shape[0],
            width=shape[1],
            nuclei=nuclei,
            mean_area=mean_area,
            seconds=seconds,
        )

    def write_summary(self) -> None:
        if self._outcome.rows and self._plan.shard is None:
            write_summary(self._plan.out, self._outcome.rows)
