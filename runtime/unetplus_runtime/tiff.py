"""TIFF files: plain ones, and those of ImageJ, OME and tifffile with their axes."""

from __future__ import annotations

import json
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile
from tifffile import COMPRESSION, EXTRASAMPLE, PHOTOMETRIC

from unetplus_edge.errors import InputError
from unetplus_edge.imaging import as_frame
from unetplus_runtime.channels import find_channel, require_choice, take_channel
from unetplus_runtime.ome import ome_planes
from unetplus_runtime.pages import MAX_PLANES, Plane, cut_off, numbered, require_size, unreadable
from unetplus_runtime.pixel_size import pixel_size
from unetplus_runtime.tiff_directories import page_headers
from unetplus_runtime.tiff_pixels import read_pixels

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from unetplus_edge.imaging.frames import Frame
    from unetplus_runtime.pages import FrameView, Pages
    from unetplus_runtime.pixel_size import PixelSize
    from unetplus_runtime.tiff_directories import PageHeader

    Axes = list[tuple[str, int]]


@contextmanager
def open_tiff(path: Path, channel: str | None = None) -> Iterator[Pages]:
    """Open a TIFF file; nothing but its headers is read. See `unetplus_runtime.readers.open_pages`."""
    with ExitStack() as stack:
        try:
            headers = page_headers(path)
            file = stack.enter_context(tifffile.TiffFile(path))
            pages = _Tiff(path, file, headers, channel)
        except InputError:
            raise
        except OSError as error:
            raise unreadable(path, error) from error
        except Exception as error:  # a damaged file raises whatever the part of tifffile that meets it does
            raise _unexpected(str(path), error) from error
        yield pages


class _View:
    """A page that is read where it is sliced."""

    def __init__(self, read: Callable[[tuple[slice, slice]], Frame], shape: tuple[int, int]) -> None:
        self._read, self.shape = read, shape

    def __getitem__(self, region: tuple[slice, slice]) -> Frame:
        return self._read(region)


class _Tiff:
    def __init__(self, path: Path, file: tifffile.TiffFile, headers: Sequence[PageHeader], channel: str | None) -> None:
        self._path, self._file, self._headers, self._channel = path, file, headers, channel
        self._count = len(headers)
        self._sample = channel  # where the channels are no samples of a pixel, there is none left to choose
        self._stacked = False
        self.passed_over: str | None = None
        planes = self._find_planes()
        self.planes: Sequence[Plane] = [replace(plane, shape=self._shape(plane)) for plane in planes]

    def view(self, plane: Plane) -> FrameView:
        return _View(lambda region: self.read(plane, region), self._shape(plane))

    def read(self, plane: Plane, region: tuple[slice, slice] | None = None) -> Frame:
        name = str(self._path) if len(self.planes) == 1 else f"{self._path}, page {plane.page + 1}"
        try:
            if self._stacked:
                whole = self._read_slice(plane, name)
                return whole if region is None else whole[region]
            return self._read_page(plane, name, region)
        except InputError:
            raise
        except OSError as error:
            raise unreadable(self._path, error) from error
        except Exception as error:
            raise _unexpected(name, error) from error

    def _shape(self, plane: Plane) -> tuple[int, int]:
        header = self._headers[0 if self._stacked else plane.page]
        return header.height, header.width

    def _find_planes(self) -> Sequence[Plane]:
        first = self._file.pages[0]
        if self._file.is_ome:
            samples = [header.samples for header in self._headers]
            planes, self.passed_over = ome_planes(self._path, self._file.ome_metadata or "", samples, self._channel)
            return planes
        size = None
        axes: Axes = []
        if self._file.is_imagej:
            metadata = self._file.imagej_metadata or {}
            size = _imagej_pixel_size(first, metadata)
            axes = self._imagej_axes(first, metadata)
        elif (shape := _shaped(first)) is not None:
            axes = shape
        if prod(length for _, length in axes) <= 1:
            return self._plain(size)
        return self._planes_along(axes, size)

    def _plain(self, size: PixelSize | None) -> Sequence[Plane]:
        numbers = [number for number, header in enumerate(self._headers) if not header.kind & 1] or range(self._count)
        if len(numbers) == 1:
            return [Plane("", numbers[0], size)]
        return [Plane(f"page{numbered(number, self._count)}", number, size) for number in numbers]

    def _imagej_axes(self, first: Any, metadata: dict[str, Any]) -> Axes:
        lengths = {"c": metadata.get("channels", 1), "z": metadata.get("slices", 1), "t": metadata.get("frames", 1)}
        if lengths["c"] == first.samplesperpixel:
            lengths["c"] = 1
        order = str(metadata.get("order", "czt")).lower()
        axes = [(axis, lengths[axis]) for axis in reversed(order if sorted(order) == ["c", "t", "z"] else "czt")]
        images = metadata.get("images", 1)
        planes = prod(lengths.values())
        if min(lengths.values()) < 1 or (planes == 1 and self._count > 1 and images <= self._count):
            return []
        if planes == 1 and images > 1:
            axes = [("page", images)]
        return axes

    def _planes_along(self, axes: Axes, size: PixelSize | None) -> Sequence[Plane]:
        """Return the planes of a file whose pages lie along axes."""
        planes = prod(length for _, length in axes)
        if planes > MAX_PLANES:
            raise InputError(f"{self._path} claims {planes:,} pages, more than {MAX_PLANES:,}; save it again")
        if self._count == 1:
            # ImageJ stores a stack of more than 4 GB as one page, which the others follow undescribed.
            self._require_stack(planes)
        elif self._count < planes:
            raise cut_off(self._path, f"page {self._count}")
        elif self._count > planes:
            return self._plain(size)
        channels = dict(axes).get("c", 1)
        index = None
        if channels > 1:
            if self._channel is None:
                raise require_choice((), channels, str(self._path))
            index = find_channel(self._channel, (), channels, str(self._path))
            self._sample = None
        found: list[Plane] = []
        lengths = dict(axes)
        for page, place in enumerate(np.ndindex(*lengths.values())):
            at = dict(zip(lengths, place, strict=True))
            if index is None or at["c"] == index:
                labels = [
                    f"{axis}{numbered(at[axis], lengths[axis])}"
                    for axis in ("page", "t", "z")
                    if lengths.get(axis, 1) > 1
                ]
                found.append(Plane("_".join(labels), page, size))
        return sorted(found, key=lambda plane: plane.label)

    def _require_stack(self, planes: int) -> None:
        first = self._file.pages[0]
        slice_bytes = first.nbytes
        require_size(self._path, first.imagelength, first.imagewidth)
        if first.compression != COMPRESSION.NONE or first.samplesperpixel != 1 or not slice_bytes:
            raise cut_off(self._path, "page 1")
        held = (self._file.filehandle.size - first.dataoffsets[0]) // slice_bytes
        if held < planes:
            raise cut_off(self._path, f"page {held}")
        self._stacked = True

    def _read_slice(self, plane: Plane, name: str) -> Frame:
        first = self._file.pages[0]
        dtype = first.dtype.newbyteorder(self._file.byteorder)
        handle = self._file.filehandle
        handle.seek(first.dataoffsets[0] + plane.page * first.nbytes)
        content = np.frombuffer(handle.read(first.nbytes), dtype)
        return as_frame(content.reshape(first.imagelength, first.imagewidth), name)

    def _read_page(self, plane: Plane, name: str, region: tuple[slice, slice] | None) -> Frame:
        page = self._file.pages[plane.page]
        _require_light(page, name)
        image = read_pixels(page, name, region)
        if page.photometric == PHOTOMETRIC.PALETTE and not self._file.is_imagej:
            image = _coloured(page, image)
        elif page.photometric == PHOTOMETRIC.MINISWHITE and "PhotometricInterpretation" in page.tags:
            image = image if self._file.is_imagej or image.dtype.kind != "u" else ~image
        alpha = image.ndim == 3 and any(
            kind in (EXTRASAMPLE.ASSOCALPHA, EXTRASAMPLE.UNASSALPHA) for kind in page.extrasamples[-1:]
        )
        sample = None if self._file.is_ome and page.samplesperpixel == 1 else self._sample
        return as_frame(take_channel(image, sample, name, alpha=alpha), name)


