"""Many files in, results on disk: what `unetplus-runtime segment` does."""

from __future__ import annotations

import os
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from unetplus_edge import __version__
from unetplus_edge.errors import InputError, OutputError
from unetplus_runtime.inputs import FrameSource, find_images, frames_of, require_unlike
from unetplus_runtime.pages import unreadable
from unetplus_runtime.pixel_size import PixelSize
from unetplus_runtime.readers import open_pages
from unetplus_runtime.results import (
    MAX_NAME,
    SUMMARY,
    SummaryRow,
    result_paths,
    unwritable,
    write_result,
    write_summary,
)
from unetplus_runtime.run_record import FileStamp, Record, continued, read_record, stamp_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from unetplus_runtime.inputs import ImageFile
    from unetplus_runtime.pages import Pages
    from unetplus_runtime.run_record import RecordWriter
    from unetplus_runtime.segmenter import Result, Segmenter


@dataclass(frozen=True)
class PlannedFile:
    """A file that could be opened.

    Attributes
    ----------
    file
        The file.
    stamp
        What tells it from another one of its name.
    frames
        Its frames.
    """

    file: ImageFile
    stamp: FileStamp
    frames: tuple[FrameSource, ...]


@dataclass(frozen=True)
class Plan:
    """What a run will do.

    Attributes
    ----------
    out
        Folder of the results.
    channel
        Name or number of the channel with the nuclei, or None.
    files
        The files that could be opened.
    refused
        One sentence for each file that could not.
    before
        What an unfinished run has already done of it.
    overwrite
        Whether results that exist already may be replaced.
    """

    out: Path
    channel: str | None
    files: tuple[PlannedFile, ...]
    refused: tuple[str, ...]
    before: Record
    overwrite: bool = False

    @property
    def frames(self) -> list[FrameSource]:
        """All frames, in order."""
        return [frame for planned in self.files for frame in planned.frames]


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


def make_plan(inputs: Sequence[Path], out: Path, *, channel: str | None = None, overwrite: bool = False) -> Plan:
    """Return what there is to do, after a look at the headers of every file.

    Parameters
    ----------
    inputs
        Files, folders and patterns.
    out
        Folder of the results. Images in it are passed by. Where an unfinished run has left its
        record, the plan goes on with it.
    channel
        As for `unetplus_runtime.readers.open_pages`.
    overwrite
        Whether results that exist already may be replaced. An unfinished run is forgotten.

    Raises
    ------
    InputError
        If an input does not exist or is no image, or two frames would have the same results.
    OutputError
        If a result exists that may not be replaced, the results would lie among the images, or
        an unfinished run was over other images.
    """
    images = find_images(inputs, excluded=out)
    if os.path.realpath(out) in {os.path.realpath(given) for given in inputs if os.path.isdir(given)}:  # noqa: PTH112
        raise OutputError(f"{out} is the folder of the images; name another --out folder, which may lie in it")
    refused = list(images.refused)
    files: list[PlannedFile] = []
    for file in images.files:
        planned = _planned(file, channel, refused)
        if planned is not None:
            files.append(planned)
    before = Record() if overwrite else read_record(out)
    plan = Plan(out, channel, tuple(files), tuple(refused), before, overwrite)
    require_unlike(frame.id for frame in plan.frames)
    _require_same_files(plan)
    if not overwrite:
        _require_free(plan)
    return plan


def _planned(file: ImageFile, channel: str | None, refused: list[str]) -> PlannedFile | None:
    try:
        planned = PlannedFile(file, stamp_of(file.path), tuple(frames_of(file, channel)))
    except OSError as error:
        refused.append(str(unreadable(file.path, error)))
    except InputError as error:
        refused.append(str(error))
    else:
        longest = max(len(os.fsencode(frame.id.rpartition("/")[2])) for frame in planned.frames)
        if longest <= MAX_NAME:
            return planned
        refused.append(f"{file.path} has a name that is too long for those of its results; rename it")
    return None


def _require_same_files(plan: Plan) -> None:
    """Refuse to go on with a run whose images are not all there as they were."""
    stamps = {frame.id: planned.stamp for planned in plan.files for frame in planned.frames}
    for frame_id, (stamp, _) in plan.before.done.items():
        if stamps.get(frame_id) != stamp:
            raise OutputError(
                f"{plan.out} holds an unfinished run over {stamp.path}, which is not among the images, or has changed "
                "since; finish it as it was begun, replace it with --overwrite, or name another --out folder"
            )


def _require_free(plan: Plan) -> None:
    ids = [frame.id for frame in plan.frames if frame.id not in plan.before.claimed]
    paths = [path for frame_id in ids for path in result_paths(plan.out, frame_id)]
    if plan.before.settings is None:
        paths.insert(0, plan.out / SUMMARY)
    try:
        existing = [path for path in paths if path.exists()]
    except OSError as error:
        raise unwritable(plan.out, error) from error
    if existing:
        more = f" and {len(existing) - 1} more results exist" if len(existing) > 1 else " exists"
        raise OutputError(f"{existing[0]}{more} already; replace with --overwrite, or name another --out folder")


