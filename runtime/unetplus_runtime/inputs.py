"""Which images are meant by files, folders and patterns, and what their results are called."""

from __future__ import annotations

import glob
import os
import stat
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from unetplus_edge.errors import InputError
from unetplus_runtime.ome_zarr import is_ome_zarr
from unetplus_runtime.pages import unreadable
from unetplus_runtime.readers import KINDS, READERS, open_pages

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from unetplus_runtime.pages import Plane


@dataclass(frozen=True)
class ImageFile:
    """A file to read, or the folder of an OME-Zarr image.

    Attributes
    ----------
    path
        Where it is.
    id
        Name of its results: its path below the folder that was named, without suffix, with `/`
        between folders; unlike that of any other file of the run.
    """

    path: Path
    id: str


@dataclass(frozen=True)
class FrameSource:
    """A frame to segment.

    Attributes
    ----------
    id
        Name of its results: that of its file, with `_page1`, `_page2`, ... or `_t1_z1`, ... where
        that holds several.
    file
        The file.
    plane
        Which frame of it.
    """

    id: str
    file: ImageFile
    plane: Plane


@dataclass(frozen=True)
class Frames:
    """What is to be segmented of a file.

    Attributes
    ----------
    sources
        The frames, in order.
    passed_over
        Series without the channel with the nuclei, in words; None where there are none.
    """

    sources: tuple[FrameSource, ...]
    passed_over: str | None


@dataclass(frozen=True)
class Images:
    """What inputs stand for.

    Attributes
    ----------
    files
        In the order in which they are segmented.
    refused
        One sentence for each folder inside that cannot be listed.
    """

    files: list[ImageFile]
    refused: list[str]


def find_images(inputs: Sequence[Path], excluded: Path | None = None) -> Images:
    """Return the image files that files, folders and patterns stand for.

    A folder stands for all images in it and in its folders, in the order of their names, hidden
    ones left out. A pattern, with `*`, `?`, `[...]` or `**`, stands for the images and folders
    that match, in the order of their paths; the path itself is meant where it exists. A file that
    is met twice is returned once. Where two files would have one id, both get a longer one: with
    the folders that tell them apart, or with the suffix.

    Parameters
    ----------
    inputs
        Files, folders and patterns.
    excluded
        A folder to pass by: that of the results, which may lie among the images.

    Raises
    ------
    InputError
        If an input does not exist, is no image file, or is a folder or a pattern without any.
    """
    short: dict[Path, str] = {}
    met: set[str] = set()
    refused: list[str] = []
    passed_by = None if excluded is None else os.path.realpath(excluded)
    for given in inputs:
        for path, image_id in _images_of(given, passed_by, refused):
            whole = os.path.realpath(path)
            if whole not in met:
                met.add(whole)
                short[path] = image_id
    return Images([ImageFile(path, image_id) for path, image_id in _unlike(short).items()], refused)


def _images_of(given: Path, passed_by: str | None, refused: list[str]) -> list[tuple[Path, str]]:
    try:
        is_folder = stat.S_ISDIR(given.stat().st_mode)
    except FileNotFoundError:
        if glob.has_magic(str(given)):
            return _images_like(given, passed_by, refused)
        reason = "is a link that leads nowhere" if given.is_symlink() else "does not exist"
        raise InputError(f"{given} {reason}; check the path") from None
    except OSError as error:
        raise unreadable(given, error) from error
    if is_folder and is_ome_zarr(given):
        return [(given, given.stem)]
    if is_folder:
        before = len(refused)
        images = _images_below(given, passed_by, refused)
        if not images and len(refused) == before:
            raise InputError(f"{given} holds no image; name a folder with {KINDS} files")
        return images
    if given.suffix.lower() not in READERS:
        raise InputError(f"{given} is no {KINDS} file; convert the image first")
    return [(given, given.stem)]


def _images_like(pattern: Path, passed_by: str | None, refused: list[str]) -> list[tuple[Path, str]]:
    images: list[tuple[Path, str]] = []
    before = len(refused)
    for path in map(Path, sorted(glob.glob(str(pattern), recursive=True))):  # noqa: PTH207
        if passed_by is not None and Path(os.path.realpath(path)).is_relative_to(passed_by):
            continue
        if is_ome_zarr(path):
            images.append((path, path.stem))
        elif path.is_dir():
            images += _images_below(path, passed_by, refused)
        elif path.suffix.lower() in READERS:
            images.append((path, path.stem))
    if not images and len(refused) == before:
        raise InputError(f"{pattern} matches no {KINDS} file; check the pattern")
    return images


def frames_of(file: ImageFile, channel: str | None = None) -> Frames:
    """Return the frames of a file, after a look at its headers.

    Parameters
    ----------
    file
        The file.
    channel
        As for `unetplus_runtime.readers.open_pages`.

    Raises
    ------
    InputError
        If the file cannot be opened; see `unetplus_runtime.readers.open_pages`.
    """
    with open_pages(file.path, channel) as pages:
        sources = (FrameSource("_".join(filter(None, (file.id, plane.label))), file, plane) for plane in pages.planes)
        return Frames(tuple(sources), pages.passed_over)


def _images_below(folder: Path, passed_by: str | None, refused: list[str]) -> list[tuple[Path, str]]:
    def refuse(error: OSError) -> None:
        refused.append(f"{error.filename} cannot be listed ({error.strerror}); check its permissions")

    images: list[tuple[Path, str]] = []
    for parent_name, folders, files in os.walk(folder, onerror=refuse):
        parent = Path(parent_name)
        folders[:] = sorted(
            child for child in folders if not child.startswith(".") and os.path.realpath(parent / child) != passed_by
        )
        whole = [child for child in folders if is_ome_zarr(parent / child)]
        folders[:] = [child for child in folders if child not in whole]
        for name in sorted([*files, *whole]):
            path = parent / name
            if not name.startswith(".") and (name in whole or path.suffix.lower() in READERS):
                images.append((path, path.relative_to(folder).with_suffix("").as_posix()))
    return images


def _unlike(short: dict[Path, str]) -> dict[Path, str]:
    """Return ids of which no two are equal, even where names do not tell upper from lower case."""
    alike: defaultdict[str, list[Path]] = defaultdict(list)
    for path, image_id in short.items():
        alike[image_id.casefold()].append(path)
    ids = dict(short)
    for paths in alike.values():
        if len(paths) > 1:
            ids |= _longer(paths)
    require_unlike(ids.values())
    return ids


def _longer(paths: list[Path]) -> dict[Path, str]:
    """Return ids with as many folders as tell the paths apart; with the suffix if folders do not."""
    whole = [Path(os.path.realpath(path)) for path in paths]
    for names in ([path.with_suffix("").parts for path in whole], [path.parts for path in whole]):
        for count in range(1, max(map(len, names))):
            ids = ["/".join(parts[1:][-count:]) for parts in names]
            if len({image_id.casefold() for image_id in ids}) == len(ids):
                return dict(zip(paths, ids, strict=True))
    return dict(zip(paths, ids, strict=True))


def require_unlike(ids: Iterable[str]) -> None:
    """Refuse ids of which two would write the same files.

    Raises
    ------
    InputError
        If two are equal, or differ by upper and lower case alone.
    """
    counts = Counter(image_id.casefold() for image_id in ids)
    clashes = [(image_id, count) for image_id, count in counts.items() if count > 1]
    if clashes:
        image_id, count = clashes[0]
        raise InputError(f"the results of {count} images would all be called {image_id}; rename one, or run them apart")
