"""What people hand over, and what `unetplus-runtime segment` answers: a table of sound and of broken files."""

from __future__ import annotations

import json
import os
import socket
import struct
import subprocess
import sys
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from unetplus_edge.datasets.specimen import Specimen, simulate

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Make = Callable[[Path], object]

PNG = b"\x89PNG\r\n\x1a\n"
GREY = np.asarray(simulate(Specimen(height=72, width=96, seed=4)).image)
COLOUR = np.stack([GREY, GREY[::-1], GREY[:, ::-1]], axis=2)


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(*more: tuple[bytes, bytes], height: int = 72, width: int = 96, depth: int = 8, pixels: bytes = b"") -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, 0, 0, 0, 0)
    rows = pixels or zlib.compress(b"".join(b"\0" + row.tobytes() for row in GREY))
    chunks = [(b"IHDR", header), *more, (b"IDAT", rows), (b"IEND", b"")]
    return PNG + b"".join(png_chunk(kind, data) for kind, data in chunks)


def put(name: str, content: bytes) -> Make:
    return lambda folder: (folder / name).write_bytes(content)


def tiff(image: NDArray[Any], name: str = "a.tif", **options: Any) -> Make:
    return lambda folder: tifffile.imwrite(folder / name, image, **options)


def pillow(name: str, image: NDArray[Any] | Image.Image, **options: Any) -> Make:
    picture = image if isinstance(image, Image.Image) else Image.fromarray(image)
    return lambda folder: picture.save(folder / name, **options)


def both(*makes: Make) -> Make:
    def make(folder: Path) -> None:
        for one in makes:
            one(folder)

    return make


def cut(make: Make, name: str, part: float) -> Make:
    """The first part of a file; a negative number leaves out so many bytes at its end."""

    def shorten(folder: Path) -> None:
        make(folder)
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: int(part if part < 0 else part * len(content))])

    return shorten


def tag(make: Make, changes: dict[str, int], name: str = "a.tif") -> Make:
    """A TIFF file with lies in its header."""

    def change(folder: Path) -> None:
        make(folder)
        with tifffile.TiffFile(folder / name, mode="r+") as file:
            for code, value in changes.items():
                file.pages[0].tags[code].overwrite(value)

    return change


def at(make: Make, name: str, part: float, content: bytes) -> Make:
    """A file with some bytes written over."""

    def scratch(folder: Path) -> None:
        make(folder)
        with (folder / name).open("rb+") as file:
            file.seek(int(part * (folder / name).stat().st_size))
            file.write(content)

    return scratch


def link(name: str, target: str) -> Make:
    return lambda folder: (folder / name).symlink_to(target)


def listening(folder: Path) -> None:
    with socket.socket(socket.AF_UNIX) as end:
        end.bind(str(folder / "a.png"))


def sparse(folder: Path) -> None:
    (folder / "a.png").write_bytes(png())
    os.truncate(folder / "a.png", 1 << 40)


def inflating(folder: Path) -> None:
    """A strip of a megabyte that inflates to 256 MB."""
    content = zlib.compress(bytes(1 << 28), 1)
    tifffile.imwrite(folder / "a.tif", np.zeros((1000, 600), np.uint8), compression="zlib", metadata=None)
    with tifffile.TiffFile(folder / "a.tif", mode="r+") as file:
        start = (folder / "a.tif").stat().st_size
        file.pages[0].tags["StripOffsets"].overwrite(start)
        file.pages[0].tags["StripByteCounts"].overwrite(len(content))
    with (folder / "a.tif").open("ab") as raw:
        raw.write(content)


def monstrous_jpeg(folder: Path) -> None:
    JPEG(folder)
    small, large = struct.pack(">HH", *GREY.shape), struct.pack(">HH", 60_000, 60_000)
    (folder / "a.jpg").write_bytes((folder / "a.jpg").read_bytes().replace(small, large, 1))


def described(text: str) -> Make:
    return tiff(GREY, description=text, metadata=None)


def in_a_circle(folder: Path) -> None:
    directories = [struct.pack("<HI", 0, 14), struct.pack("<HI", 0, 20), struct.pack("<HI", 0, 14)]
    (folder / "a.tif").write_bytes(b"II*\0" + struct.pack("<I", 8) + b"".join(directories))


def nothing(folder: Path) -> None:
    pass


