"""What was written, made fit to be checked: words for nothing, paths, secrets that were left out."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from unetplus_runtime.configuration.fields import model_of, takes_none, takes_truth
from unetplus_runtime.configuration.masking import is_masked
from unetplus_runtime.configuration.toml_text import NONE, toml_value

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def from_text(text: str) -> Any:
    """Return what an environment variable or an option says: text, or a TOML list or table.

    >>> from_text("10"), from_text('[{kind = "crash"}]')
    ('10', [{'kind': 'crash'}])
    """
    if text.lstrip().startswith(("[", "{")):
        try:
            return tomllib.loads(f"value = {text}")["value"]
        except (tomllib.TOMLDecodeError, RecursionError):
            pass  # a text after all
    return text


def as_given(path: tuple[str, ...], value: Any, base: Path, camera: object) -> Any:
    """Return the value of a field as it is meant.

    Parameters
    ----------
    path
        Names of the section and the field.
    value
        What was written.
    base
        Folder at which a relative path begins.
    camera
        Kind of the camera.

    Raises
    ------
    ValueError
        If it cannot be meant.
    """
    *section, name = path
    model = model_of(section[0] if section else "", camera)
    if isinstance(value, bool) and model is not None and not takes_truth(model, name):
        raise ValueError(f"must be no truth value, and is {toml_value(value)}")
    if not isinstance(value, str):
        return value
    if value == NONE and model is not None and takes_none(model, name):
        return None
    if not value.strip():
        raise ValueError("is empty; leave it out, or write what is meant")
    if "\0" in value or any("\ud800" <= letter <= "\udfff" for letter in value):
        raise ValueError("holds letters that are no text; name it otherwise")
    if is_masked(value):
        raise ValueError("is a URL whose user, password or query was left out; write it in full")
    if path in (("data_dir",), ("camera", "path")):
        return _absolute(value, base)
    if path == ("camera", "source") and camera == "opencv" and "://" not in value and _is_file(value):
        return str(_absolute(value, base))
    if path == ("model", "bundle"):
        return _bundle(value, base)
    return value


def _absolute(value: str, base: Path) -> Path:
    try:
        return base / Path(value).expanduser()
    except RuntimeError as error:
        raise ValueError(f"{value} names a user whose home is not known; write the path in full") from error


def _is_file(source: str) -> bool:
    from unetplus_runtime.cameras.opencv_source import source_of

    return not source.isdecimal() and source_of(source).kind == "file"


def _bundle(value: str, base: Path) -> str:
    from unetplus_edge.zoo import zoo_names

    path = _absolute(value, base)
    return value if value in zoo_names() and not path.is_dir() else str(path)
