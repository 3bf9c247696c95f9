"""The settings at work, and how they change while the daemon runs."""

from __future__ import annotations

import logging
from dataclasses import replace
from threading import Lock
from typing import TYPE_CHECKING

from unetplus_edge.errors import ConfigurationError
from unetplus_runtime.configuration import live_changes, settings_hash
from unetplus_runtime.configuration.changes import LIVE, public_json
from unetplus_runtime.daemon.facts import ConfigurationFacts
from unetplus_runtime.daemon.log import fields

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from unetplus_runtime.configuration import Loaded, ServeSettings
    from unetplus_runtime.daemon.log import Log
    from unetplus_runtime.daemon.state import DaemonState
    from unetplus_runtime.records import RecordStore

_log = logging.getLogger(__name__)


class LiveSettings:
    """Settings, of which some change when that is asked for. Any thread may call it.

    Parameters
    ----------
    loaded
        What the daemon starts with.
    file
        The configuration file; None where there is none.
    load
        Returns what the settings are now, or raises `ConfigurationError`.
    """

    def __init__(self, loaded: Loaded, file: Path | None, load: Callable[[], Loaded]) -> None:
        self._lock = Lock()
        self._file, self._load = file, load
        self._now = (loaded.settings, settings_hash(loaded.settings))
        self.first_facts = self._facts(loaded)

    def __call__(self) -> tuple[ServeSettings, str]:
        """Return the settings, and their hash."""
        return self._now

    def reload(self, store: RecordStore, state: DaemonState, log: Log | None) -> None:
        """Take over what has changed and can be taken over; say what cannot. A wrong file changes nothing.

        Parameters
        ----------
        store, log
            What works by them.
        state
            Who is told.
        """
        with self._lock:
            old, old_hash = self._now
            try:
                loaded = self._load()
            except ConfigurationError as error:
                state.update(configuration=replace(state.snapshot.configuration, error=str(error)))
                state.trouble("configuration refused", str(error))
                store.event("configuration refused", {"why": str(error)})
                _log.error("configuration refused: nothing has changed", extra=fields(why=str(error)))
                return
            applied, pending = live_changes(old, loaded.settings)
            new = old.model_copy(update={field: getattr(loaded.settings, field) for field in LIVE})
            new_hash = settings_hash(new) if applied else old_hash
            if applied:
                # Before a frame bears the hash.
                store.know_configuration(new_hash, public_json(new))
                store.apply(interval=new.durability.interval, recording=new.record, retention=new.retention)
                if log is not None:
                    log.apply(new.log)
                self._now = (new, new_hash)
            state.update(configuration=replace(self._facts(loaded), needs_restart=tuple(pending)))
            store.event("configuration", {"applied": applied, "needs_restart": pending, "hash": new_hash})
            _log.info("configuration loaded", extra=fields(applied=applied, needs_restart=pending))

    def _facts(self, loaded: Loaded) -> ConfigurationFacts:
        file = None if self._file is None else str(self._file)
        return ConfigurationFacts(self._now[1], file, loaded.simulated_by_default, loaded.origin)
