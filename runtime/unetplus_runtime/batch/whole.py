"""A frame that fits into memory: segmented as a whole, and its results written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from unetplus_runtime.formats import Segmented, write_results

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from unetplus_runtime.batch.context import RunContext
    from unetplus_runtime.inputs import FrameSource
    from unetplus_runtime.pipeline import Result
    from unetplus_runtime.results import SummaryRow


def segment_whole(
    run: RunContext,
    source: FrameSource,
    frame: NDArray[Any],
    segment: Callable[[NDArray[Any], float | None], Result],
) -> SummaryRow:
    """Segment a frame and write its results; return what the summary says of it.

    Parameters
    ----------
    run
        What is the same for every frame.
    source
        Where the frame is from.
    frame
        Its pixels, as `Segmenter.segment` takes them.
    segment
        What finds the nuclei: of a frame, and of the side of its pixels in micrometres.

    Raises
    ------
    InputError
        If the frame cannot be segmented.
    OutputError
        If a result cannot be written.
    """
    result = segment(frame, run.micrometres(source))
    write_results(run.plan.out, source.id, Segmented(frame, result, run.provenance), run.plan.formats)
    areas = result.nuclei.area
    mean = float(areas.mean()) if len(areas) else None
    return run.row(source, result.labels.shape, len(areas), mean, sum(result.timings.values()))