NOISE = np.random.default_rng(0).integers(0, 255, (72, 96)).astype(np.uint8)
JPEG: Make = pillow("a.jpg", GREY, quality=95)
APPENDED: Make = both(*[tiff(GREY, append=True, metadata=None)] * 5)
STACK: Make = tiff(np.stack([GREY] * 5), photometric="minisblack", compression="zlib")
OME_STACK = np.stack([NOISE, GREY] * 3).reshape(3, 2, *GREY.shape)
OME: Make = tiff(OME_STACK, ome=True, metadata={"axes": "TCYX", "Channel": {"Name": ["GFP", "DAPI"]}})
IMAGEJ: Make = tiff(OME_STACK, imagej=True, metadata={"axes": "ZCYX"})
NAN = np.where(GREY.max() == GREY, np.nan, GREY).astype(np.float32)
PALETTE = Image.fromarray(GREY).convert("P")
ONE_BIT = Image.fromarray(np.median(GREY) < GREY)
CMYK = Image.merge("CMYK", [Image.fromarray(GREY)] * 4)


@dataclass(frozen=True)
class Row:
    """What is in the folder `in`, what is typed, and what happens."""

    name: str
    make: Make
    answer: str
    code: int = 17
    done: int = 0
    typed: tuple[str, ...] = ("in",)


READ = "nuclei in"

SOUND = [
    Row("grey PNG", pillow("a.png", GREY), READ, 0, 1),
    Row("16-bit PNG", pillow("a.png", GREY.astype(np.uint16) * 200), READ, 0, 1),
    Row("PNG with an opaque alpha channel", pillow("a.png", Image.fromarray(GREY).convert("RGBA")), READ, 0, 1),
    Row("PNG with a grey palette", pillow("a.png", PALETTE), READ, 0, 1),
    Row("PNG of 4 bits", put("a.png", png(height=3, width=4, depth=4, pixels=zlib.compress(bytes(9)))), READ, 0, 1),
    Row(
        "PNG with a text that inflates to 256 MB",
        put("a.png", png((b"zTXt", b"a\0\0" + zlib.compress(bytes(1 << 28), 1)))),
        READ,
        0,
        1,
    ),
    Row("PNG with more pixels than its size", put("a.png", png(pixels=zlib.compress(bytes(1 << 24)))), READ, 0, 1),
    Row("JPEG", JPEG, READ, 0, 1),
    Row(
        "progressive JPEG in colour, yet grey", pillow("a.jpeg", COLOUR[:, :, [0, 0, 0]], progressive=True), READ, 0, 1
    ),
    Row("a colour chosen by name", pillow("a.png", COLOUR), READ, 0, 1, ("in", "--channel", "blue")),
    Row("BigTIFF", tiff(GREY, bigtiff=True), READ, 0, 1),
    Row("tiled TIFF", tiff(GREY, tile=(32, 16), compression="zlib", predictor=True), READ, 0, 1),
    Row("big-endian TIFF", tiff(GREY.astype(np.uint16), byteorder=">"), READ, 0, 1),
    Row("TIFF in LZW", pillow("a.tif", GREY, compression="tiff_lzw"), READ, 0, 1),
    Row("TIFF in PackBits", pillow("a.tif", GREY, compression="packbits"), READ, 0, 1),
    Row("TIFF in JPEG", pillow("a.tif", GREY, compression="jpeg"), READ, 0, 1),
    Row("TIFF with white as 0", tiff(255 - GREY, photometric="miniswhite"), READ, 0, 1),
    Row("float16 TIFF", tiff(GREY.astype(np.float16) / 255), READ, 0, 1),
    Row("float64 TIFF below zero", tiff(GREY * 1e9 - 1e12), READ, 0, 1),
    Row("pages of differing kinds", both(tiff(GREY), tiff(GREY[:30].astype(np.float32), append=True)), READ, 0, 2),
    Row("OME-TIFF, a channel by name", OME, READ, 0, 3, ("in", "--channel", "dapi")),
    Row("ImageJ hyperstack, a channel by number", IMAGEJ, READ, 0, 3, ("in", "--channel", "2")),
    Row("constant", tiff(np.full((72, 96), 7, np.uint8)), "0 nuclei in 1 frame", 0, 1),
    Row("1 x 1", tiff(np.ones((1, 1), np.uint8)), READ, 0, 1),
    Row("1 x 3000", tiff(np.arange(3000, dtype=np.uint16)[None]), READ, 0, 1),
    Row("3000 x 1", pillow("a.png", (np.arange(3000) % 251).astype(np.uint8)[:, None]), READ, 0, 1),
    Row("spaces and letters of many scripts", pillow("Zellkerne № 1 細胞核 ядро.PNG", GREY), READ, 0, 1),
    Row("a line break in the name", pillow("a\nb.png", GREY), READ, 0, 1),
    Row("a name that is no Unicode", put(os.fsdecode(b"\xff\xfe.png"), png()), READ, 0, 1),
    Row("a leading dash, after --", pillow("-a.png", GREY), READ, 0, 1, ("--", "in/-a.png")),
    Row("a pattern", both(pillow("a1.png", GREY), pillow("b1.png", GREY)), READ, 0, 1, ("in/a*.png",)),
    Row(
        "a pattern that is a name", both(pillow("a[1].png", GREY), pillow("a1.png", GREY)), READ, 0, 1, ("in/a[1].png",)
    ),
    Row("a folder that links to itself", both(pillow("a.png", GREY), link("b", ".")), READ, 0, 1),
    Row("one image by two ways", both(pillow("a.png", GREY), link("b.png", "a.png")), READ, 0, 1, ("in", "in/a.png")),
]

