"""The compressions of TIFF, each bounded by the size of what comes out.

Decoders at hand inflate a small stream to any size, or return what they have of a damaged one.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import numpy as np
from tifffile import COMPRESSION

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

_CLEAR, _END, _FIRST = 256, 257, 258
_LONGEST = 4096 - _FIRST

# The code at an index after a clear code is as wide as the table that it may refer to; a table of
# 511 entries already takes 10 bits (TIFF 6.0, section 13).
_WIDTHS = 9 + np.searchsorted(np.array([511, 1023, 2047]), np.arange(_LONGEST) + _END, side="right")
_OFFSETS = np.concatenate(([0], np.cumsum(_WIDTHS)))


_PIECE, _MOST_FILLING = 1 << 16, 1 << 24
"""Bytes that are inflated at a time, and at most, to reach a checksum."""


def inflate(data: bytes, size: int) -> bytes:
    """Return the first bytes of a zlib stream.

    Parameters
    ----------
    data
        The stream.
    size
        Bytes to return. What follows is decoded for the checksum at its end.

    Raises
    ------
    ValueError
        If the stream is damaged, or ends before.
    """
    stream = zlib.decompressobj()
    try:
        inflated = stream.decompress(data, size) if size else b""  # for zlib, 0 is no limit
        # To the checksum, past the rows that some writers fill a last strip up with.
        rest = stream.unconsumed_tail
        for _ in range(_MOST_FILLING // _PIECE + 1):
            stream.decompress(rest, _PIECE)
            rest = stream.unconsumed_tail
            if stream.eof or not rest:
                break
    except zlib.error as error:
        raise ValueError(f"its zlib stream is damaged: {error}") from None
    if len(inflated) < size:
        raise ValueError("its zlib stream ends too early")
    return inflated


def unpack_bits(data: bytes, size: int) -> bytes:
    """Return the first bytes that a PackBits stream stands for; as `inflate`.

    Examples
    --------
    >>> unpack_bits(bytes([0xFE, 0xAA, 0x02, 0x80, 0x00, 0x2A]), 6).hex()
    'aaaaaa80002a'
    """
    unpacked = bytearray()
    start = 0
    while len(unpacked) < size:
        if start >= len(data):
            raise ValueError("its PackBits stream ends too early")
        header = data[start]
        if header < 128:
            unpacked += data[start + 1 : start + header + 2]
            start += header + 2
        elif header == 128:
            start += 1
        else:
            unpacked += data[start + 1 : start + 2] * (257 - header)
            start += 2
    return bytes(unpacked[:size])


def decode_lzw(data: bytes, size: int) -> bytes:
    """Return the first bytes that an LZW stream stands for; as `inflate`.

    A table is not built: an entry is a piece of what came before, so every byte is looked up at
    its origin, all of them together.

    Examples
    --------
    >>> decode_lzw(bytes([0x80, 0x0B, 0x60, 0x50, 0x22, 0x0C, 0x0C, 0x85, 0x01]), 9)
    b'-----A---'
    """
    padded = np.concatenate((np.frombuffer(data, np.uint8), np.zeros(3, np.uint8))).astype(np.int64)
    pieces: list[NDArray[np.uint8]] = []
    start, missing = 0, size
    while missing > 0:
        codes = _codes(padded, start, 8 * len(data))
        ends = np.flatnonzero((codes == _CLEAR) | (codes == _END))
        count = int(ends[0]) if len(ends) else len(codes)
        if count:
            pieces.append(_strings(codes[:count])[:missing])
            missing -= len(pieces[-1])
        if not len(ends) or codes[count] == _END:
            break
        start += int(_OFFSETS[count + 1])
    if missing > 0:
        raise ValueError("its LZW stream ends too early")
    return b"".join(piece.tobytes() for piece in pieces)


def _codes(padded: NDArray[np.int64], start: int, bits: int) -> NDArray[np.int64]:
    """Return the codes from a position, in bits, as if no other clear code came."""
    count = int(np.searchsorted(_OFFSETS, bits - start, side="right")) - 1
    at = start + _OFFSETS[:count]
    first, width = at >> 3, _WIDTHS[:count]
    window = (padded[first] << 16) | (padded[first + 1] << 8) | padded[first + 2]
    codes: NDArray[np.int64] = (window >> (24 - width - (at & 7))) & ((1 << width) - 1)
    return codes


def _strings(codes: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Return what codes stand for that follow a clear code."""
    index = np.arange(len(codes))
    literal = codes < _CLEAR
    # An entry begins where its code's string began, and ends with the first byte of the next one.
    entry = np.where(literal, index, codes - _FIRST)
    if (entry[~literal] >= index[~literal]).any():
        raise ValueError("its LZW stream is damaged")
    lengths = 1 + _depth(~literal, entry)
    begin = np.concatenate(([0], np.cumsum(lengths)))
    code = np.repeat(index, lengths)
    byte = np.arange(begin[-1])
    origin = np.where(literal[code], byte, begin[entry[code]] + byte - begin[code])
    while True:
        further = origin[origin]
        if np.array_equal(further, origin):
            strings: NDArray[np.uint8] = codes[code[origin]].astype(np.uint8)
            return strings
        origin = further


def _depth(step: NDArray[np.bool_], parent: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return how many steps lead from each node to its root, which is its own parent."""
    depth = step.astype(np.int64)
    while depth[parent].any():
        depth += depth[parent]
        parent = parent[parent]
    return depth


DECODERS: dict[int, Callable[[bytes, int], bytes]] = {
    COMPRESSION.NONE: lambda data, size: data[:size],
    COMPRESSION.LZW: decode_lzw,
    COMPRESSION.ADOBE_DEFLATE: inflate,
    COMPRESSION.DEFLATE: inflate,
    COMPRESSION.PACKBITS: unpack_bits,
}
"""By the number that TIFF has for it; JPEG is decoded elsewhere."""
