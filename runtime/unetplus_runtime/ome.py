"""OME-XML: which page of a TIFF file is which plane, what the channels are called, how large a pixel is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import numpy as np

from unetplus_edge.errors import InputError
from unetplus_runtime.channels import find_channel, require_choice
from unetplus_runtime.pages import Plane, cut_off, numbered
from unetplus_runtime.pixel_size import PixelSize, pixel_size

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
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


def ome_planes(path: Path, text: str, pages: int, samples: int, channel: str | None) -> list[Plane]:
    """Return the frames of an OME-TIFF file: every time and height of every image, in one channel.

    A set of several files describes all its planes in each; those that lie in another file are
    frames of that file. Modulo annotations are passed over.

    Parameters
    ----------
    path
        The file, for its name.
    text
        Its OME-XML.
    pages
        How many it has.
    samples
        Of a pixel in its first page. Where a plane is in colour, OME counts each as a channel.
    channel
        As for `unetplus_runtime.readers.open_pages`.

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
    planes: list[Plane] = []
    for index, image in enumerate(images):
        series = f"s{numbered(index, len(images))}" if len(images) > 1 else ""
        found = dict(_pages_by_place(path, image, here, pages, samples))
        planes += _chosen(path, image, found, samples, channel, series)
    if not planes:
        raise _unfit(path)
    return planes


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


def _chosen(
    path: Path,
    image: _Image,
    found: dict[tuple[int, int, int], int],
    samples: int,
    channel: str | None,
    series: str,
) -> list[Plane]:
    count = _channels(image, samples)
    index = 0
    if count > 1 and samples > 1:
        raise InputError(f"{path} holds {count} channels that are in colour themselves; save each in grey")
    if found and count > 1 and channel is None:
        raise require_choice(image.names, count, str(path))
    if found and samples == 1 and channel is not None:
        index = find_channel(channel, image.names, count, str(path))
    planes = []
    for (time, height, plane_channel), page in sorted(found.items()):
        if plane_channel == index:
            axes = (("t", time, image.sizes["T"]), ("z", height, image.sizes["Z"]))
            labels = [f"{axis}{numbered(at, size)}" for axis, at, size in axes if size > 1]
            planes.append(Plane("_".join(filter(None, [series, *labels])), page, image.pixel_size))
    return planes


def _unfit(path: PurePath) -> InputError:
    return InputError(f"{path} has an OME-XML description that is damaged or does not fit its pages; save it again")