REFUSED = [
    Row(
        "a broken image between sound ones",
        both(pillow("a.png", GREY), put("b.png", b""), pillow("c.png", GREY)),
        "b.png is no PNG file",
        done=2,
    ),
    Row(
        "a broken page between sound ones",
        at(STACK, "a.tif", 0.5, b"\xff" * 64),
        "a.tif, page 3 cannot be decoded",
        done=4,
    ),
    Row("empty PNG", put("a.png", b""), "a.png is no PNG file"),
    Row("empty JPEG", put("a.jpg", b""), "a.jpg is no JPEG file"),
    Row("empty TIFF", put("a.tif", b""), "a.tif is no TIFF file"),
    Row("text called .png", put("a.png", b"counts: 12, 14, 9\n" * 20), "is no PNG file, whatever its name says"),
    Row("GIF called .png", pillow("a.png", PALETTE, format="GIF"), "is no PNG file, whatever its name says"),
    Row("PNG called .tif", pillow("a.tif", GREY, format="PNG"), "is no TIFF file, whatever its name says"),
    Row("PNG in colour", pillow("a.png", COLOUR), "is in colour; name the channel with the nuclei: --channel red"),
    Row("PNG with transparency", pillow("a.png", np.dstack([COLOUR, GREY])), "has transparent pixels"),
    Row("PNG of 1 bit", pillow("a.png", ONE_BIT), "holds 1-bit pixels; segment the image that it was made of"),
    Row(
        "PNG of 100,000 x 100,000 zeros",
        put("a.png", png(height=100_000, width=100_000, pixels=zlib.compress(bytes(1 << 24)))),
        "has 100000 x 100000 pixels, more than 100,000,000",
    ),
    Row("PNG of a terabyte", sparse, "bytes for 6,912 pixels; save the image again"),
    Row("PNG with a bad checksum", at(put("a.png", png()), "a.png", 0.5, b"\0\0\0\0"), "is damaged at byte"),
    Row("PNG with a stream that is none", put("a.png", png(pixels=b"no zlib stream")), "is damaged"),
    Row("PNG cut in its header", cut(put("a.png", png()), "a.png", 20 / len(png())), "is no PNG file"),
    Row("PNG cut in the middle", cut(put("a.png", png()), "a.png", 0.5), "is cut off after"),
    Row("PNG without its last byte", cut(put("a.png", png()), "a.png", -1), "is cut off after"),
    Row("JPEG cut in its header", cut(JPEG, "a.jpg", 0.02), "is cut off after its headers"),
    Row("JPEG cut in the middle", cut(JPEG, "a.jpg", 0.5), "is cut off after"),
    Row("JPEG without its last byte", cut(JPEG, "a.jpg", -1), "is cut off after"),
    Row("JPEG of inks", pillow("a.jpg", CMYK), "4 inks (CMYK); save it in grey"),
    Row("JPEG of 60,000 x 60,000", monstrous_jpeg, "has 60000 x 60000 pixels"),
    Row(
        "TIFF of 60,000 x 60,000",
        tag(tiff(GREY), {"ImageWidth": 60_000, "ImageLength": 60_000}),
        "in/a.tif is damaged; copy or save the image again",
    ),
    Row("TIFF of a monstrous tile", tag(tiff(GREY, tile=(96, 96)), {"TileWidth": 1 << 30}), "its pixels end too early"),
    Row("TIFF of 65,535 samples", tag(tiff(GREY), {"SamplesPerPixel": 65_535}), "its pixels end too early"),
    Row("TIFF cut in its header", cut(STACK, "a.tif", 0.001), "is cut off after its header"),
    Row("TIFF cut in its first page", cut(tiff(GREY), "a.tif", 0.02), "is cut off after"),
    Row("TIFF cut in its pixels", cut(tiff(GREY), "a.tif", 0.7), "is cut off after"),
    Row("TIFF cut between its pages", cut(APPENDED, "a.tif", 0.803), "is cut off after page 4"),
    Row("TIFF without pages", put("a.tif", b"II*\0\0\0\0\0"), "holds no page"),
    Row("TIFF whose pages go in a circle", in_a_circle, "is damaged after page 3, which is followed by an earlier one"),
    Row(
        "TIFF with a tag of two gigabytes",
        put("a.tif", b"II*\0" + struct.pack("<IHHHIII", 8, 1, 270, 2, 1 << 31, 8, 0)),
        "a tag claims more than",
    ),
    Row(
        "TIFF that claims a billion pages",
        described("ImageJ=1.53t\nimages=1000000000\nframes=1000000000\n"),
        "claims 1,000,000,000 pages",
    ),
    Row("TIFF whose description is damaged", described("<OME><Image></OME>"), "OME-XML description that is damaged"),
    Row(
        "TIFF with damaged LZW",
        at(pillow("a.tif", NOISE, compression="tiff_lzw"), "a.tif", 0.4, b"\xff" * 64),
        "its LZW stream is damaged",
    ),
    Row("TIFF in LZMA", tiff(GREY, compression="lzma"), "is compressed by LZMA, which is not read"),
    Row("TIFF of int32", tiff(GREY.astype(np.int32)), "holds int32 pixels; convert"),
    Row("TIFF of complex numbers", tiff(GREY.astype(np.complex64)), "holds complex64 pixels; convert"),
    Row("TIFF of 1 bit", pillow("a.tif", ONE_BIT), "holds bool pixels; convert"),
    Row("TIFF with NaN", tiff(NAN), "pixels that are NaN or beyond float32"),
    Row("TIFF beyond float32", tiff(GREY * 1e300), "pixels that are NaN or beyond float32"),
    Row(
        "TIFF of a volume",
        tiff(np.zeros((16, 32, 32), np.uint8), volumetric=True, tile=(16, 16, 16), photometric="minisblack"),
        "is a volume of 16 slices",
    ),
    Row(
        "TIFF of five channels",
        tiff(np.dstack([COLOUR, COLOUR[:, :, :2]]), photometric="minisblack", planarconfig="contig"),
        "holds 5 channels; name the one",
    ),
    Row("OME-TIFF, no channel", OME, "holds 2 channels: 1 (GFP), 2 (DAPI); name the one"),
    Row(
        "OME-TIFF, a channel that is not there",
        OME,
        "has no channel Cy5; it has 2 channels",
        typed=("in", "--channel", "Cy5"),
    ),
    Row("a link that leads nowhere", link("a.png", "gone.png"), "cannot be read (No such file or directory)"),
    Row("a link to itself", link("a.png", "a.png"), "cannot be read (Too many levels of symbolic links)"),
    Row("a pipe", lambda f: os.mkfifo(f / "a.png"), "is a pipe or a device"),
    Row("a socket", listening, "is a pipe or a device"),
    Row("an endless device", link("a.png", "/dev/zero"), "is a pipe or a device"),
    Row("a file of the kernel", link("a.tif", "/proc/self/mem"), "cannot be read (Input/output error)"),
    Row(
        "a name too long for its results",
        pillow("x" * 245 + ".png", GREY),
        "has a name that is too long for those of its results",
    ),
]

