"""OME-XML: which page of a TIFF file is which plane, what the channels are called, how large a pixel is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import numpy as np

from unetplus_edge.errors import InputError
from unetplus_runtime.channels import COLOURS, Channels, choose_channels
from unetplus_runtime.pages import Plane, cut_off, numbered
from unetplus_runtime.pixel_size import PixelSize, pixel_size

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path
    from xml.etree.ElementTree import Element


@dataclass(frozen=True)
class _Image:
    """One `Image` element: a position, a well, a field."""

    order: str  # of Z, C and T, the fastest first
    sizes: dict[str, int]
    names: tuple[str, ...]
    pixel_size: PixelSize | None
    pages: tuple[_Pages, ...]


@dataclass(frozen=True)
class _Pages:
    """One `TiffData` element: pages of a file that are planes in order, from a first one."""

    file: str | None
    uuid: str | None
    first: dict[str, int]
    page: int
    count: int | None


@dataclass(frozen=True)
class _Series:
    """An image of which planes lie in this file."""

    image: _Image
    found: dict[tuple[int, int, int], int]  # by time, height and channel: the page
    samples: int


def ome_planes(path: Path, text: str, samples: Sequence[int], channel: str | None) -> tuple[list[Plane], str | None]:
    """Return the frames of an OME-TIFF file: every time and height of every image, in one channel.

    A set of several files describes all its planes in each; those that lie in another file are
    frames of that file. Modulo annotations are passed over.

    Parameters
    ----------
    path
        The file, for its name.
    text
        Its OME-XML.
    samples
        Of a pixel, in each of its pages. Where a plane is in colour, OME counts each as a channel.
    channel
        As for `unetplus_runtime.readers.open_pages`.

    Returns
    -------
    planes : list of Plane
        The frames.
    passed_over : str or None
        Images without the channel, in words.

    Raises
    ------
    InputError
        If the description is damaged or does not fit the file, or there is no such channel.
    """
    root = _parse(path, text)
    try:
        images = [_image(element) for element in _children(root, "Image")]
    except (ArithmeticError, LookupError, TypeError, ValueError):
        raise _unfit(path) from None
    if not images:
        companion = next((element.get("MetadataFile") for element in _children(root, "BinaryOnly")), None)
        if companion is not None:
            raise InputError(f"{path} is described in {companion} alone; save it as an OME-TIFF file of its own")
        raise _unfit(path)
    here = _names_of(path, root, images)
    series: dict[int, _Series] = {}
    for index, image in enumerate(images):
        of_pixel = _samples(image, here, samples)
        found = dict(_pages_by_place(path, image, here, len(samples), of_pixel))
        if found:
            series[index] = _Series(image, found, of_pixel)
    chosen, passed_over = choose_channels(channel, _channels_of(path, series, channel), str(path))
    planes: list[Plane] = []
    for index, place in chosen.items():
        label = f"s{numbered(index, len(images))}" if len(images) > 1 else ""
        planes += _planes(series[index], place, label)
    if not planes:
        raise _unfit(path)
    return planes, passed_over


def _parse(path: Path, text: str) -> Element:
    # OME-XML has no document type; one could only hold entities that inflate.
    if "<!DOCTYPE" in text:
        raise _unfit(path)
    try:
        return ElementTree.fromstring(text)  # noqa: S314
    except (ElementTree.ParseError, ValueError):
        raise _unfit(path) from None


def _children(element: Element, name: str) -> Iterator[Element]:
    return (child for child in element if child.tag.rpartition("}")[2] == name)


def _image(element: Element) -> _Image:
    (pixels,) = _children(element, "Pixels")
    sizes = {axis: int(pixels.attrib[f"Size{axis}"]) for axis in "ZCT"}
    if min(sizes.values()) < 1:
        raise ValueError("an axis without planes")
    order = "".join(axis for axis in pixels.attrib["DimensionOrder"] if axis in sizes)
    if sorted(order) != sorted(sizes):
        raise ValueError("an order without every axis")
    x, y = (pixels.get(f"PhysicalSize{axis}") for axis in "XY")
    return _Image(
        order,
        sizes,
        tuple(channel.get("Name", "") for channel in _children(pixels, "Channel")),
        pixel_size(
            None if x is None else float(x),
            None if y is None else float(y),
            pixels.get("PhysicalSizeXUnit", "um"),
            pixels.get("PhysicalSizeYUnit", "um"),
            "OME-XML",
        ),
        tuple(_tiff_data(data) for data in _children(pixels, "TiffData")) or (_Pages(None, None, {}, 0, None),),
    )


def _tiff_data(element: Element) -> _Pages:
    uuid = next(_children(element, "UUID"), None)
    count = element.get("PlaneCount", element.get("NumPlanes", "1" if "IFD" in element.attrib else None))
    return _Pages(
        file=None if uuid is None else uuid.get("FileName"),
        uuid=None if uuid is None else (uuid.text or "").strip(),
        first={axis: int(element.get(f"First{axis}", 0)) for axis in "ZCT"},
        page=int(element.get("IFD", 0)),
        count=None if count is None else int(count),
    )


def _names_of(path: Path, root: Element, images: Sequence[_Image]) -> set[tuple[str | None, str | None]]:
    """Return the pairs of file name and UUID by which the description means this file."""
    named = {(data.file, data.uuid) for image in images for data in image.pages}
    mine = {
        (file, uuid)
        for file, uuid in named
        if (file is None and uuid is None)
        or (uuid and uuid == root.get("UUID"))
        or (file is not None and path.name in (PurePosixPath(file).name, PureWindowsPath(file).name))
    }
    # A file that describes one file alone describes itself, even where it has been renamed.
    return mine or (named if len({file for file, _ in named}) == 1 else set())


def _samples(image: _Image, here: set[tuple[str | None, str | None]], samples: Sequence[int]) -> int:
    """Return the samples of a pixel in the first page of an image in this file; 1 where there is no such page."""
    pages = (data.page for data in image.pages if (data.file, data.uuid) in here)
    return next((samples[page] for page in pages if 0 <= page < len(samples)), 1)


def _pages_by_place(
    path: Path, image: _Image, here: set[tuple[str | None, str | None]], pages: int, samples: int
) -> Iterator[tuple[tuple[int, int, int], int]]:
    """Yield the page of each plane (time, height, channel) that lies in this file."""
    sizes = image.sizes | {"C": _channels(image, samples)}
    shape = tuple(sizes[axis] for axis in image.order)
    total = sizes["Z"] * sizes["C"] * sizes["T"]
    for data in image.pages:
        if (data.file, data.uuid) not in here:
            continue
        first = 0
        for axis in reversed(image.order):
            start = data.first.get(axis, 0)
            if not 0 <= start < sizes[axis]:
                raise _unfit(path)
            first = first * sizes[axis] + start
        count = min(pages - data.page, total - first) if data.count is None else data.count
        if data.page < 0 or count < 0 or first + count > total:
            raise _unfit(path)
        if data.page + count > pages:
            raise cut_off(path, f"page {pages}")
        for offset in range(count):
            place = dict(zip(image.order, np.unravel_index(first + offset, shape, order="F"), strict=True))
            yield (int(place["T"]), int(place["Z"]), int(place["C"])), data.page + offset


def _channels(image: _Image, samples: int) -> int:
    return max(image.sizes["C"] // samples, 1)


def _channels_of(path: Path, series: Mapping[int, _Series], channel: str | None) -> dict[int, Channels]:
    """Return the channels of each image: its planes, or the samples of those that are in colour."""
    coloured = [each.samples > 1 for each in series.values()]
    found: dict[int, Channels] = {}
    for index, each in series.items():
        count = _channels(each.image, each.samples)
        if count > 1 and each.samples > 1:
            raise InputError(f"{path} holds {count} channels that are in colour themselves; save each in grey")
        if each.samples == 1:
            found[index] = Channels(each.image.names, count)
        elif channel is None and all(coloured):  # colours that are all equal are grey: reading will tell
            found[index] = Channels((), 1)
        else:
            names = (*COLOURS, "")[: each.samples] if each.samples in (3, 4) else ()
            found[index] = Channels(names, each.samples)
    return found


def _planes(series: _Series, channel: int, label: str) -> list[Plane]:
    planes = []
    for (time, height, plane_channel), page in sorted(series.found.items()):
        if plane_channel == (0 if series.samples > 1 else channel):
            axes = (("t", time, series.image.sizes["T"]), ("z", height, series.image.sizes["Z"]))
            labels = [f"{axis}{numbered(at, size)}" for axis, at, size in axes if size > 1]
            planes.append(Plane("_".join(filter(None, [label, *labels])), page, series.image.pixel_size))
    return planes


def _unfit(path: PurePath) -> InputError:
    return InputError(f"{path} has an OME-XML description that is damaged or does not fit its pages; save it again")
