"""The daemon from its start to its end: what is opened in which order, and what is closed."""

from __future__ import annotations

import logging
import os
from contextlib import ExitStack
from dataclasses import asdict
from threading import Timer
from typing import TYPE_CHECKING, Any

from unetplus_edge import __version__
from unetplus_edge.errors import EngineError, InputError, OutputError
from unetplus_runtime.cameras.isolation import IsolatedCamera
from unetplus_runtime.configuration.changes import public_json
from unetplus_runtime.daemon.control import ControlSocket
from unetplus_runtime.daemon.folders import check_folders
from unetplus_runtime.daemon.limits import ENDLESS
from unetplus_runtime.daemon.live_settings import LiveSettings
from unetplus_runtime.daemon.log import Log, fields
from unetplus_runtime.daemon.loop import FrameLoop
from unetplus_runtime.daemon.model import ModelHolder, ServedModel
from unetplus_runtime.daemon.repair import Repair
from unetplus_runtime.daemon.seen import Seen
from unetplus_runtime.daemon.state import DaemonState
from unetplus_runtime.daemon.stopping import GRACE, Stopping
from unetplus_runtime.daemon.swap import Swap
from unetplus_runtime.daemon.watch import Watch
from unetplus_runtime.records import RecordStore, RunFacts
from unetplus_runtime.records.lock import holder

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from unetplus_runtime.configuration import Loaded, ServeSettings
    from unetplus_runtime.daemon.limits import Limits

_log = logging.getLogger(__name__)

_LONGEST_WAIT = 30.0  # seconds that a caller may wait for news


