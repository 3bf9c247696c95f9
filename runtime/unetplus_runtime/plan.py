"""What a run of `unetplus-runtime segment` will do, found out before anything is computed."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from unetplus_edge.errors import InputError, OutputError
from unetplus_runtime.formats import DEFAULT_FORMATS, max_name, require_formats, result_paths
from unetplus_runtime.inputs import FrameSource, find_images, frames_of, require_unlike
from unetplus_runtime.large import LARGE_TABLES, BlockGrid
from unetplus_runtime.pages import MAX_PIXELS, unreadable
from unetplus_runtime.results import SUMMARY, unwritable
from unetplus_runtime.run_record import RECORD, FileStamp, Record, read_record, read_shards, shard_record, stamp_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from unetplus_runtime.inputs import ImageFile
    from unetplus_runtime.large import Shard

LARGE_LABELS = "ome-zarr"
"""Format of the label images of large frames."""

BLOCK_SIDE = 2048
"""Pixels along a side of a block, by default."""


@dataclass(frozen=True)
class Cutting:
    """Which frames are segmented block by block, and how.

    Attributes
    ----------
    max_pixels
        Frames of more pixels are, where their format lets parts be read.
    side
        Of a block, in pixels.
    """

    max_pixels: int = MAX_PIXELS
    side: int = BLOCK_SIDE

    def grid(self, source: FrameSource) -> BlockGrid | None:
        """Return the blocks of a frame; None where it is segmented as a whole."""
        shape = source.plane.shape
        if shape is None or shape[0] * shape[1] <= self.max_pixels:
            return None
        return BlockGrid(*shape, self.side)


@dataclass(frozen=True)
class PlannedFile:
    """A file that could be opened.

    Attributes
    ----------
    file
        The file.
    number
        Which of all files it is, from 0, those counted that could not be opened.
    stamp
        What tells it from another one of its name.
    frames
        Its frames.
    passed_over
        Series of it without the channel, in words; None where there are none.
    """

    file: ImageFile
    number: int
    stamp: FileStamp
    frames: tuple[FrameSource, ...]
    passed_over: str | None = None


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
    formats
        Names of the formats of the results.
    overwrite
        Whether results that exist already may be replaced.
    cutting
        Which frames are cut into blocks.
    shard
        Which part of the work is this run's; None is all.
    shards
        What shards have done, which this run ends; None where there are none to end.
    ended
        Whether this is a shard of work that is all done and joined: it has nothing to do.
    """

    out: Path
    channel: str | None
    files: tuple[PlannedFile, ...]
    refused: tuple[str, ...]
    before: Record
    formats: tuple[str, ...] = DEFAULT_FORMATS
    overwrite: bool = False
    cutting: Cutting = Cutting()
    shard: Shard | None = None
    shards: Record | None = None
    ended: bool = False

    @property
    def frames(self) -> list[FrameSource]:
        """All frames, in order."""
        return [frame for planned in self.files for frame in planned.frames]

    @property
    def passed_over(self) -> list[str]:
        """What of the files has not the channel with the nuclei, one phrase for each such file."""
        return [planned.passed_over for planned in self.files if planned.passed_over is not None]

    @property
    def own_frames(self) -> list[FrameSource]:
        """The frames whose results this run writes; a shard writes none of those that are cut into blocks."""
        return [frame for planned in self.files for frame in planned.frames if self.writes(planned, frame)]

    def writes(self, planned: PlannedFile, source: FrameSource) -> bool:
        """Return whether this run writes the results of a frame."""
        return self.shard is None or (self.cutting.grid(source) is None and self.shard.has(planned.number))

    def has_part_in(self, planned: PlannedFile, source: FrameSource) -> bool:
        """Return whether there is something for this run to do in a frame; every shard has blocks of a large one."""
        return self.writes(planned, source) or self.cutting.grid(source) is not None

    @property
    def steps(self) -> int:
        """How often the run will say that something is done: for a frame, or for a block of a large one."""
        blocks = (
            sum(self.shard is None or self.shard.has(index) for index in range(len(grid.blocks)))
            for grid in map(self.cutting.grid, self.frames)
            if grid is not None
        )
        return sum(self.cutting.grid(source) is None for source in self.own_frames) + sum(blocks)

    def results(self, source: FrameSource) -> list[Path]:
        """Return where the results of a frame lie; of a large one, the label image first."""
        return result_paths(self.out, source.id, _formats_of(self.cutting, source, self.formats))


def _formats_of(cutting: Cutting, source: FrameSource, formats: Sequence[str]) -> Sequence[str]:
    if cutting.grid(source) is None:
        return formats
    return [LARGE_LABELS, *(name for name in formats if name in LARGE_TABLES)]


