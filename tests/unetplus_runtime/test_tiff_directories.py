from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile

from unetplus_edge.errors import InputError
from unetplus_runtime.tiff_directories import page_headers

if TYPE_CHECKING:
    from pathlib import Path


def directory(tags: list[tuple[int, int, int, int]], following: int) -> bytes:
    return (
        struct.pack("<H", len(tags))
        + b"".join(struct.pack("<HHII", *tag) for tag in tags)
        + struct.pack("<I", following)
    )


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("bigtiff", [False, True])
def test_pages_are_counted_with_their_kind_size_and_samples(tmp_path: Path, byteorder: Any, bigtiff: bool) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif", byteorder=byteorder, bigtiff=bigtiff) as file:
        for subfiletype in (0, 1, 2):
            file.write(np.zeros((4 + 70_000 * subfiletype, 5), np.uint8), subfiletype=subfiletype)
        file.write(np.zeros((4, 5, 3), np.uint8), photometric="rgb")
    assert page_headers(tmp_path / "a.tif") == [(0, 4, 5, 1), (1, 70_004, 5, 1), (2, 140_004, 5, 1), (0, 4, 5, 3)]


@pytest.mark.parametrize("lead_in", [0, 150])
def test_a_circle_is_refused(tmp_path: Path, lead_in: int) -> None:
    size = len(directory([], 0))
    offsets = [8 + size * number for number in range(lead_in + 4)]
    following = [*offsets[1:], offsets[lead_in]]
    content = b"II*\0" + struct.pack("<I", 8) + b"".join(directory([], offset) for offset in following)
    (tmp_path / "a.tif").write_bytes(content)
    with pytest.raises(InputError, match=f"is damaged after page {lead_in + 4}, which is followed by an earlier one"):
        page_headers(tmp_path / "a.tif")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is no TIFF file"),
        (b"II*\0", "is cut off after its header"),
        (b"II*\0\0\0\0\0", "holds no page"),
        (b"II*\0" + struct.pack("<I", 4000), "is cut off after its header"),
        (b"II*\0" + struct.pack("<I", 8) + b"\x02\0" + bytes(12), "is cut off after its header"),
        (b"II*\0" + struct.pack("<I", 8) + directory([], 4000), "is cut off after page 1"),
        (b"II*\0" + struct.pack("<I", 8) + directory([(270, 2, 2**31, 8)], 0), "a tag claims more than"),
        (b"II+\0\x08\0\0\0" + struct.pack("<QQ", 16, 2**62), "is cut off after its header"),
    ],
)
def test_a_chain_that_does_not_hold_is_refused(tmp_path: Path, content: bytes, sentence: str) -> None:
    (tmp_path / "a.tif").write_bytes(content)
    with pytest.raises(InputError, match=sentence):
        page_headers(tmp_path / "a.tif")
