"""What is wrong with settings, in sentences that name the place."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, NamedTuple

from unetplus_runtime.configuration.fields import CAMERA_MODELS, model_of
from unetplus_runtime.configuration.masking import without_secrets
from unetplus_runtime.configuration.toml_text import toml_value

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

    from unetplus_runtime.configuration.toml_lines import FieldPath

_LONGEST = 60  # letters of a wrong value that are shown


class Place(NamedTuple):
    """Where a field was set.

    Attributes
    ----------
    origin
        In words.
    mark
        As an error begins.
    base
        Folder at which a relative path begins.
    line
        Of the file; 0 where it is from elsewhere.
    """

    origin: str
    mark: str
    base: Path
    line: int = 0


def sentences(
    error: ValidationError, tree: Mapping[str, Any], places: Mapping[FieldPath, Place], end: str
) -> dict[FieldPath, str]:
    """Return a sentence for each field that pydantic finds wrong.

    Parameters
    ----------
    error
        What it says.
    tree
        What it was given.
    places
        Where the fields, and the tables around them, were set.
    end
        The mark of what was set nowhere; may be empty.
    """
    said: dict[FieldPath, str] = {}
    for detail in error.errors(include_url=False, include_context=False):
        path = _path(detail)
        # The first is enough where a field may be one of several things and is none of them.
        said.setdefault(path, at(path, _wrong(detail, path, tree), places, end))
    return said


def at(path: FieldPath, wrong: str, places: Mapping[FieldPath, Place], end: str = "") -> str:
    """Return a sentence about a field that begins with where it was set, or the table that it is missing from."""
    place = place_of(path, places)
    mark = end if place is None else place.mark
    return f"{mark}: {dotted(path)}: {wrong}" if mark else f"{dotted(path)}: {wrong}"


def place_of(path: FieldPath, places: Mapping[FieldPath, Place]) -> Place | None:
    """Return where a field was set, or the table around it, or something in it; None if nothing was."""
    around = (path[:length] for length in range(len(path), 0, -1))
    inside = (known for known in places if known[: len(path)] == path)
    return next((places[known] for known in (*around, *inside) if known in places), None)


def dotted(path: FieldPath) -> str:
    """Return the name of a field.

    >>> dotted(("camera", "faults", 0, "kind"))
    'camera.faults[0].kind'
    """
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")


def shown(value: Any) -> str:
    """Return a value as it may be printed: short, and without the secrets of a URL."""
    text = toml_value(without_secrets(value))
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _path(detail: ErrorDetails) -> FieldPath:
    """Return the field that an error is about: pydantic puts what kind it tried into the path as well."""
    path = detail["loc"]
    if len(path) > 1 and path[0] == "camera" and path[1] in CAMERA_MODELS:
        path = (path[0], *path[2:])
    if detail["type"].startswith("union_tag"):
        path = (*path, "camera")
    in_list = len(path) > 2 and isinstance(path[2], int)
    return path[: 4 if in_list else 2]


def _wrong(detail: ErrorDetails, path: FieldPath, tree: Mapping[str, Any]) -> str:
    kind, given = detail["type"], detail["input"]
    if kind == "extra_forbidden":
        return _no_such_field(path, tree)
    if kind in ("missing", "union_tag_not_found"):
        return f"is missing; it must be one of {_cameras()}" if path == ("camera", "camera") else "is missing"
    if kind == "union_tag_invalid":
        name = given.get("camera") if isinstance(given, dict) else given
        return f"must be one of {_cameras()}, and is {shown(name)}"
    if kind in ("model_type", "model_attributes_type", "dict_type"):
        return f"must be a section with fields of its own, and is {shown(given)}"
    if kind == "bool_parsing":
        return f"must be true or false, and is {shown(given)}"
    said = detail["msg"].removeprefix("Value error, ").replace("Input should be", "must be", 1)
    return f"{said}, and is {shown(given)}"


def _no_such_field(path: FieldPath, tree: Mapping[str, Any]) -> str:
    section, name = (str(path[0]), str(path[1])) if len(path) > 1 else ("", str(path[0]))
    camera = tree["camera"].get("camera") if isinstance(tree.get("camera"), dict) else None
    model = model_of(section, camera)
    if len(path) > 2 or model is None:
        return "there is no such field"
    names = list(model.model_fields)
    of = f" of the camera {camera}" if section == "camera" else f" of {section}" if section else ""
    near = get_close_matches(name, names, n=1)
    there_are = f"the nearest is {near[0]}" if near else f"there are {', '.join(names)}"
    return f"there is no such field{of}; {there_are}"


def _cameras() -> str:
    return ", ".join(map(toml_value, CAMERA_MODELS))
