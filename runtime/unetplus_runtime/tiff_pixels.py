"""The pixels of a TIFF page, or of a part of it, from its strips or tiles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from tifffile import COMPRESSION, PHOTOMETRIC, PLANARCONFIG, PREDICTOR

from unetplus_edge.errors import InputError
from unetplus_edge.imaging import as_frame
from unetplus_runtime.jpeg import decode_jpeg
from unetplus_runtime.pages import MAX_PIXELS, cut_off, damaged, require_size
from unetplus_runtime.tiff_codecs import DECODERS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

_MAX_BYTES = 16 * MAX_PIXELS
_WHOLE_BYTES = (8, 16, 32, 64)


def read_pixels(page: Any, name: str, region: tuple[slice, slice] | None = None) -> NDArray[Any]:
    """Return the pixels of a page, as they are stored.

    Of a part of it, only the strips and tiles are read that it touches.

    Parameters
    ----------
    page
        A `tifffile.TiffPage` of an open file.
    name
        What to call it in an error.
    region
        Rows and columns to read, with a start and a stop inside the page; None reads the page.

    Returns
    -------
    numpy.ndarray
        uint8, uint16 or floating point in the machine's byte order; shape (height, width), or
        (height, width, samples) where a pixel has several samples.

    Raises
    ------
    InputError
        If its pixels are of another kind, too many, damaged or not all there.
    """
    rows, columns = region or (slice(0, page.imagelength), slice(0, page.imagewidth))
    height, width = rows.stop - rows.start, columns.stop - columns.start
    require_size(name, height, width)
    _require_kind(page, name)
    layout = _Layout(page)
    if height * width * page.samplesperpixel * page.dtype.itemsize > _MAX_BYTES or not page.samplesperpixel:
        raise InputError(f"{name} has {page.samplesperpixel} samples a pixel; cut it into smaller frames")
    if layout.rows < 1 or layout.columns < 1 or min(len(page.dataoffsets), len(page.databytecounts)) < layout.count:
        raise damaged(name)
    image = np.empty((layout.planes, height, width, layout.samples), page.dtype)
    for index in layout.touching(rows, columns):
        plane, top, left = layout.place(index)
        bottom, right = min(top + layout.rows, page.imagelength), left + layout.columns
        inside = (
            slice(max(rows.start, top), min(rows.stop, bottom)),
            slice(max(columns.start, left), min(columns.stop, right)),
        )
        there = tuple(slice(part.start - at, part.stop - at) for part, at in zip(inside, (top, left), strict=True))
        # A tile is whole even where it hangs over the edge; a strip ends with the image.
        shape = (layout.rows if page.tilewidth else bottom - top, layout.columns, layout.samples)
        try:
            part = _read_part(page, index, shape, (there[0], there[1]), name)
        except ValueError as error:
            raise _undecodable(name, error) from error
        image[
            plane,
            inside[0].start - rows.start : inside[0].stop - rows.start,
            inside[1].start - columns.start : inside[1].stop - columns.start,
        ] = part
    pixels = image[0] if layout.planes == 1 else np.moveaxis(image[:, :, :, 0], 0, 2)
    return pixels[:, :, 0] if page.samplesperpixel == 1 else pixels


class _Layout:
    """How a page is cut into segments: strips or tiles of all samples, or of one after the other."""

    def __init__(self, page: Any) -> None:
        separate = page.samplesperpixel > 1 and page.planarconfig == PLANARCONFIG.SEPARATE
        self.planes: int = page.samplesperpixel if separate else 1
        self.samples: int = 1 if separate else page.samplesperpixel
        if page.tilewidth:
            self.rows, self.columns = page.tilelength, page.tilewidth
        else:
            self.rows, self.columns = min(page.rowsperstrip or page.imagelength, page.imagelength), page.imagewidth
        self.down = -(-page.imagelength // max(self.rows, 1))
        self.across = -(-page.imagewidth // max(self.columns, 1))
        self.count = self.planes * self.down * self.across

    def touching(self, rows: slice, columns: slice) -> Iterator[int]:
        """Yield the segments that hold pixels of a part of the page."""
        for plane in range(self.planes):
            for down in range(rows.start // self.rows, -(-rows.stop // self.rows)):
                for across in range(columns.start // self.columns, -(-columns.stop // self.columns)):
                    yield (plane * self.down + down) * self.across + across

    def place(self, index: int) -> tuple[int, int, int]:
        """Return the plane of a segment, and its first row and column."""
        plane, place = divmod(index, self.down * self.across)
        return plane, place // self.across * self.rows, place % self.across * self.columns


def _require_kind(page: Any, name: str) -> None:
    if page.imagedepth != 1:
        raise InputError(f"{name} is a volume of {page.imagedepth} slices; save every slice as a page of its own")
    if page.dtype is None:
        raise InputError(f"{name} holds pixels of an unknown kind; save it with 8 or 16 bits")
    as_frame(np.ones((1, 1), page.dtype), name)
    if page.bitspersample not in _WHOLE_BYTES or page.fillorder != 1:
        raise InputError(f"{name} holds packed {page.bitspersample}-bit pixels; save it with 8 or 16 bits")
    if page.compression != COMPRESSION.JPEG and page.compression not in DECODERS:
        kind = getattr(page.compression, "name", page.compression)
        raise InputError(f"{name} is compressed by {kind}, which is not read; save it without compression, or with LZW")


def _read_part(
    page: Any, index: int, shape: tuple[int, int, int], part: tuple[slice, slice], name: str
) -> NDArray[Any]:
    """Return rows and columns of a segment."""
    start, count = page.dataoffsets[index], page.databytecounts[index]
    size = page.parent.filehandle.size
    if not 0 < start <= start + count <= size:
        raise cut_off(name, f"{size} bytes")
    rows, columns = part
    plain = page.compression == COMPRESSION.NONE and page.predictor == PREDICTOR.NONE
    if plain and columns.stop - columns.start < shape[1]:
        return _read_rows(page, start, shape, part)
    if plain:  # the strips of a file that is not compressed may be of any length
        start += rows.start * shape[1] * shape[2] * page.dtype.itemsize
        segment = _read_segment(page, start, count, (rows.stop - rows.start, *shape[1:]), name)
        return segment[:, columns]
    require_size(f"a tile of {name}", shape[0], shape[1])
    return _read_segment(page, start, count, shape, name)[rows, columns]


def _read_rows(page: Any, start: int, shape: tuple[int, int, int], part: tuple[slice, slice]) -> NDArray[Any]:
    rows, columns = part
    pixel = shape[2] * page.dtype.itemsize
    handle = page.parent.filehandle
    content = bytearray()
    for row in range(rows.start, rows.stop):
        handle.seek(start + (row * shape[1] + columns.start) * pixel)
        content += handle.read((columns.stop - columns.start) * pixel)
    if len(content) < (rows.stop - rows.start) * (columns.stop - columns.start) * pixel:
        raise ValueError("its pixels end too early")
    stored = np.frombuffer(content, page.dtype.newbyteorder(page.parent.byteorder))
    return stored.reshape(rows.stop - rows.start, columns.stop - columns.start, shape[2]).astype(page.dtype)


def _read_segment(page: Any, start: int, count: int, shape: tuple[int, int, int], name: str) -> NDArray[Any]:
    size = int(np.prod(shape)) * page.dtype.itemsize
    if count > 2 * size + 4096 and page.compression != COMPRESSION.NONE:
        raise ValueError("its compressed pixels are longer than pixels can be")
    handle = page.parent.filehandle
    handle.seek(start)
    # Some programs write wrong byte counts where nothing is compressed.
    data = handle.read(size if page.compression == COMPRESSION.NONE else count)
    if page.compression == COMPRESSION.JPEG:
        return _decode_jpeg(page, data, shape, name)
    pixels = DECODERS[page.compression](data, size)
    if len(pixels) < size:
        raise ValueError("its pixels end too early")
    return _unpredicted(page, np.frombuffer(pixels, np.uint8), shape)


def _unpredicted(page: Any, content: NDArray[np.uint8], shape: tuple[int, int, int]) -> NDArray[Any]:
    """Return the pixels of bytes of which each, or each group, is a difference to the one before."""
    rows, columns, samples = shape
    if page.predictor == PREDICTOR.FLOATINGPOINT:
        # Adobe's technical note 3: the first bytes of all numbers of a row, then the second ones, ...
        sums = np.cumsum(content.reshape(rows, -1, samples), axis=1, dtype=np.uint8)
        groups = sums.reshape(rows, page.dtype.itemsize, columns * samples).swapaxes(1, 2)
        big = page.dtype.newbyteorder(">")
        numbers: NDArray[Any] = np.ascontiguousarray(groups).view(big).reshape(shape).astype(page.dtype)
        return numbers
    pixels: NDArray[Any] = (
        content.view(page.dtype.newbyteorder(page.parent.byteorder)).reshape(shape).astype(page.dtype)
    )
    if page.predictor == PREDICTOR.HORIZONTAL:
        differences = pixels.view(f"u{page.dtype.itemsize}")
        pixels = np.cumsum(differences, axis=1, dtype=differences.dtype).view(page.dtype)
        return pixels
    if page.predictor != PREDICTOR.NONE:
        raise ValueError(f"its predictor is {page.predictor}")
    return pixels


def _decode_jpeg(page: Any, data: bytes, shape: tuple[int, int, int], name: str) -> NDArray[Any]:
    # Tables that all segments share lie in a tag; Adobe's marker says whether colours are RGB.
    tables = (page.jpegtables or b"\xff\xd8\xff\xd9")[2:-2]
    colours = bytes([page.photometric == PHOTOMETRIC.YCBCR])
    stream = data[:2] + b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00" + colours + tables + data[2:]
    image = decode_jpeg(stream, name)
    pixels = image.reshape(*image.shape[:2], -1)
    if pixels.shape[0] < shape[0] or pixels.shape[1:] != shape[1:]:
        raise ValueError("its JPEG image is of another size")
    return pixels


def _undecodable(name: str, error: Exception) -> InputError:
    return InputError(f"{name} cannot be decoded: {error}; copy the image again, or save it without compression")