def make_plan(
    inputs: Sequence[Path],
    out: Path,
    *,
    channel: str | None = None,
    formats: Sequence[str] = DEFAULT_FORMATS,
    overwrite: bool = False,
    cutting: Cutting | None = None,
    shard: Shard | None = None,
    join: bool = False,
) -> Plan:
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
    formats
        Names in `unetplus_runtime.formats.FORMATS`. Of large frames, the label image is always
        OME-Zarr, and of the others only tables are written.
    overwrite
        Whether results that exist already may be replaced. An unfinished run is forgotten.
    cutting
        Which frames are cut into blocks; None is the default.
    shard
        Do this part of the work only, beside other processes that do the others.
    join
        End what shards have done.

    Raises
    ------
    InputError
        If an input does not exist or is no image, or two frames would have the same results.
    OutputError
        If a result exists that may not be replaced, the results would lie among the images, an
        unfinished run was over other images or is not of this kind, or the library of a format is
        missing.
    """
    require_formats(formats)
    cutting = cutting or Cutting()
    images = find_images(inputs, excluded=out)
    if os.path.realpath(out) in {os.path.realpath(given) for given in inputs if os.path.isdir(given)}:  # noqa: PTH112
        raise OutputError(f"{out} is the folder of the images; name another --out folder, which may lie in it")
    refused = list(images.refused)
    files: list[PlannedFile] = []
    for number, file in enumerate(images.files):
        planned = _planned(file, number, channel, formats, cutting, refused)
        if planned is not None:
            files.append(planned)
    before, shards = _before(out, overwrite, shard, join)
    plan = Plan(out, channel, tuple(files), tuple(refused), before, tuple(formats), overwrite, cutting, shard, shards)
    if any(cutting.grid(source) for source in plan.frames):
        require_formats([LARGE_LABELS])
    require_unlike(frame.id for frame in plan.frames)
    _require_same_files(plan, before)
    if shards is not None:
        _require_same_files(plan, shards)
    if overwrite:
        return plan
    try:
        if _is_ended(plan):
            return replace(plan, ended=True)
        _require_free(plan)
    except OSError as error:
        raise unwritable(out, error) from error
    return plan


def _planned(
    file: ImageFile, number: int, channel: str | None, formats: Sequence[str], cutting: Cutting, refused: list[str]
) -> PlannedFile | None:
    try:
        stamp, frames = stamp_of(file.path), frames_of(file, channel)
    except OSError as error:
        refused.append(str(unreadable(file.path, error)))
    except InputError as error:
        refused.append(str(error))
    else:
        for source in frames.sources:
            most = max_name(_formats_of(cutting, source, formats))
            if len(os.fsencode(source.id.rpartition("/")[2])) > most:
                refused.append(f"{file.path} has a name that is too long for those of its results; rename it")
                return None
        return PlannedFile(file, number, stamp, frames.sources, frames.passed_over)
    return None


def _before(out: Path, overwrite: bool, shard: Shard | None, join: bool) -> tuple[Record, Record | None]:
    """Return what this run has done before, and what shards have done that it ends."""
    whole = Record() if overwrite else read_record(out)
    shards = read_shards(out)
    if shard is not None:
        if whole.settings is not None:
            raise OutputError(f"{out} holds an unfinished run without shards ({RECORD}); finish that first")
        return read_record(out, shard_record(shard.number, shard.count)), None
    if join:
        if shards is None:
            raise OutputError(f"{out} holds nothing that shards have done; run them first, with --shard")
        return whole, shards
    if shards is not None and not overwrite:
        raise OutputError(f"{out} holds what shards have done; end it with --join, or begin anew with --overwrite")
    return whole, None


def _require_same_files(plan: Plan, record: Record) -> None:
    """Refuse to go on with a run whose images are not all there as they were."""
    stamps = {frame.id: planned.stamp for planned in plan.files for frame in planned.frames}
    for frame_id, (stamp, _) in record.done.items():
        if stamps.get(frame_id) != stamp:
            raise OutputError(
                f"{plan.out} holds an unfinished run over {stamp.path}, which is not among the images, or has changed "
                "since; finish it as it was begun, replace it with --overwrite, or name another --out folder"
            )


def _is_ended(plan: Plan) -> bool:
    """Return whether a shard comes after its join: the summary is younger than all images, and no result is missing."""
    if plan.shard is None or plan.before.settings is not None or plan.refused or not plan.files:
        return False
    summary = plan.out / SUMMARY
    if not summary.exists():
        return False
    written = summary.stat().st_mtime_ns
    return all(planned.stamp.modified <= written for planned in plan.files) and all(
        path.exists() for source in plan.frames for path in plan.results(source)
    )


def _require_free(plan: Plan) -> None:
    claimed = plan.before.claimed | (plan.shards.claimed if plan.shards else frozenset())
    sources = [frame for planned in plan.files for frame in planned.frames if plan.has_part_in(planned, frame)]
    paths = [path for source in sources if source.id not in claimed for path in plan.results(source)]
    if plan.before.settings is None and plan.shard is None:
        paths.insert(0, plan.out / SUMMARY)
    existing = [path for path in paths if path.exists()]
    if existing:
        more = f" and {len(existing) - 1} more results exist" if len(existing) > 1 else " exists"
        raise OutputError(f"{existing[0]}{more} already; replace with --overwrite, or name another --out folder")
