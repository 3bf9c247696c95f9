"""Reading a configuration file."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any

from unetplus_edge.errors import ConfigurationError
from unetplus_runtime.configuration.toml_lines import line_numbers

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from pathlib import Path

    from unetplus_runtime.configuration.toml_lines import FieldPath

_LARGEST = 1 << 20  # bytes; whoever has more has named another file


def read_toml(file: Path) -> tuple[dict[str, Any], dict[FieldPath, int]]:
    """Return what a file says, and the line of each of its tables and fields.

    Raises
    ------
    ConfigurationError
        If it cannot be read, or is no TOML; with the line.
    """
    try:
        with file.open("rb") as stream:
            content = stream.read(_LARGEST + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ConfigurationError(f"{file}: cannot be read ({reason}); name a configuration file") from error
    if len(content) > _LARGEST:
        raise ConfigurationError(f"{file}: is larger than {_LARGEST} bytes; name a configuration file")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigurationError(f"{file}:{line}: is not UTF-8; save it as UTF-8") from error
    try:
        return tomllib.loads(text), line_numbers(text)
    except tomllib.TOMLDecodeError as error:
        said = re.fullmatch(r"(.*) \((?:at line (\d+), column \d+|at end of document)\)", str(error), re.DOTALL)
        line = text.rstrip().count("\n") + 1 if said is None or said[2] is None else int(said[2])
        raise ConfigurationError(f"{file}:{line}: is no TOML: {said[1] if said else error}") from error
    except RecursionError as error:
        raise ConfigurationError(f"{file}: is nested too deeply; name a configuration file") from error
