"""Files and folders that appear whole or not at all."""

from __future__ import annotations

import hashlib
import os
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a path to write to, which becomes `path` when the block ends without an error.

    The content is on the disk before the name is: after a kill or a power cut there is the old
    file, or the new one, or none, but never a part. What an error leaves behind is removed.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     with whole_file(Path(folder) / "count.txt") as unfinished:
    ...         _ = unfinished.write_text("7")
    ...     (Path(folder) / "count.txt").read_text()
    '7'
    """
    unfinished = path.with_name(f".unfinished-{path.name}")
    try:
        yield unfinished
        with unfinished.open("rb+") as file:
            os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Give a new folder to write to, which becomes `path` when the block ends without an error.

    As `whole_file`; where `path` is there already, it is gone for the moment between the old one
    and the new one. What an earlier process left unfinished under this name is removed.
    """
    unfinished = path.with_name(f".unfinished-{path.name}")
    _remove(unfinished)
    try:
        unfinished.mkdir()
        yield unfinished
        finish_folder(unfinished, path)
    finally:
        _remove(unfinished)


def finish_folder(unfinished: Path, path: Path) -> None:
    """Give a folder that is written completely its name, in place of what has that name."""
    for folder, _, names in os.walk(unfinished):
        for name in names:
            with open(os.path.join(folder, name), "rb") as file:  # noqa: PTH118, PTH123
                os.fsync(file.fileno())
    replaced = path.with_name(f".replaced-{path.name}")
    _remove(replaced)
    if path.exists():
        path.replace(replaced)
    unfinished.replace(path)
    _remove(replaced)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's content, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()
