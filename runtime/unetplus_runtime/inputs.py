"""Which images are meant by files and folders, and what their results are called."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from unetplus_edge.errors import InputError
from unetplus_runtime.readers import READERS, open_pages

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


@dataclass(frozen=True)
class ImageFile:
    """A file to read.

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
        Name of its results: that of its file, with `_page1`, `_page2`, ... where that holds several.
    file
        The file.
    page
        Counted from 0.
    """

    id: str
    file: ImageFile
    page: int


def find_images(inputs: Sequence[Path], excluded: Path | None = None) -> list[ImageFile]:
    """Return the image files that files and folders stand for.

    A folder stands for all PNG and TIFF files in it and in its folders, in the order of their
    names, hidden ones left out. A file that is met twice is returned once. Where two files would
    have one id, both get a longer one: with the folders that tell them apart, or with the suffix.

    Parameters
    ----------
    inputs
        Files and folders.
    excluded
        A folder to pass by: that of the results, which may lie among the images.

    Raises
    ------
    InputError
        If an input does not exist, is no PNG or TIFF file, or is a folder without any.
    """
    short: dict[Path, str] = {}
    met: set[Path] = set()
    for given in inputs:
        for path, image_id in _images_of(given, excluded):
            if path.resolve() not in met:
                met.add(path.resolve())
                short[path] = image_id
    return [ImageFile(path, image_id) for path, image_id in _unlike(short).items()]


def _images_of(given: Path, excluded: Path | None) -> list[tuple[Path, str]]:
    if given.is_dir():
        paths = list(_images_below(given, excluded))
        if not paths:
            raise InputError(f"{given} holds no image; name a folder with {_KINDS} files")
        return [(path, path.relative_to(given).with_suffix("").as_posix()) for path in paths]
    if not given.exists():
        raise InputError(f"{given} does not exist; check the path")
    if given.suffix.lower() not in READERS:
        raise InputError(f"{given} is no {_KINDS} file; convert the image first")
    return [(given, given.stem)]


_KINDS = "PNG or TIFF"


def frames_of(file: ImageFile) -> list[FrameSource]:
    """Return the frames of a file, after a look at its headers.

    Raises
    ------
    InputError
        If the file cannot be opened; see `unetplus_runtime.readers.open_pages`.
    """
    with open_pages(file.path) as pages:
        count = len(pages)
    if count == 1:
        return [FrameSource(file.id, file, 0)]
    digits = len(str(count))
    return [FrameSource(f"{file.id}_page{page + 1:0{digits}}", file, page) for page in range(count)]


def _images_below(folder: Path, excluded: Path | None) -> Iterator[Path]:
    passed_by = None if excluded is None else excluded.resolve()
    for name, folders, files in os.walk(folder):
        parent = Path(name)
        folders[:] = sorted(
            child for child in folders if not child.startswith(".") and (parent / child).resolve() != passed_by
        )
        for file in sorted(files):
            if not file.startswith(".") and Path(file).suffix.lower() in READERS:
                yield parent / file


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
    whole = [path.resolve() for path in paths]
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
    image_id, count = counts.most_common(1)[0]
    if count > 1:
        raise InputError(f"the results of {count} images would all be called {image_id}; rename one, or run them apart")
