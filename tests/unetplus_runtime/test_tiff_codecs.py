from __future__ import annotations

import io
import zlib
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from unetplus_runtime.tiff_codecs import decode_lzw, inflate, unpack_bits

if TYPE_CHECKING:
    from collections.abc import Callable


def encode_lzw(data: bytes) -> bytes:
    """The encoder of TIFF 6.0, section 13, word for word."""
    table = {bytes([value]): value for value in range(256)}
    bits = f"{256:09b}"
    size, width, string = 258, 9, b""
    for value in data:
        longer = string + bytes([value])
        if longer in table:
            string = longer
            continue
        bits += f"{table[string]:0{width}b}"
        table[longer] = size
        size += 1
        width = 9 if size < 512 else 10 if size < 1024 else 11 if size < 2048 else 12
        string = bytes([value])
        if size == 4095:
            bits += f"{256:0{width}b}"
            table = {bytes([value]): value for value in range(256)}
            size, width = 258, 9
    if string:
        bits += f"{table[string]:0{width}b}"
        size += 1
        width = 9 if size < 512 else 10 if size < 1024 else 11 if size < 2048 else 12
    bits += f"{257:0{width}b}"
    return int(bits.ljust(-(-len(bits) // 8) * 8, "0"), 2).to_bytes(-(-len(bits) // 8), "big")


def encode_packbits(data: bytes) -> bytes:
    return b"".join(bytes([len(part) - 1]) + part for part in (data[at : at + 128] for at in range(0, len(data), 128)))


CODECS = pytest.mark.parametrize(
    ("encode", "decode"),
    [(zlib.compress, inflate), (encode_lzw, decode_lzw), (encode_packbits, unpack_bits)],
    ids=["zlib", "LZW", "PackBits"],
)


@CODECS
@given(data=st.one_of(st.binary(max_size=600), st.lists(st.sampled_from([0, 1]), max_size=600).map(bytes)))
def test_decoding_undoes_encoding(
    encode: Callable[[bytes], bytes], decode: Callable[[bytes, int], bytes], data: bytes
) -> None:
    assert decode(encode(data), len(data)) == data
    assert decode(encode(data), len(data) // 2) == data[: len(data) // 2]


@CODECS
def test_a_stream_that_ends_too_early_is_an_error(
    encode: Callable[[bytes], bytes], decode: Callable[[bytes, int], bytes]
) -> None:
    data = np.random.default_rng(0).integers(0, 16, 3000).astype(np.uint8).tobytes()
    encoded = encode(data)
    for length in range(0, len(encoded) - 8, 101):
        with pytest.raises(ValueError, match="ends too early"):
            decode(encoded[:length], len(data))


@CODECS
@pytest.mark.parametrize("spread", [1, 16, 256])
def test_long_streams_are_decoded(
    encode: Callable[[bytes], bytes], decode: Callable[[bytes, int], bytes], spread: int
) -> None:
    data = np.random.default_rng(0).integers(0, spread, 20_000).astype(np.uint8).tobytes()
    assert decode(encode(data), len(data)) == data


@pytest.mark.parametrize("spread", [1, 20, 60_000])
def test_long_lzw_streams_of_libtiff_are_decoded(spread: int) -> None:
    image = np.random.default_rng(2).integers(0, spread, (300, 400)).astype(np.uint16)
    content = io.BytesIO()
    Image.fromarray(image).save(content, "TIFF", compression="tiff_lzw", strip_size=1 << 30)
    with tifffile.TiffFile(io.BytesIO(content.getvalue())) as file:
        (start,), (count,) = file.pages[0].dataoffsets, file.pages[0].databytecounts
    assert decode_lzw(content.getvalue()[start : start + count], image.nbytes) == image.tobytes()


def test_damage_of_an_lzw_stream_is_an_error() -> None:
    encoded = bytearray(encode_lzw(bytes(range(200)) * 3))
    encoded[40:60] = b"\xff" * 20
    with pytest.raises(ValueError, match="LZW stream is damaged"):
        decode_lzw(bytes(encoded), 600)


def test_damage_of_a_zlib_stream_is_an_error() -> None:
    encoded = bytearray(zlib.compress(bytes(1000)))
    encoded[-1] ^= 1
    with pytest.raises(ValueError, match="zlib stream is damaged"):
        inflate(bytes(encoded), 1000)


def test_no_more_is_inflated_than_asked_for() -> None:
    assert inflate(zlib.compress(bytes(50_000_000)), 10) == bytes(10)


def test_a_packbits_stream_may_hold_nothing_in_between() -> None:
    assert unpack_bits(bytes([128, 0, 7, 128, 255, 9]), 3) == bytes([7, 9, 9])
