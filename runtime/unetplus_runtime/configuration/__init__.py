"""Configuration of the daemon: one validated set of settings, from a file, the environment and options."""

from __future__ import annotations

from unetplus_runtime.configuration.changes import live_changes, settings_hash
from unetplus_runtime.configuration.settings import (
    Durability,
    Logging,
    ModelSettings,
    Recording,
    Retention,
    ServeSettings,
    Stopping,
)
from unetplus_runtime.configuration.sources import Loaded, Typed, load

__all__ = [
    "Durability",
    "Loaded",
    "Logging",
    "ModelSettings",
    "Recording",
    "Retention",
    "ServeSettings",
    "Stopping",
    "Typed",
    "live_changes",
    "load",
    "settings_hash",
]