MISTYPED = [
    Row("no such path", nothing, "in/a.png does not exist", 11, typed=("in/a.png",)),
    Row("a folder without images", put("notes.txt", b"none"), "in holds no image", 11),
    Row("a folder called .png", lambda f: (f / "a.png").mkdir(), "in/a.png holds no image", 11, typed=("in/a.png",)),
    Row(
        "another format",
        put("a.czi", b"ZISRAWFILE"),
        "in/a.czi is no PNG, JPEG, TIFF or OME-Zarr file",
        11,
        typed=("in/a.czi",),
    ),
    Row(
        "a pattern without a match",
        pillow("a.png", GREY),
        "in/*.tif matches no PNG, JPEG, TIFF or OME-Zarr file",
        11,
        typed=("in/*.tif",),
    ),
    Row(
        "a link that leads nowhere, by name",
        link("a.png", "b.png"),
        "in/a.png is a link that leads nowhere",
        11,
        typed=("in/a.png",),
    ),
    Row("a path of 5,000 letters", nothing, "cannot be read (File name too long)", 11, typed=("x" * 5000 + ".png",)),
    Row(
        "a line break in a name that is not there",
        nothing,
        r"error: in/a\nb.png does not exist",
        11,
        typed=("in/a\nb.png",),
    ),
    Row(
        "two frames of one name",
        both(tiff(np.stack([GREY, GREY]), photometric="minisblack"), pillow("a_page1.png", GREY)),
        "2 images would all be called a_page1",
        11,
    ),
    Row("a leading dash", pillow("-a.png", GREY), "No such option", 2, typed=("-a.png",)),
    Row("an empty path", pillow("a.png", GREY), "the path is empty", 2, typed=("",)),
    Row("no number as a pixel size", pillow("a.png", GREY), "nan is no length", 2, typed=("in", "--pixel-size", "nan")),
    Row("no model", pillow("a.png", GREY), "neither a folder nor", 13, typed=("in", "--bundle", "nowhere")),
]


