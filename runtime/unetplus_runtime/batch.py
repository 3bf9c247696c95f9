"""Many files in, results on disk: what `unetplus-runtime segment` does."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from unetplus_edge.errors import InputError, OutputError
from unetplus_runtime.inputs import FrameSource, find_images, frames_of, require_unlike
from unetplus_runtime.readers import open_pages
from unetplus_runtime.results import SUMMARY, SummaryRow, result_paths, write_result, write_summary

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from unetplus_edge.imaging.frames import Frame
    from unetplus_runtime.inputs import ImageFile
    from unetplus_runtime.readers import Pages
    from unetplus_runtime.segmenter import Result, Segmenter


@dataclass(frozen=True)
class Plan:
    """What a run will do.

    Attributes
    ----------
    out
        Folder of the results.
    files
        The files that could be opened, each with its frames.
    refused
        One sentence for each file that could not.
    """

    out: Path
    files: tuple[tuple[ImageFile, tuple[FrameSource, ...]], ...]
    refused: tuple[str, ...]

    @property
    def frame_count(self) -> int:
        """How many frames there are to segment."""
        return sum(len(frames) for _, frames in self.files)


@dataclass
class Outcome:
    """What a run did.

    Attributes
    ----------
    rows
        The summary: one row for each frame whose results are complete.
    refused
        One sentence for each file or page that could not be segmented.
    """

    rows: list[SummaryRow] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)


def make_plan(inputs: Sequence[Path], out: Path, *, overwrite: bool = False) -> Plan:
    """Return what there is to do, after a look at the headers of every file.

    Parameters
    ----------
    inputs
        Files and folders.
    out
        Folder of the results. Images in it are passed by.
    overwrite
        Whether results that exist already may be replaced.

    Raises
    ------
    InputError
        If an input does not exist or is no image, or two frames would have the same results.
    OutputError
        If a result exists that may not be replaced, or the results would lie among the images.
    """
    if out.resolve() in {given.resolve() for given in inputs if given.is_dir()}:
        raise OutputError(f"{out} is the folder of the images; name another --out folder, which may lie in it")
    files: list[tuple[ImageFile, tuple[FrameSource, ...]]] = []
    refused: list[str] = []
    for file in find_images(inputs, excluded=out):
        frames = _frames_of(file, refused)
        if frames:
            files.append((file, frames))
    if files:
        require_unlike(frame.id for _, frames in files for frame in frames)
    if not overwrite:
        _require_free(out, [frame.id for _, frames in files for frame in frames])
    return Plan(out, tuple(files), tuple(refused))


def _frames_of(file: ImageFile, refused: list[str]) -> tuple[FrameSource, ...]:
    try:
        return tuple(frames_of(file))
    except InputError as error:
        refused.append(str(error))
        return ()


def _require_free(out: Path, ids: list[str]) -> None:
    paths = [out / SUMMARY, *(path for frame_id in ids for path in result_paths(out, frame_id))]
    existing = [path for path in paths if path.exists()]
    if existing:
        more = f" and {len(existing) - 1} more results exist" if len(existing) > 1 else " exists"
        raise OutputError(f"{existing[0]}{more} already; replace with --overwrite, or name another --out folder")


def segment_files(
    plan: Plan, segmenter: Segmenter, pixel_size: float | None = None, done: Callable[[], None] | None = None
) -> Outcome:
    """Segment every frame of a plan and write its results, and then the summary.

    A frame that cannot be read or segmented is refused, and the run goes on. A run that is broken
    off, by an error or by the user, leaves complete results and their summary.

    Parameters
    ----------
    plan
        What to do.
    segmenter
        What does it.
    pixel_size
        Side of a pixel in micrometres.
    done
        Called after every frame.

    Raises
    ------
    OutputError
        If a result cannot be written.
    EngineError
        If the engine fails.
    """
    outcome = Outcome(refused=list(plan.refused))
    try:
        for file, frames in plan.files:
            _segment_file(file, frames, plan.out, segmenter, pixel_size, outcome, done)
    finally:
        if outcome.rows:
            write_summary(plan.out, outcome.rows)
    return outcome


def _segment_file(
    file: ImageFile,
    frames: Sequence[FrameSource],
    out: Path,
    segmenter: Segmenter,
    pixel_size: float | None,
    outcome: Outcome,
    done: Callable[[], None] | None,
) -> None:
    with ExitStack() as stack:
        try:
            pages = stack.enter_context(open_pages(file.path))
        except InputError as error:  # it could be opened when the plan was made
            outcome.refused.append(str(error))
            return
        for source in frames:
            frame = _read(pages, source, outcome.refused)
            if frame is not None:
                result = segmenter.segment(frame, pixel_size)
                write_result(out, source.id, frame, result)
                outcome.rows.append(_summary_row(source, result))
            if done:
                done()


def _read(pages: Pages, source: FrameSource, refused: list[str]) -> Frame | None:
    try:
        return pages.read(source.page)
    except InputError as error:
        refused.append(str(error))
        return None


def _summary_row(source: FrameSource, result: Result) -> SummaryRow:
    height, width = result.labels.shape
    areas = result.nuclei.area
    return SummaryRow(
        id=source.id,
        file=str(source.file.path),
        page=source.page + 1,
        height=height,
        width=width,
        nuclei=len(areas),
        mean_area=float(areas.mean()) if len(areas) else None,
        seconds=sum(result.timings.values()),
    )
