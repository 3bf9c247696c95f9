"""The folder that holds what has been done of a large frame, so that it can go on after a kill."""

from __future__ import annotations

import io
import json
import os
import shutil
import uuid
import zlib
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from unetplus_edge.errors import OutputError
from unetplus_edge.imaging import FrameRange
from unetplus_runtime.large.blocks import inside
from unetplus_runtime.large.pieces import Pieces
from unetplus_runtime.results import unwritable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from unetplus_runtime.large.blocks import Block, BlockGrid

_SETTINGS = "settings.json"
_PLANES = 2


def remove_work(path: Path) -> None:
    """Remove what has been done of a large frame."""
    # By another name, so that nobody goes on with what is left of a removal that is broken off.
    removed = path.with_name(path.name.replace(".unfinished", ".removed", 1))
    shutil.rmtree(removed, ignore_errors=True)
    with suppress(FileNotFoundError):
        path.rename(removed)
    shutil.rmtree(removed, ignore_errors=True)


class WorkFolder:
    """What has been done of a large frame.

    Each block has its own file a step, which appears whole or not at all: so any number of
    processes may work on different blocks, and what a kill leaves behind is what is done.

    Parameters
    ----------
    path
        The folder.
    grid
        The blocks of the frame.
    """

    def __init__(self, path: Path, grid: BlockGrid) -> None:
        self.path, self._grid = path, grid

    def begin(self, settings: Mapping[str, str]) -> None:
        """Go on with the folder, or begin it.

        Parameters
        ----------
        settings
            Everything that the blocks depend on.

        Raises
        ------
        OutputError
            If it was begun with other settings, or cannot be written.
        """
        path = self.path / _SETTINGS
        try:
            found = json.loads(path.read_bytes())
        except FileNotFoundError:
            pass
        except (OSError, ValueError) as error:
            raise OutputError(f"{path} cannot be read ({error}); begin anew with --overwrite") from error
        else:
            if found == dict(settings):
                return
            name = next(name for name in (*settings, *found) if found.get(name) != settings.get(name))
            raise OutputError(
                f"{self.path} holds unfinished blocks with another {name} ({found.get(name, 'none')}, now "
                f"{settings.get(name, 'none')}); finish them as they were begun, or begin anew with --overwrite"
            )
        _put(path, json.dumps(dict(settings)).encode())

    def read_range(self) -> FrameRange | None:
        """Return the range of the whole frame; None where it is not known yet."""
        try:
            return FrameRange(*json.loads((self.path / "range.json").read_bytes()))
        except FileNotFoundError:
            return None

    def write_range(self, whole_range: FrameRange) -> None:
        """Write the range of the whole frame."""
        _put(self.path / "range.json", json.dumps(whole_range).encode())

    def has(self, step: Literal["mask", "pieces", "table"], block: Block) -> bool:
        """Return whether a step of a block is done."""
        return self._file(step, block).is_file()

    def write_mask(self, block: Block, classes: NDArray[np.uint8]) -> None:
        """Write the classes of a block's pixels, 0, 1 or 2, shape as the block."""
        planes = np.stack([classes > least for least in range(_PLANES)])
        _put(self._file("mask", block), zlib.compress(np.packbits(planes, axis=2).tobytes(), 1))

    def read_mask(self, rows: slice, columns: slice) -> NDArray[np.uint8]:
        """Return the classes of a part of the frame, of however many blocks."""
        classes = np.empty((rows.stop - rows.start, columns.stop - columns.start), np.uint8)
        for block in self._grid.touching(rows, columns):
            bits = np.frombuffer(zlib.decompress(self._file("mask", block).read_bytes()), np.uint8)
            down = slice(max(rows.start, block.rows.start), min(rows.stop, block.rows.stop))
            across = slice(max(columns.start, block.columns.start), min(columns.stop, block.columns.stop))
            # Of a neighbour, only the bytes are unpacked that hold the part.
            here = inside(across, block.columns)
            first = here.start // 8
            planes = bits.reshape(_PLANES, block.shape[0], -1)
            part = planes[:, inside(down, block.rows), first : -(-here.stop // 8)]
            found = np.unpackbits(part, axis=2)[:, :, here.start - 8 * first : here.stop - 8 * first]
            np.sum(found, axis=0, dtype=np.uint8, out=classes[inside(down, rows), inside(across, columns)])
        return classes

    def write_pieces(self, block: Block, pieces: Pieces) -> None:
        """Write what joining needs to know of a block."""
        self._write("pieces", block, vars(pieces))

    def read_pieces(self, block: Block) -> Pieces:
        """Return what joining needs to know of a block."""
        return Pieces(**self._read("pieces", block))

    def write_table(self, block: Block, settled: NDArray[np.float64], unsettled: NDArray[np.float64]) -> None:
        """Write the sums of nuclei that are all inside a block, and of the pieces of those that may not be."""
        self._write("table", block, {"settled": settled, "unsettled": unsettled})

    def read_table(self, block: Block, part: Literal["settled", "unsettled"]) -> NDArray[np.float64]:
        """Return what `write_table` has written."""
        with np.load(self._file("table", block), allow_pickle=False) as arrays:
            table: NDArray[np.float64] = arrays[part]
            return table

    def forget_labels(self) -> None:
        """Forget that any block was labelled, and the pyramid."""
        (self.path / "labels-made").unlink(missing_ok=True)
        for step in ("table", "pyramid"):
            shutil.rmtree(self.path / step, ignore_errors=True)

    def has_level(self, level: int) -> bool:
        """Return whether a level of the pyramid is filled."""
        return (self.path / "pyramid" / str(level)).is_file()

    def add_level(self, level: int) -> None:
        """Write that a level of the pyramid is filled."""
        _put(self.path / "pyramid" / str(level), b"")

    def _file(self, step: str, block: Block) -> Path:
        return self.path / step / block.name

    def _write(self, step: str, block: Block, arrays: Mapping[str, Any]) -> None:
        content = io.BytesIO()
        np.savez_compressed(content, **arrays)
        _put(self._file(step, block), content.getvalue())

    def _read(self, step: str, block: Block) -> dict[str, Any]:
        with np.load(self._file(step, block), allow_pickle=False) as arrays:
            return dict(arrays)


def _put(path: Path, content: bytes) -> None:
    """Write a file, whole or not at all, whoever else writes the same one at the same time."""
    part = path.with_name(f".{path.name}-{uuid.uuid4().hex}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise unwritable(path, error) from error
