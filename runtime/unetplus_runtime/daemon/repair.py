"""What is done about an engine that fails: it is opened again once; then it is said, and tried slowly."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from unetplus_edge.errors import UnetPlusError
from unetplus_runtime.daemon.log import fields
from unetplus_runtime.daemon.model import ServedModel

if TYPE_CHECKING:
    from unetplus_runtime.daemon.model import ModelHolder
    from unetplus_runtime.daemon.state import DaemonState
    from unetplus_runtime.daemon.stopping import Stopping
    from unetplus_runtime.records import RecordStore

_log = logging.getLogger(__name__)

_PATIENCE = 3  # frames in a row that an engine may fail
_PAUSE = 1.0  # seconds between frames while it fails: a folder is not to be run through in vain


class Repair:
    """Gives each frame its model, and counts how often the engine fails. The segmenting thread uses it.

    After three failures in a row the engine is opened again, once, and the third frame tried again.
    If it fails on, the daemon is degraded, and takes one frame a second, until one succeeds or
    another model is taken.

    Parameters
    ----------
    models
        The model.
    store, state
        Who is told.
    stopping
        Whether the daemon is to end.
    """

    def __init__(self, models: ModelHolder, store: RecordStore, state: DaemonState, stopping: Stopping) -> None:
        self._models, self._store, self._state, self._stopping = models, store, state, stopping
        self._failures = 0

    def model(self) -> ServedModel:
        """Return the model of the next frame."""
        if self._failures > _PATIENCE:
            self._stopping.wait(_PAUSE)
        return self._models.between_frames()

    def worked(self) -> None:
        """Take note that a frame was segmented."""
        if self._failures:
            self._failures = 0
            self._state.update(failures=0)
        if self._state.snapshot.phase == "degraded":
            self._state.enter("ready")
            self._store.event("engine works again", {})
            _log.warning("engine works again")

    def failed(self, error: Exception) -> ServedModel | None:
        """Take note that the engine failed; return what to try the same frame with, or None."""
        self._failures += 1
        self._state.update(failures=self._failures)
        why = f"{type(error).__name__}: {error}"
        _log.error("engine failed", extra=fields(why=why, in_a_row=self._failures))
        if self._failures < _PATIENCE:
            return None
        if self._failures == _PATIENCE:
            model = self._reopen(why)
            if model is not None:
                return model
        if self._state.snapshot.phase != "degraded":
            sentence = f"the engine fails ({why}); frames are dropped: reload a model that works"
            self._state.enter("degraded", sentence)
            self._state.trouble("engine fails", sentence)
            self._store.event("engine fails", {"why": why})
        return None

    def _reopen(self, why: str) -> ServedModel | None:
        """Open the engine again; None if that fails as well."""
        old = self._models.newest
        try:
            model = ServedModel(old.settings)
        except Exception as error:  # the daemon goes on, degraded
            _log.error("engine could not be opened again", extra=fields(why=f"{type(error).__name__}: {error}"))
            if not isinstance(error, UnetPlusError):
                _log.debug("traceback", exc_info=True)
            return None
        model.facts = old.facts
        self._store.event("engine restarted", {"why": why})
        self._state.trouble("engine restarted", why)
        self._state.update(engine_restarts=self._state.snapshot.engine_restarts + 1)
        self._models.swap(model)
        return self._models.between_frames()
