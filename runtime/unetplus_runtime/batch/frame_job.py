"""A frame on its way through a run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from unetplus_edge.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from unetplus_runtime.inputs import FrameSource
    from unetplus_runtime.large import BlockGrid, LargeJob
    from unetplus_runtime.pages import Pages
    from unetplus_runtime.plan import PlannedFile
    from unetplus_runtime.results import SummaryRow


@dataclass
class FrameJob:
    """A frame: what is known of it before, and what comes of it.

    Attributes
    ----------
    planned, source, grid
        As planned; the grid is that of its blocks, None where it is segmented as a whole.
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

    def attempt(self, do: Callable[[], None]) -> None:
        """Do something with the frame; where the frame does not let it be done, keep why."""
        try:
            do()
        except InputError as error:
            self.refused = str(error)
        except MemoryError:
            self.refused = f"{self.source.id} needs more memory than there is; cut it into smaller frames"
