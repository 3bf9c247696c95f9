"""What every format of image file has in common: its frames, and the refusals that precede reading."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from unetplus_edge.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from unetplus_edge.imaging.frames import Frame
    from unetplus_runtime.pixel_size import PixelSize

MAX_PIXELS = 100_000_000
"""Most pixels of a frame: segmenting one of this size and writing its results takes about 6 GB."""

MAX_PLANES = 1_000_000
"""Most frames of a file: a header may claim any number."""

_BYTES_A_PIXEL = 8
_OTHER_BYTES = 1 << 26


@dataclass(frozen=True)
class Plane:
    """A frame of a file.

    Attributes
    ----------
    label
        What tells it from the others, to be used in a file name: "page3", "t2_z1"; empty where the
        file holds one frame.
    page
        Page of the file that it is read from, counted from 0.
    pixel_size
        What the file says about it; None where it says nothing.
    shape
        Height and width, where headers were read for it; only files of which frames can be read
        in parts have frames of more than `MAX_PIXELS`.
    """

    label: str
    page: int
    pixel_size: PixelSize | None = None
    shape: tuple[int, int] | None = None

    @property
    def is_large(self) -> bool:
        """Whether it has more than `MAX_PIXELS`, and is read in parts only."""
        return self.shape is not None and self.shape[0] * self.shape[1] > MAX_PIXELS


class FrameView(Protocol):
    """A frame that is read where it is sliced."""

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width."""
        ...

    def __getitem__(self, region: tuple[slice, slice]) -> Frame:
        """Return the pixels of rows and columns; slices have a start and a stop inside the frame, and no step.

        An `InputError` says why they cannot be read.
        """
        ...


class Pages(Protocol):
    """An open file.

    Attributes
    ----------
    planes
        Its frames, in the order in which they are segmented.
    passed_over
        Series without the channel with the nuclei, in words; None where there are none.
    """

    planes: Sequence[Plane]
    passed_over: str | None

    def read(self, plane: Plane) -> Frame:
        """Return a frame: uint8, uint16 or float32, shape (height, width).

        An `InputError` says why it cannot be read; other frames may be readable nevertheless.
        """
        ...

    def view(self, plane: Plane) -> FrameView:
        """Return a frame that is read in parts, while the file is open.

        Files that are read as a whole have no large frames: theirs is the frame itself.
        """
        ...


def numbered(index: int, count: int) -> str:
    """Return an index, counted from 0, as a number from 1, so that the names of all sort.

    >>> numbered(6, 12)
    '07'
    """
    return f"{index + 1:0{len(str(count))}}"


def require_size(name: object, height: int, width: int) -> None:
    """Refuse a frame that is empty, or that would fill the memory.

    Raises
    ------
    InputError
        If it has no pixels, or more than `MAX_PIXELS`.
    """
    if height * width > MAX_PIXELS:
        raise InputError(
            f"{name} has {height} x {width} pixels, more than {MAX_PIXELS:,} in a frame; cut it into smaller frames"
        )
    if height < 1 or width < 1:
        raise InputError(f"{name} has {height} x {width} pixels; save the image again")


def read_content(path: Path, pixels: int) -> bytes:
    """Return what a file holds, unless that is far more than its pixels can take.

    Parameters
    ----------
    path
        A file of one image.
    pixels
        Of the image, as its header says.

    Raises
    ------
    InputError
        If it cannot be read, or is too long.
    """
    longest = _BYTES_A_PIXEL * pixels + _OTHER_BYTES
    try:
        with path.open("rb") as file:
            content = file.read(longest + 1)
    except OSError as error:
        raise unreadable(path, error) from error
    if len(content) > longest:
        raise InputError(f"{path} has more than {longest:,} bytes for {pixels:,} pixels; save the image again")
    return content


def unreadable(path: Path, error: OSError) -> InputError:
    """Return the refusal of a file that the system does not open or read."""
    return InputError(f"{path} cannot be read ({error.strerror or error}); check the path and its permissions")


def cut_off(name: object, after: str) -> InputError:
    """Return the refusal of a file that ends too early.

    >>> cut_off("a.tif", "page 3").args
    ('a.tif is cut off after page 3; copy or save the image again',)
    """
    return InputError(f"{name} is cut off after {after}; copy or save the image again")


def damaged(name: object, where: str = "") -> InputError:
    """Return the refusal of a file whose content contradicts itself.

    >>> damaged("a.png", " at byte 8").args
    ('a.png is damaged at byte 8; copy or save the image again',)
    """
    return InputError(f"{name} is damaged{where}; copy or save the image again")


def another_format(path: Path, kind: str) -> InputError:
    """Return the refusal of a file whose content is not what its suffix says."""
    return InputError(f"{path} is no {kind} file, whatever its name says; save the image again")
