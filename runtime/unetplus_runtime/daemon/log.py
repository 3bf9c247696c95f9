"""What the daemon says on stderr: a line for each event, as words and key=value or as JSON."""

from __future__ import annotations

import json
import logging
import sys
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from unetplus_edge.commands import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from unetplus_runtime.configuration import Logging

_OURS = ("unetplus_runtime", "unetplus_edge")
_MARK = "SIMULATED"


def fields(**values: Any) -> dict[str, dict[str, Any]]:
    """Return what a call of a logger takes as `extra`, so that the line has these values by name.

    >>> fields(frame=3)
    {'fields': {'frame': 3}}
    """
    return {"fields": values}


class Lines(logging.Formatter):
    """Makes a line of a message.

    Parameters
    ----------
    json_lines
        Each is a JSON object: time, level, message, logger, simulated, and the fields of the message.
    simulated
        Whether every line says so.
    """

    def __init__(self, *, json_lines: bool, simulated: bool) -> None:
        super().__init__()
        self.json_lines, self._simulated = json_lines, simulated

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, which has no line break in it."""
        when = datetime.fromtimestamp(record.created, timezone.utc).isoformat(timespec="milliseconds")
        when = when.replace("+00:00", "Z")
        values: dict[str, Any] = getattr(record, "fields", {})
        if record.exc_info:
            values = values | {"traceback": self.formatException(record.exc_info)}
        if self.json_lines:
            line = {
                "time": when,
                "level": record.levelname.lower(),
                "message": record.getMessage(),
                "logger": record.name,
                "simulated": self._simulated,
            }
            return json.dumps({**values, **line}, default=str)
        mark = f"{_MARK} " if self._simulated else ""
        pairs = "".join(f" {name}={_value(value)}" for name, value in values.items())
        return f"{when} {record.levelname.lower():<7} {mark}{printable(record.getMessage())}{pairs}"


def _value(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    text = str(value)
    return json.dumps(text) if not text or any(letter in text for letter in ' "=') else printable(text)


class Log:
    """The daemon's handler of log messages.

    Parameters
    ----------
    settings
        What to say, and how.
    simulated
        Whether every line says that.
    """

    def __init__(self, settings: Logging, *, simulated: bool) -> None:
        self._handler = logging.StreamHandler(sys.stderr)
        self._settings, self._simulated = settings, simulated

    def apply(self, settings: Logging) -> None:
        """Take over settings, while it is installed."""
        self._handler.setFormatter(Lines(json_lines=settings.json_lines, simulated=self._simulated))
        for name in _OURS:
            logging.getLogger(name).setLevel(settings.level.upper())

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Let messages of all libraries come here while the block runs."""
        root = logging.getLogger()
        levels = {name: logging.getLogger(name).level for name in _OURS}
        root.addHandler(self._handler)
        self.apply(self._settings)
        try:
            yield
        finally:
            root.removeHandler(self._handler)
            for name, level in levels.items():
                logging.getLogger(name).setLevel(level)
