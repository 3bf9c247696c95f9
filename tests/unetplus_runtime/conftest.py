"""The smallest engines that can be, and what they are tried with."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
import pytest
import tifffile

from unetplus_runtime.engines import EngineInfo

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self

    from numpy.typing import NDArray

    from unetplus_edge.bundle import Bundle

SIDE = 64  # of the tiny network's patches

_DEADLINE = 180.0  # seconds


class Wait(Protocol):
    def __call__(self, condition: Callable[[], object], what: str = ...) -> None: ...


class MapEngine:
    """Answers every call with the patches that it was made with, whatever it is asked."""

    def __init__(self, answers: NDArray[np.float32] | None = None) -> None:
        self.info = EngineInfo("keras", "none", "0", Path("none"), "fp32", "fp32", "cpu", 1, None, SIDE)
        self.closed = False
        self._answers = answers

    def infer(self, patches: NDArray[np.float32]) -> NDArray[np.float32]:
        return patches if self._answers is None else self._answers

    def close(self) -> None:
        self.closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


@pytest.fixture(scope="session")
def wait() -> Wait:
    """Waits for something that will happen however slow the machine is."""

    def until(condition: Callable[[], object], what: str = "what was waited for") -> None:
        deadline = time.monotonic() + _DEADLINE
        while not condition():
            assert time.monotonic() < deadline, f"{what} did not happen in {_DEADLINE:g} s"
            time.sleep(0.01)

    return until


@pytest.fixture(scope="session")
def map_engine() -> type[MapEngine]:
    """An engine whose answers are known: what it is made with, or else what goes in."""
    return MapEngine


@pytest.fixture
def plain_bundle(make_bundle: Callable[[Path], Bundle], tmp_path: Path) -> Bundle:
    """A bundle whose Keras model is nothing that Keras opens: for tests that bring their own engine."""
    file = tmp_path / "no.keras"
    file.write_bytes(b"nothing")
    return make_bundle(file)


@pytest.fixture(scope="session")
def frame() -> NDArray[np.uint16]:
    """Bright discs on a noisy ground, 12 bits in uint16."""
    rng = np.random.default_rng(5)
    image = rng.normal(300, 20, (150, 201))
    y, x = np.mgrid[:150, :201]
    for top, left, radius in rng.uniform((10, 10, 5), (140, 190, 14), (12, 3)):
        image[np.hypot(y - top, x - left) < radius] += 1500
    return np.clip(image, 0, 4095).astype(np.uint16)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Three images; the second is damaged."""
    folder = tmp_path / "images"
    folder.mkdir()
    for name in ("a", "c"):
        tifffile.imwrite(folder / f"{name}.tif", np.zeros((64, 64), np.uint8))
    (folder / "b.png").write_bytes(b"no image")
    return folder
