"""Putting files aside that cannot be read, with the reason beside them."""

from __future__ import annotations

import shutil
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def put_aside(path: Path, folder: Path, name: Path, reason: str) -> Path:
    r"""Move a file, and write why to NAME.reason.txt beside it.

    Nothing is replaced: where the name is taken, a number is put behind it.

    Parameters
    ----------
    path
        The file.
    folder
        Where it goes; made if it is not there.
    name
        What it is called there: a relative path.
    reason
        One sentence.

    Returns
    -------
    pathlib.Path
        Where it is now.

    Raises
    ------
    OSError
        If it cannot be moved; it is where it was then.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as name:
    ...     broken = Path(name) / "a.png"
    ...     broken.touch()
    ...     aside = put_aside(broken, Path(name) / "aside", Path("a.png"), "a.png is empty")
    ...     (aside.parent / "a.png.reason.txt").read_text(), broken.exists()
    ('a.png is empty\n', False)
    """
    target = folder / name
    target.parent.mkdir(parents=True, exist_ok=True)
    for number in count(2):
        if not target.exists() and not _note(target).exists():
            break
        target = (folder / name).with_name(f"{name.stem}-{number}{name.suffix}")
    shutil.move(path, target)
    _note(target).write_text(f"{reason}\n", encoding="utf-8", errors="backslashreplace")
    return target


def _note(path: Path) -> Path:
    return path.with_name(f"{path.name}.reason.txt")
