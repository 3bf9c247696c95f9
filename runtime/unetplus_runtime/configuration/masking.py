"""URLs without what is nobody's business: user, password and query."""

from __future__ import annotations

import hashlib
from typing import Any

MASK = "***"


def masked(text: str) -> str:
    """Return a text without the secrets of the URL that it may be.

    Examples
    --------
    >>> masked("rtsp://lab:secret@10.0.0.7:554/live?key=1")
    'rtsp://***@10.0.0.7:554/live?***'
    >>> masked("http://10.0.0.7/video.mjpg")
    'http://10.0.0.7/video.mjpg'
    """
    scheme, slashes, rest = text.partition("://")
    if not slashes:
        return text
    # The last @, because a password that nobody has quoted may hold one itself.
    _, at, place = rest.rpartition("@")
    place, mark, _ = place.partition("?")
    return f"{scheme}://{MASK if at else ''}{at}{place}{mark}{MASK if mark else ''}"


def is_masked(text: str) -> bool:
    """Return whether a text is a URL whose secrets were left out."""
    return "://" in text and MASK in text


def without_secrets(value: Any) -> Any:
    """Return JSON-like data with every text masked."""
    return _each_text(value, masked)


def with_hashed_secrets(value: Any) -> Any:
    """Return JSON-like data with every text masked, and the hash of those texts that masking changes."""
    return _each_text(value, _hashed)


def _hashed(text: str) -> str:
    shown = masked(text)
    return shown if shown == text else f"{shown}#sha256={hashlib.sha256(text.encode()).hexdigest()}"


def _each_text(value: Any, change: Any) -> Any:
    if isinstance(value, dict):
        return {key: _each_text(one, change) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_each_text(one, change) for one in value]
    return change(value) if isinstance(value, str) else value