class Daemon:
    """One camera, one model, one folder of results.

    Parameters
    ----------
    loaded
        The settings.
    file
        The configuration file; None where there is none.
    load
        Returns what the settings are now; asked when they are to be reloaded.
    limits
        When to end without being asked.

    Attributes
    ----------
    state
        What is known of it.
    """

    def __init__(
        self,
        loaded: Loaded,
        *,
        file: Path | None = None,
        load: Callable[[], Loaded] | None = None,
        limits: Limits = ENDLESS,
    ) -> None:
        self._settings = LiveSettings(loaded, file, load or (lambda: loaded))
        self._limits = limits
        self._stopping = Stopping()
        self._store: RecordStore | None = None
        simulated = loaded.settings.camera.camera == "simulated"
        self.state = DaemonState(
            loaded.settings.data_dir, simulated=simulated, configuration=self._settings.first_facts
        )
        self._log = Log(loaded.settings.log, simulated=simulated)

    def stop(self, reason: str) -> None:
        """Ask it to end: frames at hand are finished and committed, within the deadline. Any thread may ask."""
        deadline = self._settings()[0].stopping.deadline
        if not self._stopping.asked:
            _log.info("stopping", extra=fields(why=reason, deadline=deadline))
        self._stopping.ask(reason, deadline)
        overdue = Timer(deadline + GRACE, self._overdue)
        overdue.daemon = True
        overdue.start()

    def reload(self) -> None:
        """Read the settings again. Any thread may ask."""
        if self._store is None:
            _log.warning("the configuration is not loaded again: the daemon is only starting, or has ended")
            return
        self._settings.reload(self._store, self.state, self._log)

    def run(self) -> None:
        """Work until it is asked to end, or there is nothing more to do.

        Raises
        ------
        ConfigurationError
            If results and images would lie in one another.
        BundleError, EngineError
            If the model is damaged, or does not segment.
        OutputError
            If the folder cannot be written, or another daemon records into it; or if frames that were
            segmented could not be recorded in time.
        """
        settings, _ = self._settings()
        with self._log.installed():
            try:
                check_folders(settings)
                _check_alone(settings.data_dir)
                self._work(settings)
            except BaseException as error:
                self.state.enter("stopped", str(error))
                raise
            self.state.enter("stopped", self._stopping.reason)
            _log.info("stopped", extra=fields(why=self._stopping.reason))

    def _work(self, settings: ServeSettings) -> None:
        state = self.state
        _log.info("starting", extra=fields(data_dir=settings.data_dir, camera=settings.camera.camera, pid=os.getpid()))
        with ExitStack() as stack:
            models = ModelHolder(ServedModel(settings.model))
            stack.callback(models.close)
            first = models.newest
            store = self._open_store(settings, first)
            stack.callback(store.close)  # where something below fails; in the end it was closed before
            swap = Swap(models, store, state, self._settings)
            stack.enter_context(ControlSocket(settings.data_dir, self._handlers(swap)))
            state.enter("warming")
            first.warm_up()
            state.update(model=first.facts)
            seen = Seen(store)
            camera = seen.camera = IsolatedCamera(
                settings.camera,
                seen=seen,
                back_off=settings.restarts,
                grace=min(3.0, settings.stopping.deadline / 2),
            )
            repair = Repair(models, store, state, self._stopping)
            loop = FrameLoop(camera, store, state, repair, self._stopping, self._settings, seen.given_up)
            store.count_with(lambda: camera.status().totals)
            store.event("started", {"pid": os.getpid(), "version": __version__, "model": first.facts.hash})
            state.update(recovery=store.recovery, recording=store.recording, totals=store.totals())
            with camera, Watch(camera, store, loop, state):
                state.enter("ready")
                _log.info("ready", extra=fields(engine=first.facts.engine, precision=first.facts.precision))
                reason = loop.run(self._limits)
                self._stopping.ask(reason, self._settings()[0].stopping.deadline)
                state.enter("draining", reason)
                camera.close()
                store.event("stopping", {"why": reason})
                store.flush(self._stopping.left)
            self._store = None
            self._end(store)

    def _open_store(self, settings: ServeSettings, model: ServedModel) -> RecordStore:
        _, configuration_hash = self._settings()
        snapshot = self.state.snapshot
        run = RunFacts(
            id=snapshot.run,
            configuration=public_json(settings),
            configuration_hash=configuration_hash,
            model_hash=model.facts.hash,
            model=asdict(model.facts),
            version=__version__,
            started=snapshot.started,
        )
        self._store = RecordStore(
            settings.data_dir,
            interval=settings.durability.interval,
            recording=settings.record,
            retention=settings.retention,
            run=run,
        )
        if self._store.recovery.broken_off:
            _log.warning("an earlier run was broken off", extra=fields(**asdict(self._store.recovery)))
        return self._store

    def _end(self, store: RecordStore) -> None:
        lost = store.close(self._stopping.left)
        self.state.update(totals=store.totals(), recording=store.recording, commits=store.times)
        if lost:
            raise OutputError(
                f"{lost} frames could not be recorded before the deadline (stopping.deadline): nobody was told of "
                "them, and those from files are read again; see why on the disk of --data-dir"
            )

    def _handlers(self, swap: Swap) -> dict[str, Callable[[Mapping[str, Any]], Mapping[str, Any]]]:
        def status(_question: Mapping[str, Any]) -> Mapping[str, Any]:
            return {"status": self.state.snapshot.as_json()}

        def wait(question: Mapping[str, Any]) -> Mapping[str, Any]:
            after, timeout = question.get("after", -1), question.get("timeout", _LONGEST_WAIT)
            if not isinstance(after, int) or not isinstance(timeout, (int, float)) or not timeout >= 0:
                raise InputError("after is to be a version, and timeout seconds from 0 on")
            return {"status": self.state.wait(after, min(timeout, _LONGEST_WAIT)).as_json()}

        def reload_model(question: Mapping[str, Any]) -> Mapping[str, Any]:
            bundle = question.get("bundle")
            if not isinstance(bundle, str) or not bundle:
                raise InputError("bundle is to be a folder, or a name in the zoo")
            return swap(bundle)

        return {"status": status, "wait": wait, "reload-model": reload_model}

    def _overdue(self) -> None:
        """End the process, because it could not end by itself: a driver or an engine does not come back."""
        if self.state.snapshot.phase != "stopped":
            _log.critical("it could not end within the deadline: what was committed is safe; ended at once")
            os._exit(EngineError.exit_code)


def _check_alone(data_dir: Path) -> None:
    """Refuse a folder that another daemon uses, before a model is opened in vain; the records lock it for good."""
    pid = holder(data_dir)
    if pid is not None:
        raise OutputError(f"process {pid} records into {data_dir} already; stop it, or name another --data-dir")
