"""The masks of blocks, made by the workers of a Dask cluster."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from unetplus_edge.errors import EngineError, OutputError
from unetplus_runtime.large.masks import MaskMaker
from unetplus_runtime.large.work import WorkFolder
from unetplus_runtime.provenance import provenance_of
from unetplus_runtime.readers import open_pages
from unetplus_runtime.segmenter import Segmenter

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from unetplus_edge.imaging import FrameRange
    from unetplus_edge.manifest import EngineName, Precision
    from unetplus_runtime.large.blocks import Block, BlockGrid
    from unetplus_runtime.pages import Plane
    from unetplus_runtime.pipeline import GridName
    from unetplus_runtime.run_record import FileStamp

_RETRIES = 3


@dataclass(frozen=True)
class RemoteFrame:
    """All that a worker needs to make masks; paths mean the same files on every machine.

    Attributes
    ----------
    image
        Its file, and what tells that from another one of its name: a worker that still holds the file of
        an earlier run open does not take it for this one.
    channel, plane
        Which frame of it.
    grid
        Its blocks.
    whole_range
        Of the frame.
    work
        The work folder.
    bundle, engine, execution, threads
        The model, and what runs it.
    provenance
        What the worker's model must be, as pairs of name and value.
    patch_grid
        How blocks are cut for the engine.
    """

    image: FileStamp
    channel: str | None
    plane: Plane
    grid: BlockGrid
    whole_range: FrameRange
    work: str
    bundle: str
    engine: EngineName
    execution: Precision
    threads: int | None
    provenance: tuple[tuple[str, str], ...]
    patch_grid: GridName


def require_dask() -> None:
    """Refuse to compute on a cluster where the library is missing.

    Raises
    ------
    OutputError
        If it is.
    """
    if find_spec("distributed") is None:
        raise OutputError("--dask needs distributed: pip install 'unetplus-edge[cluster]'")


def make_masks_on_dask(address: str, frame: RemoteFrame, blocks: Sequence[Block], done: Callable[[], None]) -> None:
    """Have the workers of a cluster make masks; what a worker that dies has not done, others do.

    Parameters
    ----------
    address
        Of the scheduler, such as `tcp://10.0.0.1:8786`.
    frame
        The frame.
    blocks
        Which blocks to do.
    done
        Called after each.

    Raises
    ------
    OutputError
        If the scheduler does not answer, or a mask is not where this process looks for it.
    EngineError
        If a worker has another model or engine, or too many workers die over one block.
    InputError
        If the frame cannot be read.
    """
    from distributed import Client, KilledWorker, as_completed

    work = WorkFolder(Path(frame.work), frame.grid)
    try:
        client = Client(address, set_as_default=False)
    except (OSError, ValueError) as error:
        raise OutputError(f"the Dask scheduler at {address} does not answer ({error}); check --dask") from error
    with client:
        futures = {
            client.submit(_make_mask, frame, block.row, block.column, pure=False, retries=_RETRIES): block
            for block in blocks
        }
        try:
            for future in as_completed(futures, loop=client.loop):
                future.result()
                if not work.has("mask", futures[future]):
                    raise OutputError(
                        f"what the worker wrote to {frame.work} is not there; name an --out folder that all "
                        "machines share"
                    )
                done()
        except KilledWorker as error:
            raise EngineError(f"one worker after the other died over a block ({error}); look at their logs") from error
        finally:
            client.cancel(list(futures))


_LOCK = Lock()


def _make_mask(frame: RemoteFrame, row: int, column: int) -> None:
    # A block at a time: an open file has one place to read at, and an engine has its own threads.
    with _LOCK:
        maker, work, _ = _opened(frame)
        block = frame.grid.at(row, column)
        if not work.has("mask", block):
            work.write_mask(block, maker.mask(block))


@lru_cache(maxsize=1)
def _opened(frame: RemoteFrame) -> tuple[MaskMaker, WorkFolder, object]:
    segmenter = Segmenter(Path(frame.bundle), frame.engine, frame.threads, frame.execution, frame.patch_grid)
    found: dict[str, Any] = provenance_of(segmenter)
    for name, value in frame.provenance:
        if found[name] != value:
            raise EngineError(f"a worker has another {name} ({found[name]}, not {value}); install the same everywhere")
    # The file stays open for the next blocks of this frame: as long as somebody holds its context.
    held = open_pages(Path(frame.image.path), frame.channel)
    view = held.__enter__().view(frame.plane)
    maker = MaskMaker(view, frame.grid, frame.whole_range, segmenter)
    return maker, WorkFolder(Path(frame.work), frame.grid), held
