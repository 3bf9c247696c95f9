"""What tests of the daemon share: small settings, daemons in threads and in processes of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any, Protocol

import cv2
import numpy as np
import pytest

from unetplus_edge.errors import NotRunningError
from unetplus_runtime.cameras.isolation import BackOff
from unetplus_runtime.configuration import Loaded, ModelSettings, ServeSettings, load
from unetplus_runtime.daemon import Daemon, Limits
from unetplus_runtime.daemon.control import ask
from unetplus_runtime.daemon.limits import ENDLESS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from unetplus_edge.bundle import Bundle

_DEADLINE = 180.0


class MakeSettings(Protocol):
    def __call__(self, **given: Any) -> ServeSettings: ...


class Serve(Protocol):
    def __call__(self, *options: str) -> subprocess.Popen[str]: ...


class Running:
    """A daemon at work in a thread."""

    def __init__(self, daemon: Daemon) -> None:
        self.daemon = daemon
        self.error: BaseException | None = None
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        try:
            self.daemon.run()
        except BaseException as error:
            self.error = error

    def end(self) -> None:
        self.daemon.stop("the test is over")
        self.thread.join(_DEADLINE)
        assert not self.thread.is_alive()


class Start(Protocol):
    def __call__(
        self, settings: ServeSettings, limits: Limits = ..., load: Callable[[], Loaded] | None = ...
    ) -> Running: ...


@pytest.fixture
def model_settings(bundle: Bundle) -> ModelSettings:
    """The tiny network, on one thread."""
    return ModelSettings(bundle=str(bundle.path), engine="litert", threads=1)


@pytest.fixture
def make_settings(tmp_path: Path, model_settings: ModelSettings) -> MakeSettings:
    """Settings of a small simulated camera that gives a frame whenever it is asked, and of the tiny network."""

    def make(**given: Any) -> ServeSettings:
        camera = {"camera": "simulated", "height": 64, "width": 80, "loop": 2, "rate": None}
        known = {
            "data_dir": tmp_path / "data",
            "camera": camera,
            "model": model_settings,
            "durability": {"interval": 0.02},
            "retention": {"min_free": 0},
            "restarts": BackOff(first=0.01, longest=0.1, storm=1000),
        }
        return ServeSettings.model_validate(known | given)

    return make


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts daemons in threads of this process; after the test they end, and their counts add up."""
    started: list[Running] = []

    def begin(settings: ServeSettings, limits: Limits = ENDLESS, load: Callable[[], Loaded] | None = None) -> Running:
        loaded = Loaded(settings, {}, simulated_by_default=False)
        started.append(Running(Daemon(loaded, limits=limits, load=load)))
        return started[-1]

    yield begin
    for running in started:
        running.end()
        assert running.daemon.state.snapshot.balanced


@pytest.fixture
def serve(bundle: Bundle, tmp_path: Path) -> Iterator[Serve]:
    """Starts `unetplus-runtime serve` with options, in a process of its own, on the data folder `tmp_path / "data"`."""
    processes: list[subprocess.Popen[str]] = []

    def begin(*options: str) -> subprocess.Popen[str]:
        fixed = ["--bundle", str(bundle.path), "--engine", "litert", "--threads", "1", "--set", "retention.min_free=0"]
        code = "from unetplus_runtime.command import main; main()"
        processes.append(
            subprocess.Popen(
                [sys.executable, "-c", code, "serve", "--data-dir", str(tmp_path / "data"), *fixed, *options],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env=os.environ | {"XDG_STATE_HOME": str(tmp_path)},
            )
        )
        return processes[-1]

    yield begin
    for process in processes:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        print(process.communicate()[1])  # shown where the test fails


@pytest.fixture
def status_of(tmp_path: Path) -> Callable[[], dict[str, Any]]:
    """Asks the daemon of `tmp_path / "data"` what it knows; nothing where there is none."""

    def asked() -> dict[str, Any]:
        try:
            known: dict[str, Any] = ask(tmp_path / "data", {"do": "status"}, 60)["status"]
        except NotRunningError:
            return {"phase": "", "last": None, "totals": None, "camera": None}
        return known

    return asked


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """A folder with five images of bright discs, more of them in each."""
    folder = tmp_path / "images"
    folder.mkdir()
    y, x = np.mgrid[:90, :110]
    for number in range(5):
        rng = np.random.default_rng(number)
        image = rng.normal(40, 5, y.shape)
        for top, left in rng.uniform((10, 10), (80, 100), (2 * number + 1, 2)):
            image[np.hypot(y - top, x - left) < 7] += 120
        cv2.imwrite(str(folder / f"{number}.png"), np.clip(image, 0, 255).astype(np.uint8))
    return folder


@pytest.fixture
def loaded_again() -> Callable[[Path], Loaded]:
    """Reads a configuration file."""
    return lambda file: load(file, {}, {})
