"""Images for a watched folder, and a thread that puts them there as programs of microscopes do."""

from __future__ import annotations

import time
from threading import Event, Thread
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from unetplus_edge.datasets.specimen import Specimen, simulate

if TYPE_CHECKING:
    import random
    from pathlib import Path

_SLOW_PARTS = 4
_JPEG = (cv2.IMWRITE_JPEG_QUALITY, 95, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420)


class Picture(NamedTuple):
    """An image file.

    Attributes
    ----------
    name
        Of the picture, not of the file.
    content
        The file, whole.
    """

    name: str
    content: bytes


def draw(side: int, number: int, first_seed: int = 0) -> list[Picture]:
    """Return different pictures of the specimen, as PNG files of 16 bits."""
    pictures = []
    for seed in range(first_seed, first_seed + number):
        image = simulate(Specimen(height=side, width=side, seed=seed)).image
        encoded = cv2.imencode(".png", np.asarray(image))[1].tobytes()
        pictures.append(Picture(f"picture{seed}", encoded))
    return pictures


def draw_as_cameras(side: int, number: int) -> list[bytes]:
    """Return different pictures of the specimen as cameras in the network send them: JPEG files in colour, 4:2:0."""
    images = [
        np.asarray(simulate(Specimen(height=side, width=side, bit_depth=8, seed=seed)).image) for seed in range(number)
    ]
    return [cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_GRAY2BGR), _JPEG)[1].tobytes() for image in images]


def put_whole(path: Path, content: bytes) -> None:
    """Write a file under another name and rename it, as well-behaved programs do."""
    unfinished = path.with_name(f".{path.name}.part")
    unfinished.write_bytes(content)
    unfinished.replace(path)


class Feeder:
    """Puts pictures into a folder until it is stopped: `NUMBER-PICTURE.png`. It is a context manager.

    Parameters
    ----------
    folder
        Where.
    pictures
        Which, in turns.
    chance
        Draws the pauses, and which files are written slowly in place instead of being renamed.
    rate
        Files a second, on average.
    slow
        What part of them is written slowly.

    Attributes
    ----------
    put
        Picture by name of the file, of all that are complete.
    """

    def __init__(
        self, folder: Path, pictures: list[Picture], chance: random.Random, *, rate: float, slow: float = 0.0
    ) -> None:
        self.put: dict[str, str] = {}
        self._folder, self._pictures, self._chance = folder, pictures, chance
        self._rate, self._slow = rate, slow
        self._stopping = Event()
        self._thread = Thread(target=self._run, daemon=True)

    def __enter__(self) -> Feeder:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Put no more there."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        number = 0
        while not self._stopping.wait(self._chance.expovariate(self._rate)):
            picture = self._pictures[number % len(self._pictures)]
            path = self._folder / f"{number:06}-{picture.name}.png"
            if self._chance.random() < self._slow:
                write_slowly(path, picture.content, pause=0.05)
            else:
                put_whole(path, picture.content)
            self.put[path.name] = picture.name
            number += 1


def write_slowly(path: Path, content: bytes, pause: float) -> None:
    """Write a file in place, in four parts with pauses between them."""
    part = -(-len(content) // _SLOW_PARTS)
    with path.open("wb", buffering=0) as file:
        for begin in range(0, len(content), part):
            file.write(content[begin : begin + part])
            time.sleep(pause)
