"""Every field of the settings: what it takes, what it is without being set, and what it means."""

from __future__ import annotations

import inspect
import itertools
from typing import TYPE_CHECKING, Any, NamedTuple, get_args

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from unetplus_runtime.cameras.settings import CameraName, FolderSettings, OpenCVSettings, SimulatedSettings
from unetplus_runtime.configuration.settings import ServeSettings
from unetplus_runtime.configuration.toml_text import NONE, toml_value

if TYPE_CHECKING:
    from collections.abc import Mapping

CAMERA_MODELS: dict[CameraName, type[BaseModel]] = {
    "simulated": SimulatedSettings,
    "folder": FolderSettings,
    "opencv": OpenCVSettings,
}
"""What each camera can be asked."""

_DEFAULT_DATA_DIR = "~/.local/state/unetplus-edge"  # the same on every machine, for a page of documentation
_BOUNDS = (
    ("exclusiveMinimum", "above"),
    ("minimum", "at least"),
    ("exclusiveMaximum", "below"),
    ("maximum", "at most"),
)


class Described(NamedTuple):
    """A field.

    Attributes
    ----------
    name
        Within its section.
    kind
        What it takes, in words.
    default
        As TOML; empty where it has to be given.
    meaning
        From the docstring of its section, where None is written "none".
    """

    name: str
    kind: str
    default: str
    meaning: str


def sections() -> dict[str, type[BaseModel]]:
    """Return the model of every section but `camera`, of which there is one a camera."""
    return {
        name: field.annotation
        for name, field in ServeSettings.model_fields.items()
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
    }


def model_of(section: str, camera: object) -> type[BaseModel] | None:
    """Return the model of a section, or of the whole by an empty name; None if there is none."""
    if section == "camera":
        return next((model for name, model in CAMERA_MODELS.items() if name == camera), None)
    return sections().get(section) if section else ServeSettings


def takes_none(model: type[BaseModel], name: str) -> bool:
    """Return whether a field may have no value."""
    field = model.model_fields.get(name)
    return field is not None and type(None) in get_args(field.annotation)


def takes_truth(model: type[BaseModel], name: str) -> bool:
    """Return whether a field may be true or false, as far as it is known and no section."""
    field = model.model_fields.get(name)
    is_section = model is ServeSettings and name in ("camera", *sections())
    return field is None or is_section or field.annotation is bool


def describe(model: type[BaseModel]) -> list[Described]:
    """Return the fields of a section, in order; of the whole, those that are in no section."""
    schema = model.model_json_schema()
    said = meanings(model)
    described = []
    for name, field in model.model_fields.items():
        if model is ServeSettings and (name == "camera" or name in sections()):
            continue
        if name == "camera":
            described.append(Described(name, " or ".join(map(toml_value, CAMERA_MODELS)), "", "Which camera."))
            continue
        default = field.get_default()
        if field.default_factory is not None:
            shown = toml_value(_DEFAULT_DATA_DIR)
        else:
            shown = "" if default is PydanticUndefined else toml_value(default)
        kind = _words(schema["properties"][name], schema.get("$defs", {}))
        described.append(Described(name, kind, shown, said[name].replace("None", f'"{NONE}"')))
    return described


def meanings(model: type[BaseModel]) -> dict[str, str]:
    """Return what the section "Attributes" of a numpy docstring says of each field."""
    lines = inspect.getdoc(model).splitlines()  # type: ignore[union-attr]
    begin = lines.index("Attributes") + 2
    said: dict[str, list[str]] = {}
    names: list[str] = []
    body = itertools.takewhile(
        lambda pair: not pair[1].startswith("---"), zip(lines[begin:], [*lines[begin + 1 :], ""], strict=True)
    )
    for line, _ in body:
        if line and not line.startswith(" "):
            names = [name.strip() for name in line.split(",")]
        elif line:
            for name in names:
                said.setdefault(name, []).append(line.strip())
    return {name: " ".join(words) for name, words in said.items()}


def _words(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    """Return what a JSON schema allows."""
    if "$ref" in schema:
        inside = definitions[schema["$ref"].rpartition("/")[2]]
        return f"tables of {', '.join(inside['properties'])}"
    if "const" in schema:
        return toml_value(schema["const"])
    if "enum" in schema:
        return " or ".join(map(toml_value, schema["enum"]))
    if "anyOf" in schema:
        return " or ".join(_words(one, definitions) for one in schema["anyOf"])
    if schema["type"] == "array":
        return f"list of {_words(schema['items'], definitions)}"
    words = {
        "boolean": "true or false",
        "integer": "whole number of bytes" if schema.get("format") == "bytes" else "whole number",
        "number": "number",
        "string": schema.get("format", "text"),
        "null": toml_value(NONE),
    }
    text = ' or text such as "10 GiB"' if schema.get("format") == "bytes" else ""
    return f"{words[schema['type']]}{_bounds(schema)}{text}"


def _bounds(schema: Mapping[str, Any]) -> str:
    said = [f"{words} {schema[name]:.15g}" for name, words in _BOUNDS if name in schema]
    return f" {' and '.join(said)}" if said else ""
