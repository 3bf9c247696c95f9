"""Two sets of settings: whether they are the same, and which of them differ."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from unetplus_runtime.configuration.masking import with_hashed_secrets, without_secrets

if TYPE_CHECKING:
    from collections.abc import Iterator

    from unetplus_runtime.configuration.settings import ServeSettings

LIVE = ("pixel_size", "durability", "record", "retention", "stopping", "log")
"""Fields, and sections of them, that a running daemon takes over; all others need a restart."""


def settings_hash(settings: ServeSettings) -> str:
    """Return the SHA-256 of all settings, as 64 hexadecimal digits.

    It is that of `public_json`, but for URLs with a user, a password or a query: those take part by
    their own hash.
    """
    return hashlib.sha256(_canonical(with_hashed_secrets(settings.model_dump(mode="json"))).encode()).hexdigest()


def public_json(settings: ServeSettings) -> str:
    """Return all settings as JSON in one canonical form, fit to be shown: URLs bear no secrets."""
    return _canonical(without_secrets(settings.model_dump(mode="json")))


def live_changes(old: ServeSettings, new: ServeSettings) -> tuple[list[str], list[str]]:
    """Return which fields differ, by their dotted names, in order.

    Returns
    -------
    tuple of list of str
        Those that a running daemon takes over, and those that need a restart.

    Examples
    --------
    >>> from unetplus_runtime.configuration.settings import ServeSettings
    >>> old = ServeSettings(camera={"camera": "simulated"})
    >>> new = ServeSettings(camera={"camera": "simulated", "rate": 5}, record={"labels": True})
    >>> live_changes(old, new)
    (['record.labels'], ['camera.rate'])
    """
    before, after = leaves(old), leaves(new)
    changed = [
        field
        for field in (*before, *(field for field in after if field not in before))
        if (field in before, before.get(field)) != (field in after, after.get(field))
    ]
    live = [field for field in changed if field.partition(".")[0] in LIVE]
    return live, [field for field in changed if field not in live]


def leaves(settings: ServeSettings) -> dict[str, Any]:
    """Return the value of every field by its dotted name, as JSON has it."""
    return {".".join(path): value for path, value in walk(settings.model_dump(mode="json"))}


def walk(tree: dict[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield the path and the value of everything in nested tables that is no table, or an empty one."""
    for name, value in tree.items():
        if isinstance(value, dict) and value:
            yield from walk(value, (*above, name))
        else:
            yield (*above, name), value


def _canonical(tree: Any) -> str:
    return json.dumps(tree, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
