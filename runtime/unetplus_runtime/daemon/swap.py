"""Swapping the model while frames come: the new one has to prove itself first."""

from __future__ import annotations

import logging
from dataclasses import asdict
from threading import Lock
from typing import TYPE_CHECKING, Any

from unetplus_edge.errors import EngineError, InputError, UnetPlusError
from unetplus_runtime.daemon.log import fields
from unetplus_runtime.daemon.model import ServedModel

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from unetplus_runtime.configuration import ServeSettings
    from unetplus_runtime.daemon.model import ModelHolder
    from unetplus_runtime.daemon.state import DaemonState
    from unetplus_runtime.records import RecordStore

_log = logging.getLogger(__name__)


class Swap:
    """Opens another model, warms it up beside the one at work, and lets the next frame get it.

    Parameters
    ----------
    models
        Where it goes.
    store, state
        Who is told.
    settings
        Returns the settings of this moment, which say what runs a model.
    """

    def __init__(
        self,
        models: ModelHolder,
        store: RecordStore,
        state: DaemonState,
        settings: Callable[[], tuple[ServeSettings, str]],
    ) -> None:
        self._models, self._store, self._state, self._settings = models, store, state, settings
        self._lock = Lock()

    def __call__(self, bundle: str) -> Mapping[str, Any]:
        """Swap the model; return what is known of the old one and the new one.

        Whatever goes wrong, the model at work goes on as if nobody had asked.

        Parameters
        ----------
        bundle
            Folder, or name in the zoo.

        Raises
        ------
        BundleError, EngineError
            If the new one is damaged, does not open, or does not segment.
        InputError
            If the daemon is not at work, or swaps already.
        """
        if not self._lock.acquire(blocking=False):
            raise InputError("another model is being opened; ask again when that is done")
        try:
            if self._state.snapshot.phase not in ("ready", "degraded"):
                raise InputError(f"the daemon is {self._state.snapshot.phase}; ask again when it is ready")
            return self._swap(bundle)
        except UnetPlusError as error:
            self._refused(bundle, str(error))
            raise
        except Exception as error:  # of a library that was given a file that it cannot take
            self._refused(bundle, f"{type(error).__name__}: {error}")
            raise EngineError(f"{bundle} cannot be opened ({type(error).__name__}: {error})") from error
        finally:
            self._lock.release()

    def _swap(self, bundle: str) -> Mapping[str, Any]:
        old = self._models.newest
        settings, _ = self._settings()
        new = ServedModel(settings.model.model_copy(update={"bundle": bundle}))
        try:
            picture = self._state.picture
            new.warm_up(like=None if picture is None else picture.array)
            facts = new.facts
            self._store.know_model(facts.hash, asdict(facts))
            self._store.event("model swapped", {"from": old.facts.hash, "to": facts.hash, "bundle": facts.bundle})
        except BaseException:
            new.close()
            raise
        self._models.swap(new)
        self._state.update(model=facts, model_swaps=self._state.snapshot.model_swaps + 1)
        _log.info("model swapped", extra=fields(bundle=facts.bundle, engine=facts.engine, precision=facts.precision))
        return {"simulated": self._state.snapshot.simulated, "old": asdict(old.facts), "new": asdict(facts)}

    def _refused(self, bundle: str, why: str) -> None:
        self._store.event("model refused", {"bundle": bundle, "why": why})
        self._state.trouble("model refused", f"{bundle}: {why}")
        _log.error("model refused: the one at work goes on", extra=fields(bundle=bundle, why=why))
