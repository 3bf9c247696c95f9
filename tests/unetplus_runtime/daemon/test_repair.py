from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from unetplus_edge.errors import EngineError
from unetplus_runtime import Segmenter
from unetplus_runtime.cameras.isolation import IsolatedCamera
from unetplus_runtime.configuration import ModelSettings
from unetplus_runtime.configuration.changes import public_json
from unetplus_runtime.daemon.facts import ConfigurationFacts
from unetplus_runtime.daemon.limits import Limits
from unetplus_runtime.daemon.loop import FrameLoop
from unetplus_runtime.daemon.model import ModelHolder, ServedModel
from unetplus_runtime.daemon.repair import Repair
from unetplus_runtime.daemon.seen import Seen
from unetplus_runtime.daemon.state import DaemonState
from unetplus_runtime.daemon.stopping import Stopping
from unetplus_runtime.records import RecordReader, RecordStore, RunFacts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy as np
    from numpy.typing import NDArray

    from unetplus_edge.bundle import Bundle
    from unetplus_runtime.cameras.counts import FrameTotals


class _Failing:
    """An engine that fails when a function says so, by its number of the call, counted from 0."""

    def __init__(self, engine: type, fails: Callable[[int], bool]) -> None:
        self.info = engine().info
        self._fails, self._calls = fails, 0

    def infer(self, patches: NDArray[np.float32]) -> NDArray[np.float32]:
        self._calls += 1
        if self._fails(self._calls - 1):
            raise EngineError("the device is gone")
        return patches

    def close(self) -> None:
        pass


class _Bench:
    """A loop with its real camera and records, and an engine that fails."""

    def __init__(self, settings: Any, model: ServedModel) -> None:
        self.settings, self.data_dir = settings, settings.data_dir
        self.state = DaemonState(self.data_dir, simulated=True, configuration=ConfigurationFacts("c", None, False))
        self.models = ModelHolder(model)

    def run(self, frames: int) -> FrameTotals:
        state = self.state
        run = RunFacts(state.snapshot.run, public_json(self.settings), "c", self.models.newest.facts.hash)
        given = {"interval": 0.02, "recording": self.settings.record, "retention": self.settings.retention}
        with RecordStore(self.data_dir, **given, run=run) as store:
            seen, stopping = Seen(store), Stopping()
            camera = seen.camera = IsolatedCamera(self.settings.camera, seen=seen)
            repair = Repair(self.models, store, state, stopping)
            loop = FrameLoop(camera, store, state, repair, stopping, lambda: (self.settings, "c"), seen.given_up)
            state.enter("ready")
            with camera:
                loop.run(Limits(frames))
            assert store.flush(60)
            return camera.status().totals

    def events(self) -> list[str]:
        with RecordReader(self.data_dir) as reader:
            return [event.kind for event in reader.events()]


@pytest.fixture
def bench(make_settings: Any, bundle: Bundle, map_engine: type) -> Iterator[Callable[..., _Bench]]:
    made: list[_Bench] = []

    def make(fails: Callable[[int], bool], settings: ModelSettings | None = None) -> _Bench:
        engine: Any = _Failing(map_engine, fails)
        known = settings or ModelSettings(bundle=str(bundle.path), engine="litert", threads=1)
        made.append(_Bench(make_settings(), ServedModel(known, Segmenter(bundle, engine))))
        return made[-1]

    yield make
    for one in made:
        one.models.close()


def test_a_frame_that_fails_is_dropped_and_the_loop_goes_on(bench: Callable[..., _Bench]) -> None:
    one = bench(lambda call: call < 1)
    totals = one.run(6)
    assert (totals.processed, totals.dropped["failed"]) == (5, 1)
    assert one.state.snapshot.failures == 0
    assert "frame failed" in one.events()
    assert one.state.snapshot.phase == "ready"


def test_an_engine_that_fails_on_is_opened_again_and_the_frame_is_not_lost(bench: Callable[..., _Bench]) -> None:
    one = bench(lambda _: True)
    totals = one.run(6)
    assert totals.dropped["failed"] == 2
    assert totals.processed == 4
    assert one.state.snapshot.engine_restarts == 1
    assert one.state.snapshot.phase == "ready"
    assert "engine restarted" in one.events()
    assert one.models.newest.facts.engine == "keras"  # facts of the first: the model is the same


def test_an_engine_that_cannot_be_repaired_makes_the_daemon_degraded(bench: Callable[..., _Bench]) -> None:
    one = bench(lambda _: True, ModelSettings(bundle="no_such_model"))
    totals = one.run(4)
    assert totals.dropped["failed"] == 4
    assert totals.processed == 0
    assert one.state.snapshot.phase == "degraded"
    assert "the device is gone" in one.state.snapshot.reason
    assert one.events().count("engine fails") == 1


def test_an_engine_that_works_again_ends_that(bench: Callable[..., _Bench]) -> None:
    one = bench(lambda call: call < 4, ModelSettings(bundle="no_such_model"))
    totals = one.run(8)
    assert totals.processed >= 1
    assert one.state.snapshot.phase == "ready"
    assert one.events()[-1] == "engine works again"