def test_the_table_is_long_enough() -> None:
    rows = [*SOUND, *REFUSED, *MISTYPED]
    assert len({row.name for row in rows}) == len(rows) >= 40


@pytest.mark.parametrize("row", [pytest.param(row, id=row.name) for row in (*SOUND, *REFUSED, *MISTYPED)])
def test_every_input_has_its_answer(
    row: Row, segmenting: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    row.make(Path("in"))
    result = segmenting.segment(*row.typed)
    assert result.exit_code == row.code, result.output
    assert row.answer in result.output
    assert "Traceback" not in result.output
    assert [line.split(":")[0] for line in result.stderr.splitlines()].count("error") == (row.code > 2)
    assert "Traceback" not in capfd.readouterr().err
    assert len(segmenting.complete(Path("out"))) == row.done
    if row.done:
        assert len(segmenting.summary(Path("out"))) == row.done
    else:
        assert not Path("out").exists()


PROBE = """
import json, resource, sys
from pathlib import Path
from tempfile import TemporaryDirectory
import cv2, numpy as np
from unetplus_edge.errors import InputError
from unetplus_runtime.readers import open_pages
cv2.imdecode(np.zeros(1, np.uint8), -1)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (mapped + (400 << 20),) * 2)
answers = {}
for name in sys.argv[1:]:
    try:
        with open_pages(Path(name)) as pages:
            answers[name] = str([pages.read(plane).shape for plane in pages.planes])
    except InputError as error:
        answers[name] = str(error)
grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
print(json.dumps([answers, grown / 1024]))
"""


def test_what_would_fill_the_memory_is_answered_without_it(tmp_path: Path) -> None:
    names = {
        "PNG of 100,000 x 100,000 zeros",
        "PNG with a text that inflates to 256 MB",
        "PNG with more pixels than its size",
        "JPEG of 60,000 x 60,000",
        "TIFF of 60,000 x 60,000",
        "TIFF of a monstrous tile",
        "TIFF with a tag of two gigabytes",
        "TIFF that claims a billion pages",
        "TIFF whose pages go in a circle",
    }
    paths = []
    for row in (*SOUND, *REFUSED, Row("a strip that inflates", inflating, "")):
        if row.name in {*names, "a strip that inflates"}:
            folder = tmp_path / row.name
            folder.mkdir()
            row.make(folder)
            paths += list(folder.iterdir())
    assert len(paths) == len(names) + 1
    done = subprocess.run([sys.executable, "-c", PROBE, *paths], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    answers, megabytes = json.loads(done.stdout)
    assert not any("memory" in answer.lower() or "allocat" in answer for answer in answers.values()), answers
    assert megabytes < 100
