"""Settings as a configuration file that explains itself."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

from unetplus_runtime.configuration.changes import leaves
from unetplus_runtime.configuration.fields import CAMERA_MODELS, describe, meanings, sections
from unetplus_runtime.configuration.masking import is_masked, without_secrets
from unetplus_runtime.configuration.settings import ServeSettings
from unetplus_runtime.configuration.sources import NOWHERE
from unetplus_runtime.configuration.toml_text import toml_value

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import BaseModel

    from unetplus_runtime.configuration.fields import Described
    from unetplus_runtime.configuration.sources import Loaded

_WIDTH = 100


def as_toml(loaded: Loaded) -> str:
    """Return a configuration file of these settings: each field with meaning, kind, default and origin.

    Read again, it gives the same settings, except that URLs bear no secrets, and are refused until
    those are written in.
    """
    values = without_secrets(leaves(loaded.settings))
    of_sections = meanings(ServeSettings)
    camera = loaded.settings.camera.camera
    lines = ["# Settings of unetplus-runtime serve. Fields that are left out are as by default."]
    if camera == "simulated":
        lines.append("# SIMULATED: the camera of these settings makes its frames up.")
    lines += _section("", describe(ServeSettings), values, loaded)
    lines += ["", *_comment(of_sections["camera"]), "[camera]"]
    lines += _section("camera", describe(CAMERA_MODELS[camera]), values, loaded)
    for other, model in CAMERA_MODELS.items():
        if other != camera:
            lines += ["", "# Or another camera:", "# [camera]", f"# camera = {toml_value(other)}"]
            for field in describe(model)[1:]:
                lines.append(f"# {field.name} = {field.default or '...'}")
                lines += [f"#     {line}" for text in (field.meaning, _facts(field)) for line in _wrapped(text)]
    for name, model in sections().items():
        lines += ["", *_comment(of_sections[name]), f"[{name}]", *_section(name, describe(model), values, loaded)]
    return "\n".join(lines) + "\n"


def as_rows(loaded: Loaded) -> list[dict[str, Any]]:
    """Return each field with its value, kind, default, meaning and origin, fit for JSON."""
    values = without_secrets(leaves(loaded.settings))
    models: dict[str, type[BaseModel]] = {
        "": ServeSettings,
        "camera": CAMERA_MODELS[loaded.settings.camera.camera],
        **sections(),
    }
    return [
        {
            "field": name,
            "value": values[name],
            "kind": field.kind,
            "default": field.default,
            "meaning": field.meaning,
            "origin": loaded.origin[name],
        }
        for section, model in models.items()
        for field in describe(model)
        for name in [f"{section}.{field.name}".removeprefix(".")]
    ]


def _section(section: str, fields: list[Described], values: dict[str, Any], loaded: Loaded) -> Iterator[str]:
    for field in fields:
        name = f"{section}.{field.name}".removeprefix(".")
        value = values[name]
        origin = loaded.origin[name]
        yield ""
        yield from _comment(field.meaning)
        yield from _comment(_facts(field))
        if origin != NOWHERE:
            yield from _comment(f"Set by {origin}.")
        if isinstance(value, str) and is_masked(value):
            yield from _comment("User, password and query are left out here: write it in full.")
        yield f"{field.name} = {toml_value(value)}"


def _facts(field: Described) -> str:
    default = f"default {field.default}" if field.default else "has to be given"
    return f"{field.kind}; {default}"


def _comment(text: str) -> list[str]:
    return [f"# {line}" for line in _wrapped(text)]


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, break_long_words=False, break_on_hyphens=False)
