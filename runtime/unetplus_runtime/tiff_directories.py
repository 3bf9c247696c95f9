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
_NEW_SUBFILE_TYPE, _WIDTH, _HEIGHT, _SAMPLES = 254, 256, 257, 277
_TYPE_BYTES = np.array([0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 0, 0, 8, 8, 8], np.float64)


class PageHeader(NamedTuple):
    """What the directory of a page says.

    Attributes
    ----------
    kind
        The NewSubfileType: bit 0 is set where the page is a reduced copy of another.
    height, width
        Pixels; 0 where they are missing.
    samples
        Numbers of a pixel: 1 in grey, 3 in colour.
    """

    kind: int
    height: int
    width: int
    samples: int


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


def page_headers(path: Path) -> list[PageHeader]:
    """Return the kind, the size and the samples of each page of a TIFF file, as its directory has them.

    Parameters
    ----------
    path
        The file. Only its directories are read.

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
        headers: list[PageHeader] = []
        while offset:
            if offset in met:
                raise damaged(path, f" after page {len(headers)}, which is followed by an earlier one")
            if len(headers) == MAX_PLANES:
                raise InputError(f"{path} holds more than {MAX_PLANES:,} pages; cut it into smaller files")
            met.add(offset)
            file.seek(offset)
            tags = _tags(file, order, kind)
            offset = None if tags is None else _number(file, order + kind.offset)
            if tags is not None and offset is not None:
                kind_of, height, width, samples = (
                    _value(tags, code, order) for code in (_NEW_SUBFILE_TYPE, _HEIGHT, _WIDTH, _SAMPLES)
                )
                headers.append(PageHeader(kind_of, height, width, max(samples, 1)))
    if offset is None:
        raise cut_off(path, f"page {len(headers)}" if headers else "its header")
    if not headers:
        raise InputError(f"{path} holds no page; save the image again")
    return headers


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


def _value(tags: NDArray[Any], code: int, order: str) -> int:
    """Return the value of a tag that holds one whole number; 0 where it is missing."""
    found = tags[tags["code"] == code][:1]
    if not len(found):
        return 0
    size = int(_TYPE_BYTES[min(int(found["type"][0]), len(_TYPE_BYTES) - 1)])
    room = found["value"].dtype.itemsize
    # A value that is shorter than its room comes first in it.
    shift = 8 * max(room - size, 0) if order == ">" else 0
    return (int(found["value"][0]) >> shift) & ((1 << 8 * size) - 1)


def _number(file: BinaryIO, form: str) -> int | None:
    content = file.read(struct.calcsize(form))
    return struct.unpack(form, content)[0] if len(content) == struct.calcsize(form) else None
