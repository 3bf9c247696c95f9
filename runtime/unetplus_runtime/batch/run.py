"""A run over all files of a plan: frames side by side, what is done on record, and the summary in the end."""

from __future__ import annotations

from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from unetplus_edge.errors import OutputError
from unetplus_runtime.batch.blocks import segment_in_blocks
from unetplus_runtime.batch.context import RunContext
from unetplus_runtime.batch.reading import frame_jobs
from unetplus_runtime.batch.whole import segment_whole
from unetplus_runtime.large import remove_work
from unetplus_runtime.pipeline import in_order
from unetplus_runtime.pixel_size import PixelSize
from unetplus_runtime.results import SummaryRow, write_summary
from unetplus_runtime.run_record import RECORD, continued, shard_record

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from unetplus_runtime.batch.frame_job import FrameJob
    from unetplus_runtime.pipeline import Result
    from unetplus_runtime.plan import Plan
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
    a record by which the same plan made again goes on; so does a run that refused something. Of a plan
    that is ended, nothing is done.

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
    if plan.ended or not plan.files:
        return outcome
    size = None if pixel_size is None else PixelSize(pixel_size, "--pixel-size")
    context = RunContext(plan, segmenter, size, done or (lambda: None), dask, threads)
    name = RECORD if plan.shard is None else shard_record(plan.shard.number, plan.shard.count)
    ids = [frame.id for frame in plan.own_frames]
    with continued(
        plan.out, plan.before, context.settings, ids, overwrite=plan.overwrite, name=name, shards=plan.shards
    ) as record:
        run = _Run(context, record, outcome)
        try:
            run.segment()
        except BaseException:
            with suppress(OutputError):
                run.write_summary()
            raise
        run.write_summary()
        # What a shard has done is ended by another run.
        if plan.shard is None and (not outcome.rows or not outcome.refused):
            record.finish()
    return outcome


class _Run:
    def __init__(self, context: RunContext, record: RecordWriter, outcome: Outcome) -> None:
        self._context, self._record, self._outcome = context, record, outcome

    def segment(self) -> None:
        segmenter = self._context.segmenter
        jobs = in_order(
            frame_jobs(self._context.plan),
            lambda job: self._do(job, segmenter.segment_by_one),
            lambda job: self._do(job, segmenter.segment),
            lambda job: job.grid is not None or (job.frame is not None and segmenter.is_large(job.frame.size)),
            segmenter.frames_at_a_time,
        )
        with closing(jobs):
            for job in jobs:
                self._finish(job)

    def write_summary(self) -> None:
        plan = self._context.plan
        if self._outcome.rows and plan.shard is None:
            write_summary(plan.out, self._outcome.rows)

    def _do(self, job: FrameJob, segment: Callable[[NDArray[Any], float | None], Result]) -> FrameJob:
        """Segment a frame and write its results; of what is done or refused there is nothing to do."""
        context, frame, pages, grid = self._context, job.frame, job.pages, job.grid

        def whole(frame: NDArray[Any]) -> None:
            job.row = segment_whole(context, job.source, frame, segment)

        if frame is not None:
            job.attempt(lambda: whole(frame))
            job.frame = None
        elif pages is not None and grid is not None:
            job.attempt(lambda: segment_in_blocks(context, job, pages, grid))
        return job

    def _finish(self, job: FrameJob) -> None:
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
            remove_work(self._context.work_folder(job.source))
        if job.grid is None and not job.unopened:
            self._context.done()
