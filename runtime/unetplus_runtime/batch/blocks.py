"""A frame that is cut into blocks: they are segmented here or on a cluster, and joined to its results."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING

from unetplus_runtime.large import LARGE_TABLES, LargeJob, remove_work
from unetplus_runtime.large.cluster import RemoteFrame, make_masks_on_dask

if TYPE_CHECKING:
    from unetplus_runtime.batch.context import RunContext
    from unetplus_runtime.batch.frame_job import FrameJob
    from unetplus_runtime.inputs import FrameSource
    from unetplus_runtime.large import BlockGrid
    from unetplus_runtime.pages import Pages
    from unetplus_runtime.results import SummaryRow


def segment_in_blocks(run: RunContext, job: FrameJob, pages: Pages, grid: BlockGrid) -> None:
    """Segment the blocks of a frame that are this run's; where they are all, write its results and its row.

    Parameters
    ----------
    run
        What is the same for every frame.
    job
        The frame. `large` is set to what is done of the blocks, and `row` once the results are written:
        a shard writes none.
    pages
        Where the blocks are read.
    grid
        The blocks.

    Raises
    ------
    InputError
        If a block cannot be read or segmented.
    OutputError
        If a result cannot be written.
    """
    source, begin = job.source, time.perf_counter()
    work = run.work_folder(source)
    settings = run.settings | {"frame": source.id, "image": json.dumps(job.planned.stamp.model_dump())}
    if run.plan.overwrite:
        remove_work(work)
    large = job.large = LargeJob(pages.view(source.plane), grid, work, settings)
    if run.dask is not None:
        _on_dask(run, run.dask, large, job, grid)
    else:
        large.make_masks(run.segmenter, run.plan.shard, run.done)
    if run.plan.shard is None:
        job.row = _joined(run, large, source, grid, begin)


def _joined(run: RunContext, large: LargeJob, source: FrameSource, grid: BlockGrid, begin: float) -> SummaryRow:
    """Write the results of a frame whose blocks are all done."""
    labels, *tables = run.plan.results(source)
    names = [name for name in run.plan.formats if name in LARGE_TABLES]
    result = large.finish(
        run.segmenter.bundle.manifest.postprocessing,
        labels,
        dict(zip(names, tables, strict=True)),
        run.micrometres(source),
        run.provenance,
    )
    shape = grid.height, grid.width
    return run.row(source, shape, result.nuclei, result.mean_area, time.perf_counter() - begin)


def _on_dask(run: RunContext, address: str, large: LargeJob, job: FrameJob, grid: BlockGrid) -> None:
    whole_range = large.begin()
    missing = large.missing
    for _ in range(len(grid.blocks) - len(missing)):
        run.done()
    segmenter = run.segmenter
    frame = RemoteFrame(
        image=job.planned.stamp,
        channel=run.plan.channel,
        plane=job.source.plane,
        grid=grid,
        whole_range=whole_range,
        work=os.path.realpath(run.work_folder(job.source)),
        bundle=os.path.realpath(segmenter.bundle.path),
        engine=segmenter.engine.engine,
        execution=segmenter.engine.executed_precision,
        threads=run.threads,
        patch_grid=segmenter.grid,
        provenance=tuple(run.provenance.items()),
    )
    make_masks_on_dask(address, frame, missing, run.done)