def _require_light(page: Any, name: str) -> None:
    """Refuse pixels that are no amounts of light: inks, differences of colour, mosaics."""
    light = {PHOTOMETRIC.MINISWHITE, PHOTOMETRIC.MINISBLACK, PHOTOMETRIC.RGB, PHOTOMETRIC.PALETTE}
    if page.compression == COMPRESSION.JPEG:
        light.add(PHOTOMETRIC.YCBCR)
    if page.photometric not in light:
        kind = getattr(page.photometric, "name", page.photometric)
        raise InputError(f"{name} holds {kind} pixels; save it in grey or as RGB")


def _coloured(page: Any, image: NDArray[Any]) -> NDArray[Any]:
    """Return the colours that the numbers of a palette image stand for, shape (height, width, 3)."""
    colours: NDArray[np.uint16] = page.colormap
    return np.moveaxis((colours >> 8).astype(np.uint8)[:, image], 0, 2)


def _imagej_pixel_size(page: Any, metadata: dict[str, Any]) -> PixelSize | None:
    unit = str(metadata.get("unit", ""))
    x, y = (page.tags.valueof(f"{axis}Resolution", (0, 1)) for axis in "XY")
    # Pixels in a unit: numerator and denominator.
    width, height = (per / pixels if pixels else None for pixels, per in (x, y))
    return pixel_size(width, height, unit, str(metadata.get("yunit", unit)), "ImageJ")


def _shaped(page: Any) -> Axes | None:
    """Return the axes that tifffile has written down, where each is a time, a height or a channel."""
    text = next(
        (text for text in (page.description, page.description1) if text.startswith("{") and '"shape":' in text), None
    )
    if text is None:
        return None
    try:
        described = json.loads(text)
        shape, names = [int(length) for length in described["shape"]], str(described.get("axes", ""))
        truncated = bool(described.get("truncated"))
    except (LookupError, TypeError, ValueError, RecursionError):
        return None
    inner = 3 if page.samplesperpixel > 1 else 2
    outer, lengths = names[: len(names) - inner].lower(), shape[: len(shape) - inner]
    if len(names) == len(shape) and set(outer) <= set("tzc") and len(set(outer)) == len(outer) and min(shape) > 0:
        return list(zip(outer, lengths, strict=True))
    return [("page", prod(lengths))] if truncated else None


def _unexpected(name: str, error: Exception) -> InputError:
    reason = " ".join(str(error).split())[:100] or type(error).__name__
    return InputError(f"{name} cannot be decoded ({reason}); copy the image again, or save it without compression")
