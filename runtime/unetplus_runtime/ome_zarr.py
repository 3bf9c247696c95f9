"""OME-Zarr images, of NGFF 0.4 (Zarr 2) and 0.5 (Zarr 3)."""

from __future__ import annotations

import os
from contextlib import contextmanager
from importlib.util import find_spec
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from unetplus_edge.errors import InputError
from unetplus_edge.imaging import as_frame
from unetplus_runtime.channels import Channels, choose_channels
from unetplus_runtime.pages import MAX_PLANES, Plane, damaged, numbered, require_size, unreadable
from unetplus_runtime.pixel_size import pixel_size

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from unetplus_edge.imaging.frames import Frame
    from unetplus_runtime.pages import FrameView, Pages
    from unetplus_runtime.pixel_size import PixelSize

SUFFIX = ".zarr"
_AXES = "tczyx"


def is_ome_zarr(path: Path) -> bool:
    """Return whether a path is a folder that is meant as one image.

    That is a folder called `.zarr`, and any that is a Zarr group, such as a field of a plate.
    """
    groups = ("zarr.json", ".zgroup", ".zattrs")
    # A folder that may not be entered is none, and is told of where it is listed; Path.is_file would raise.
    holds_group = any(os.path.isfile(path / name) for name in groups)  # noqa: PTH113
    return path.is_dir() and (path.suffix.lower() == SUFFIX or holds_group)


@contextmanager
def open_ome_zarr(path: Path, channel: str | None = None) -> Iterator[Pages]:
    """Open an OME-Zarr image; nothing but its metadata is read. See `unetplus_runtime.readers.open_pages`."""
    if find_spec("zarr") is None:
        raise InputError(f"{path} cannot be read without zarr: pip install 'unetplus-edge[formats]'")
    try:
        pages = _OmeZarr(path, channel)
    except InputError:
        raise
    except OSError as error:
        raise unreadable(path, error) from error
    except Exception as error:  # damaged metadata raises whatever the part of zarr that meets it does
        raise damaged(path, f" ({_reason(error)})") from error
    yield pages


class _View:
    """A frame of an array that is read where it is sliced."""

    def __init__(self, array: Any, place: tuple[int, ...], name: str) -> None:
        self._array, self._place, self._name = array, place, name
        self.shape: tuple[int, int] = (array.shape[-2], array.shape[-1])

    def __getitem__(self, region: tuple[slice, slice]) -> Frame:
        try:
            pixels = np.asarray(self._array[(*self._place, *region)])
        except OSError as error:
            raise InputError(f"{self._name} cannot be read ({error.strerror or error}); check its files") from error
        except Exception as error:  # a damaged chunk raises whatever its codec does
            raise damaged(self._name, f" ({_reason(error)})") from error
        return as_frame(np.ascontiguousarray(pixels), self._name)


class _Series(NamedTuple):
    multiscale: dict[str, Any]
    array: Any  # of the first level
    outer: dict[str, int]  # lengths of the axes before y and x, by name
    channels: Channels


class _OmeZarr:
    def __init__(self, path: Path, channel: str | None) -> None:
        import zarr

        self._path = path
        self._views: list[_View] = []
        self.planes: Sequence[Plane] = []
        images = _images(path, zarr.open_group(path, mode="r"))
        series = [self._series(image) for image in images]
        channels = {index: each.channels for index, each in enumerate(series)}
        chosen, self.passed_over = choose_channels(channel, channels, str(path))
        for index, place in chosen.items():
            label = f"s{numbered(index, len(images))}" if len(images) > 1 else ""
            self.planes += self._planes(series[index], place, label)

    def read(self, plane: Plane) -> Frame:
        view = self._views[plane.page]
        require_size(self._path, *view.shape)
        return view[:, :]

    def view(self, plane: Plane) -> FrameView:
        return self._views[plane.page]

    def _series(self, image: Any) -> _Series:
        described = _described(image)
        multiscale = described["multiscales"][0]
        if not all(isinstance(axis, dict) for axis in multiscale.get("axes", [None])):
            raise InputError(f"{self._path} is of an NGFF version before 0.4; write it again with a newer program")
        axes = "".join(axis["name"] for axis in multiscale["axes"])
        array = image[multiscale["datasets"][0]["path"]]
        if array.ndim != len(axes) or axes != "".join(axis for axis in _AXES if axis in axes) or axes[-2:] != "yx":
            raise InputError(f"{self._path} has the axes {axes}; an image has t, c, z, y and x, or some of them")
        outer = dict(zip(axes[:-2], array.shape[:-2], strict=True))
        count = outer.get("c", 1)
        channels = described.get("omero", {}).get("channels", [])
        names = [str(channel.get("label", "")) for channel in channels] if len(channels) == count else []
        return _Series(multiscale, array, outer, Channels(names, count))

    def _planes(self, series: _Series, channel: int, label_of_series: str) -> list[Plane]:
        multiscale, array, outer, _ = series
        if min(array.shape) < 1:
            raise damaged(self._path, ": it has no pixels")
        as_frame(np.ones((1, 1), array.dtype), str(self._path))
        if prod(outer.values()) > MAX_PLANES:
            raise InputError(f"{self._path} claims more than {MAX_PLANES:,} frames; save it in parts")
        size = _pixel_size(multiscale)
        planes = []
        for place in np.ndindex(*outer.values()):
            at = dict(zip(outer, place, strict=True))
            if at.get("c", 0) != channel:
                continue
            labels = [f"{axis}{numbered(at[axis], outer[axis])}" for axis in "tz" if outer.get(axis, 1) > 1]
            label = "_".join(filter(None, [label_of_series, *labels]))
            name = f"{self._path}, {label}" if label else str(self._path)
            planes.append(Plane(label, len(self._views), size, (array.shape[-2], array.shape[-1])))
            self._views.append(_View(array, place, name))
        return planes


def _described(group: Any) -> dict[str, Any]:
    attributes = dict(group.attrs)
    found: dict[str, Any] = attributes.get("ome", attributes)  # 0.5 has everything in one attribute
    return found


def _images(path: Path, group: Any) -> list[Any]:
    described = _described(group)
    if "image-label" in described:
        raise InputError(f"{path} is a label image; name the image that it was made of")
    if "multiscales" in described:
        return [group]
    if "plate" in described or "well" in described:
        raise InputError(f"{path} is a plate or a well; name the folders of its fields, such as {path}/A/1/0")
    if "bioformats2raw.layout" in described:
        listed = _described(group["OME"]).get("series") if "OME" in group else None
        names = listed or sorted((name for name in group.group_keys() if name.isdecimal()), key=int)
        return [group[name] for name in names]
    raise InputError(f"{path} is no OME-Zarr image: its metadata has no multiscales; name the folder of the image")


def _pixel_size(multiscale: dict[str, Any]) -> PixelSize | None:
    """Return the pixel size of the first level."""
    sides = [1.0, 1.0]
    steps = (*multiscale["datasets"][0].get("coordinateTransformations", ()),)
    for step in (*steps, *multiscale.get("coordinateTransformations", ())):
        if step.get("type") == "scale":
            sides = [side * float(factor) for side, factor in zip(sides, step["scale"][-2:], strict=True)]
    unit_y, unit_x = (str(axis.get("unit", "")) for axis in multiscale["axes"][-2:])
    return pixel_size(sides[1], sides[0], unit_x, unit_y, "OME-Zarr")


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:100] or type(error).__name__
