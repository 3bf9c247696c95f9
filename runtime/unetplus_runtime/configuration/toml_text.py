"""Values as TOML has them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

NONE = "none"
"""Stands for no value, for which TOML has no word."""


def toml_value(value: Any) -> str:
    r"""Return a value as TOML.

    Parameters
    ----------
    value
        None, a truth value, a number, a text, a path, or a list, tuple or dictionary of such.

    Examples
    --------
    >>> print(toml_value(["a\nb", 2.0, True, {"kind": "crash", "lives": None}]), toml_value(None))
    ["a\nb", 2.0, true, {kind = "crash"}] "none"
    """
    if value is None:
        return toml_value(NONE)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | Path):
        # JSON's escapes are TOML's, but that TOML wants one for DEL too.
        return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, dict):
        pairs = (f"{_key(name)} = {toml_value(one)}" for name, one in value.items() if one is not None)
        return f"{{{', '.join(pairs)}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(toml_value, value))}]"
    return repr(value)


def _key(name: str) -> str:
    plain = name.isascii() and name.replace("_", "").replace("-", "").isalnum()
    return name if plain else toml_value(name)