def segment_files(
    plan: Plan, segmenter: Segmenter, pixel_size: float | None = None, done: Callable[[], None] | None = None
) -> Outcome:
    """Segment every frame of a plan and write its results, and then the summary.

    A frame that cannot be read or segmented is refused, and the run goes on. A run that is broken
    off, by an error or by the user, leaves complete results, their summary, and a record by which
    the same plan made again goes on; so does a run that refused something.

    Parameters
    ----------
    plan
        What to do.
    segmenter
        What does it.
    pixel_size
        Side of a pixel in micrometres; None takes what a file says.
    done
        Called after every frame.

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
    settings = _settings(segmenter, pixel_size, plan.channel)
    ids = [frame.id for frame in plan.frames]
    with continued(plan.out, plan.before, settings, ids, overwrite=plan.overwrite) as record:
        run = _Run(plan, segmenter, pixel_size, record, outcome, done or (lambda: None))
        try:
            for planned in plan.files:
                run.segment(planned)
        except BaseException:
            with suppress(OutputError):
                run.write_summary()
            raise
        run.write_summary()
        if not outcome.rows or not outcome.refused:
            record.finish()
    return outcome


def _settings(segmenter: Segmenter, pixel_size: float | None, channel: str | None) -> dict[str, str]:
    """Return everything that results depend on, besides the images."""
    manifest, engine = segmenter.bundle.manifest, segmenter.engine
    weights = {segmenter.bundle.file_of(conversion): conversion.sha256 for conversion in manifest.conversions}
    return {
        "version": __version__,
        "model": manifest.keras_sha256,
        "preprocessing": manifest.recipe.preprocessing.model_dump_json(),
        "postprocessing": manifest.postprocessing.model_dump_json(),
        "engine": engine.engine,
        "library": f"{engine.library} {engine.library_version}",
        "conversion": weights.get(engine.file, "none"),
        "precision": engine.executed_precision,
        "device": engine.device,
        "--pixel-size": str(pixel_size),
        "--channel": str(channel),
    }


class _Run:
    def __init__(
        self,
        plan: Plan,
        segmenter: Segmenter,
        pixel_size: float | None,
        record: RecordWriter,
        outcome: Outcome,
        done: Callable[[], None],
    ) -> None:
        self._plan, self._segmenter, self._record, self._outcome = plan, segmenter, record, outcome
        self._pixel_size = None if pixel_size is None else PixelSize(pixel_size, "--pixel-size")
        self._done = done

    def segment(self, planned: PlannedFile) -> None:
        with ExitStack() as stack:
            pages: Pages | None = None
            for source in planned.frames:
                row = self._plan.before.finished(self._plan.out, source.id)
                if row is not None:
                    self._outcome.rows.append(_here(row, source))
                    self._outcome.kept += 1
                else:
                    try:
                        pages = pages or stack.enter_context(open_pages(planned.file.path, self._plan.channel))
                    except InputError as error:  # it could be opened when the plan was made
                        self._outcome.refused.append(str(error))
                        return
                    self._segment_frame(pages, source, planned.stamp)
                self._done()

    def _segment_frame(self, pages: Pages, source: FrameSource, stamp: FileStamp) -> None:
        size = self._pixel_size or source.plane.pixel_size
        try:
            frame = pages.read(source.plane)
            result = self._segmenter.segment(frame, size.micrometres if size else None)
            write_result(self._plan.out, source.id, frame, result)
        except InputError as error:
            self._outcome.refused.append(str(error))
            return
        except MemoryError:
            self._outcome.refused.append(f"{source.id} needs more memory than there is; cut it into smaller frames")
            return
        row = _summary_row(source, size, result)
        self._record.add(stamp, row)
        self._outcome.rows.append(row)

    def write_summary(self) -> None:
        if self._outcome.rows:
            write_summary(self._plan.out, self._outcome.rows)


def _here(row: SummaryRow, source: FrameSource) -> SummaryRow:
    """Return a row of an unfinished run, with the path as it is typed now."""
    return replace(row, file=str(source.file.path))


def _summary_row(source: FrameSource, size: PixelSize | None, result: Result) -> SummaryRow:
    height, width = result.labels.shape
    areas = result.nuclei.area
    return SummaryRow(
        id=source.id,
        file=str(source.file.path),
        page=source.plane.page + 1,
        pixel_size=size.micrometres if size else None,
        pixel_size_from=size.source if size else None,
        height=height,
        width=width,
        nuclei=len(areas),
        mean_area=float(areas.mean()) if len(areas) else None,
        seconds=sum(result.timings.values()),
    )
