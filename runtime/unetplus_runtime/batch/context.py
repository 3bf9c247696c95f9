"""What is the same for every frame of a run."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from unetplus_runtime.provenance import provenance_of
from unetplus_runtime.results import SummaryRow

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from unetplus_runtime.inputs import FrameSource
    from unetplus_runtime.pixel_size import PixelSize
    from unetplus_runtime.plan import Plan
    from unetplus_runtime.segmenter import Segmenter


@dataclass(frozen=True)
class RunContext:
    """What is the same for every frame of a run.

    Attributes
    ----------
    plan
        What to do.
    segmenter
        What does it.
    pixel_size
        As it was told; None takes what a file says.
    done
        Called after every frame, and after every block of a large one.
    dask
        Address of a Dask scheduler whose workers segment the blocks of large frames; None for none.
    threads
        Threads of a worker's engine; None takes every core that it may use.
    """

    plan: Plan
    segmenter: Segmenter
    pixel_size: PixelSize | None
    done: Callable[[], None]
    dask: str | None
    threads: int | None

    @cached_property
    def provenance(self) -> dict[str, str]:
        """The model, its constants and the engine."""
        return provenance_of(self.segmenter)

    @property
    def settings(self) -> dict[str, str]:
        """Everything that results depend on, besides the images, by name; options by theirs."""
        return self.provenance | {
            "--pixel-size": str(None if self.pixel_size is None else self.pixel_size.micrometres),
            "--channel": str(self.plan.channel),
            "--formats": ",".join(self.plan.formats),
            "--large": str(self.plan.cutting.max_pixels),
            "--block": str(self.plan.cutting.side),
        }

    def work_folder(self, source: FrameSource) -> Path:
        """Return where the blocks of a large frame lie until all are done."""
        labels = self.plan.results(source)[0]
        return labels.with_name(f".unfinished-{labels.name}")

    def micrometres(self, source: FrameSource) -> float | None:
        """Return the side of a pixel of a frame, in micrometres; None where it is not known."""
        size = self._size(source)
        return size.micrometres if size else None

    def row(
        self, source: FrameSource, shape: tuple[int, ...], nuclei: int, mean_area: float | None, seconds: float
    ) -> SummaryRow:
        """Return what the summary says of a frame; for `shape`, `mean_area` and `seconds` see `SummaryRow`."""
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

    def _size(self, source: FrameSource) -> PixelSize | None:
        return self.pixel_size or source.plane.pixel_size
