"""When the daemon is to end by itself."""

from __future__ import annotations

from typing import NamedTuple


class Limits(NamedTuple):
    """When the daemon ends by itself, as if it was asked to.

    Attributes
    ----------
    frames
        After so many frames; None for no such limit.
    until_idle
        When no frame has come for so many seconds; None for no such limit.
    """

    frames: int | None = None
    until_idle: float | None = None


ENDLESS = Limits()
"""Never."""
