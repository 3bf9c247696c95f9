"""A camera in one word, as `--camera` has it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from unetplus_runtime.configuration.masking import masked

_MAIN = {"folder": "path", "opencv": "source"}


def camera_from_text(text: str) -> dict[str, Any]:
    """Return the fields that a text stands for.

    Parameters
    ----------
    text
        `simulated`, `folder:PATH` or `opencv:SOURCE`; or the index of a UVC camera, a URL, or a
        folder that exists.

    Raises
    ------
    ValueError
        If it is none of these.

    Examples
    --------
    >>> camera_from_text("folder:/images"), camera_from_text("0")
    ({'camera': 'folder', 'path': '/images'}, {'camera': 'opencv', 'source': '0'})
    """
    kind, colon, rest = text.partition(":")
    if text == "simulated":
        return {"camera": "simulated"}
    if colon and rest and kind in _MAIN:
        return {"camera": kind, _MAIN[kind]: rest}
    if text.isdecimal() or _is_stream(text):
        return {"camera": "opencv", "source": text}
    if text and Path(text).expanduser().is_dir():
        return {"camera": "folder", "path": text}
    raise ValueError(
        f"{masked(text) or 'nothing'} is neither a camera nor a folder that exists; write simulated, folder:PATH, or "
        "opencv:SOURCE with an index, a URL or a video file"
    )


def _is_stream(text: str) -> bool:
    from unetplus_runtime.cameras.opencv_source import source_of

    return source_of(text).kind != "file"
