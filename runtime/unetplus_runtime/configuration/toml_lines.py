"""On which line of a TOML file a field is."""

from __future__ import annotations

import sys
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FieldPath = tuple["str | int", ...]
"""Names of the tables around a field and its own; a number where a table is one of several."""


def line_numbers(text: str) -> dict[FieldPath, int]:
    r"""Return the line, from 1, on which each table and each field begins.

    Python's TOML reader does not tell. This one cuts a text into its statements, for a statement
    is the fewest lines that are valid by themselves, and has each read by Python's.

    Parameters
    ----------
    text
        Valid TOML.

    Examples
    --------
    >>> lines = line_numbers('# here\n[camera]\ncamera = "simulated"\n[[camera.faults]]\nkind = "crash"')
    >>> lines["camera", "camera"], lines["camera", "faults", 0, "kind"]
    (3, 5)
    """
    found: dict[FieldPath, int] = {}
    counts: dict[FieldPath, int] = {}
    table: FieldPath = ()
    statement, begin = "", 0
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), 1):
        begin = begin if statement else number
        statement += f"{line}\n"
        try:
            tree = tomllib.loads(statement)
        except tomllib.TOMLDecodeError:
            continue  # it goes on in the next line
        is_header = statement.lstrip().startswith("[")
        statement = ""
        if is_header:
            table = _header(tree, counts)
            _note(found, table, begin)
        else:
            for path in _paths(tree):
                _note(found, (*table, *path), begin)
    return found


def _note(found: dict[FieldPath, int], path: FieldPath, line: int) -> None:
    for length in range(1, len(path) + 1):
        found.setdefault(path[:length], line)


def _header(tree: Any, counts: dict[FieldPath, int]) -> FieldPath:
    """Return the path of the table that a header opens, and count those that it is one of."""
    path: FieldPath = ()
    while tree:
        if isinstance(tree, list):
            counts[path] = counts.get(path, 0) + 1
            path, tree = (*path, counts[path] - 1), tree[0]
        else:
            if path in counts:  # a table in the last one of several
                path = (*path, counts[path] - 1)
            [(name, tree)] = tree.items()
            path = (*path, name)
    return path


def _paths(tree: Any, above: FieldPath = ()) -> list[FieldPath]:
    inside = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    return [above, *(path for name, value in inside for path in _paths(value, (*above, name)))]
