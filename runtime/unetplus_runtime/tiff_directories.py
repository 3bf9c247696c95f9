"""The chain of directories of a TIFF file, walked before anything is trusted."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, NamedTuple

import numpy as np

from unetplus_edge.errors import InputError
from unetplus_runtime.pages import MAX_PLANES, another_format, cut_off, damaged

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

_MAX_TAG_BYTES = 1 << 26
_NEW_SUBFILE_TYPE = 254
_TYPE_BYTES = np.array([0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 0, 0, 8, 8, 8], np.float64)


class _Kind(NamedTuple):
    header: int  # where the offset of the first directory lies
    offset: str  # of a directory
    tags: str  # of the tags in one
    tag: list[tuple[str, str]]


_CLASSIC = _Kind(4, "I", "H", [("code", "u2"), ("type", "u2"), ("count", "u4"), ("value", "u4")])
_BIG = _Kind(8, "Q", "Q", [("code", "u2"), ("type", "u2"), ("count", "u8"), ("value", "u8")])
_SIGNATURES: dict[bytes, tuple[Literal["<", ">"], _Kind]] = {
    b"II*\0": ("<", _CLASSIC),
    b"MM\0*": (">", _CLASSIC),
    b"II+\0": ("<", _BIG),
    b"MM\0+": (">", _BIG),
}


def page_kinds(path: Path) -> list[int]:
    """Return the kind of each page of a TIFF file, as its directory has it.

    Parameters
    ----------
    path
        The file. Only its directories are read.

    Returns
    -------
    list of int
        The NewSubfileType: bit 0 is set where a page is a reduced copy of another.

    Raises
    ------
    OSError
        If it cannot be read.
    InputError
        If it is no TIFF file, or the chain of its directories is cut off, runs in a circle, or
        claims what would fill the memory.
    """
    with path.open("rb") as file:
        signature = file.read(4)
        if signature not in _SIGNATURES:
            raise another_format(path, "TIFF")
        order, kind = _SIGNATURES[signature]
        file.seek(kind.header)
        offset = _number(file, order + kind.offset)
        met: set[int] = set()
        kinds: list[int] = []
        while offset:
            if offset in met:
                raise damaged(path, f" after page {len(kinds)}, which is followed by an earlier one")
            if len(kinds) == MAX_PLANES:
                raise InputError(f"{path} holds more than {MAX_PLANES:,} pages; cut it into smaller files")
            met.add(offset)
            file.seek(offset)
            tags = _tags(file, order, kind)
            offset = None if tags is None else _number(file, order + kind.offset)
            if tags is not None and offset is not None:
                kinds.append(_kind(tags, order))
    if offset is None:
        raise cut_off(path, f"page {len(kinds)}" if kinds else "its header")
    if not kinds:
        raise InputError(f"{path} holds no page; save the image again")
    return kinds


def _tags(file: BinaryIO, order: Literal["<", ">"], kind: _Kind) -> NDArray[Any] | None:
    """Return the tags of the directory that begins here; None where it is not whole."""
    count = _number(file, order + kind.tags)
    layout = np.dtype(kind.tag).newbyteorder(order)
    if count is None or count > 1 << 16:
        return None
    content = file.read(count * layout.itemsize)
    if len(content) < count * layout.itemsize:
        return None
    tags: NDArray[Any] = np.frombuffer(content, layout)
    sizes = _TYPE_BYTES[np.minimum(tags["type"], len(_TYPE_BYTES) - 1)]
    if (tags["count"].astype(np.float64) * sizes > _MAX_TAG_BYTES).any():
        raise damaged(file.name, f": a tag claims more than {_MAX_TAG_BYTES:,} bytes")
    return tags


def _kind(tags: NDArray[Any], order: str) -> int:
    found = tags[tags["code"] == _NEW_SUBFILE_TYPE]["value"]
    if not len(found):
        return 0
    # A value of four bytes comes first, whatever room there is.
    shift = 8 * (found.dtype.itemsize - 4) if order == ">" else 0
    return (int(found[0]) >> shift) & 0xFFFFFFFF


def _number(file: BinaryIO, form: str) -> int | None:
    content = file.read(struct.calcsize(form))
    return struct.unpack(form, content)[0] if len(content) == struct.calcsize(form) else None
