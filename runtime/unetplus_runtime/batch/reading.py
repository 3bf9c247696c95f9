"""The frames of a run as they come from their files, one after the other."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING

from unetplus_edge.errors import InputError
from unetplus_runtime.batch.frame_job import FrameJob
from unetplus_runtime.readers import open_pages

if TYPE_CHECKING:
    from collections.abc import Iterator

    from unetplus_runtime.inputs import FrameSource
    from unetplus_runtime.pages import Pages
    from unetplus_runtime.plan import Plan
    from unetplus_runtime.results import SummaryRow


def frame_jobs(plan: Plan) -> Iterator[FrameJob]:
    """Yield each frame that a run has a part in: with its pixels, where it is small enough for that.

    A frame that an earlier run has done comes with its row of the summary, one that cannot be read with
    the reason; of a file that cannot be opened comes the first frame alone. The pages of a large frame
    may be read until the next file's frames are asked for.
    """
    for planned in plan.files:
        with ExitStack() as stack:
            pages: Pages | None = None
            for source in planned.frames:
                if not plan.has_part_in(planned, source):
                    continue
                job = FrameJob(planned, source, plan.cutting.grid(source))
                job.row = _finished(plan, source)
                if job.row is not None:
                    job.kept = True
                    yield job
                    continue
                try:
                    pages = pages or stack.enter_context(open_pages(planned.file.path, plan.channel))
                except InputError as error:  # it could be opened when the plan was made
                    job.refused, job.unopened = str(error), True
                    yield job
                    break
                if job.grid is None:
                    job.attempt(partial(_read, job, pages))
                else:
                    job.pages = pages
                yield job


def _read(job: FrameJob, pages: Pages) -> None:
    job.frame = pages.read(job.source.plane)


def _finished(plan: Plan, source: FrameSource) -> SummaryRow | None:
    results = plan.results(source)
    row = plan.before.finished(source.id, results)
    if row is None and plan.shards is not None:
        row = plan.shards.finished(source.id, results)
    return row
