"""What tests of records share: frames with known nuclei, and stores that are closed after the test."""

from __future__ import annotations

import time
import uuid
from contextlib import suppress
from threading import Event
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pytest

from unetplus_edge.imaging import measure
from unetplus_runtime.cameras import CameraFacts, FileIdentity, Frame
from unetplus_runtime.configuration import Recording, Retention
from unetplus_runtime.records import RecordStore, RunFacts
from unetplus_runtime.segmenter import Result

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from unetplus_runtime.records import Committed

DEADLINE = 120.0


class Told:
    """Collects what is announced, and can keep the announcer waiting."""

    def __init__(self) -> None:
        self.commits: list[Committed] = []
        self.go_on = Event()
        self.go_on.set()

    def __call__(self, committed: Committed) -> None:
        self.go_on.wait(DEADLINE)
        self.commits.append(committed)

    @property
    def ids(self) -> list[int]:
        return [one.id for one in self.commits]


class MakeFrame(Protocol):
    def __call__(
        self, sequence: int = ..., *, file: FileIdentity | None = ..., life: int = ..., wall: float | None = ...
    ) -> Frame: ...


class OpenStore(Protocol):
    def __call__(
        self,
        folder: Path,
        *,
        keep: Recording | None = ...,
        retention: Retention | None = ...,
        interval: float = ...,
        run: str | None = ...,
        wall: Callable[[], float] = ...,
    ) -> RecordStore: ...


class Put(Protocol):
    def __call__(self, store: RecordStore, frame: Frame, told: Told | None = ..., **more: Any) -> bool: ...


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture(scope="session")
def make_frame() -> MakeFrame:
    """A frame of 40 x 50 pixels, another one for each sequence number."""

    def make(sequence: int = 0, *, file: FileIdentity | None = None, life: int = 0, wall: float | None = None) -> Frame:
        array = np.random.default_rng(sequence).integers(0, 4096, (40, 50), np.uint16)
        moment = time.time() if wall is None else wall
        metadata = {"exposure_ms": 5, "note": "\udcff"}
        return Frame(array, sequence, 0.25 * sequence, time.monotonic(), moment, metadata, file, life)

    return make


@pytest.fixture(scope="session")
def result_of() -> Callable[[Frame], Result]:
    """Three nuclei: two inside, and one at the border."""

    def segment(frame: Frame) -> Result:
        labels = np.zeros(frame.array.shape, np.int32)
        labels[5:9, 5:10] = 1
        labels[20:22, 30:40] = 2
        labels[38:, 45:] = 3
        nuclei = measure(labels, frame.array, 0.5)
        return Result(labels, nuclei, (labels > 0).astype(np.float32), {"preprocess": 0.25, "engine": 0.5})

    return segment


@pytest.fixture
def open_store(request: pytest.FixtureRequest) -> Iterator[OpenStore]:
    stores: list[RecordStore] = []

    def open_it(
        folder: Path,
        *,
        keep: Recording | None = None,
        retention: Retention | None = None,
        interval: float = 0.01,
        run: str | None = None,
        wall: Callable[[], float] = time.time,
    ) -> RecordStore:
        facts = RunFacts(run or str(uuid.uuid4()), '{"camera":{}}', "c0", "m0", {"name": "tiny"}, "0.1", wall())
        store = RecordStore(
            folder,
            interval=interval,
            recording=keep or Recording(),
            retention=retention or Retention(min_free=0),
            run=facts,
            wall=wall,
        )
        stores.append(store)
        return store

    yield open_it
    for store in stores:
        with suppress(Exception):
            store.close(0)


@pytest.fixture(scope="session")
def put(result_of: Callable[[Frame], Result]) -> Put:
    def hand_over(store: RecordStore, frame: Frame, told: Told | None = None, **more: Any) -> bool:
        simulated = more.pop("simulated", False)
        facts = CameraFacts("folder", "/images", lossless=True, simulated=simulated)
        return store.put(
            frame,
            result_of(frame),
            facts=facts,
            model_hash="m0",
            configuration_hash="c0",
            on_commit=told or Told(),
            **more,
        )

    return hand_over


@pytest.fixture(scope="session")
def page() -> Callable[..., FileIdentity]:
    """Names a page of a file."""

    def of(name: str = "a.tif", number: int = 0) -> FileIdentity:
        return FileIdentity(f"/images/{name}", 4096, 1_700_000_000_000_000_001, number, 3)

    return of


@pytest.fixture(scope="session")
def wait() -> Callable[[Callable[[], object], str], None]:
    """Waits for something that will happen however slow the machine is."""

    def until(condition: Callable[[], object], what: str) -> None:
        deadline = time.monotonic() + DEADLINE
        while not condition():
            assert time.monotonic() < deadline, f"{what} did not happen in {DEADLINE:g} s"
            time.sleep(0.01)

    return until
