"""Which of several channels holds the nuclei."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from unetplus_edge.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

COLOURS = ("red", "green", "blue")
"""Names of the channels of a colour image."""


@dataclass(frozen=True)
class Channels:
    """The channels of a series.

    Attributes
    ----------
    names
        Of all; empty where they have none.
    count
        How many there are.
    """

    names: Sequence[str]
    count: int


def find_channel(channel: str, names: Sequence[str], count: int, image: str) -> int:
    """Return which channel is meant, counted from 0.

    Parameters
    ----------
    channel
        A name, in upper or lower case; or a number, counted from 1 as Fiji does. A name goes
        before a number, because channels may be called 405 and 488.
    names
        Of all channels; empty where they have none.
    count
        How many channels there are.
    image
        What to call the image in an error.

    Raises
    ------
    InputError
        If there is no such channel, or more than one.

    Examples
    --------
    >>> find_channel("dapi", ["GFP", "DAPI"], 2, "a.tif")
    1
    >>> find_channel("2", [], 3, "a.tif")
    1
    """
    return choose_channels(channel, {0: Channels(names, count)}, image)[0][0]


def choose_channels(
    channel: str | None, series: Mapping[int, Channels], image: str
) -> tuple[dict[int, int], str | None]:
    """Return which channel is meant in each series of an image.

    A slide holds pictures of its label and of the whole glass beside its image: series that have not the
    channel are passed over where another one has it.

    Parameters
    ----------
    channel
        As for `find_channel`; None where there is nothing to choose.
    series
        Their channels, by number from 0.
    image
        What to call the image in an error.

    Returns
    -------
    chosen : dict
        The channel, from 0, of every series that has it, by the number of the series.
    passed_over : str or None
        The series that have it not, in words.

    Raises
    ------
    InputError
        If no series has it, or one has several of that name; or none is named and a series has several.

    Examples
    --------
    >>> choose_channels("DAPI", {0: Channels(["GFP", "DAPI"], 2), 1: Channels(COLOURS, 3)}, "a.tif")
    ({0: 1}, 'series 2 of a.tif, without a channel DAPI')
    """
    if channel is None:
        if any(channels.count > 1 for channels in series.values()):
            raise _require_choice(series.values(), image)
        return dict.fromkeys(series, 0), None
    places = {number: _place(channel, channels, image) for number, channels in series.items()}
    chosen = {number: place for number, place in places.items() if place is not None}
    if series and not chosen:
        raise InputError(f"{image} has no channel {channel}; it has {_listed(series.values())}")
    lacking = ", ".join(str(number + 1) for number in series if number not in chosen)
    return chosen, f"series {lacking} of {image}, without a channel {channel}" if lacking else None


def _place(channel: str, channels: Channels, image: str) -> int | None:
    wanted = channel.strip().casefold()
    matches = [index for index, name in enumerate(channels.names) if name.strip().casefold() == wanted]
    if len(matches) > 1:
        raise InputError(f"{image} has {len(matches)} channels called {channel}; name one by its number, from 1")
    if not matches and wanted.isdecimal() and 1 <= int(wanted) <= channels.count:
        return int(wanted) - 1
    return matches[0] if matches else None


def require_choice(names: Sequence[str], count: int, image: str) -> InputError:
    """Return the refusal of an image with several channels of which none was chosen."""
    return _require_choice([Channels(names, count)], image)


def take_channel(
    image: NDArray[Any], channel: str | None, name: str, *, names: Sequence[str] = (), alpha: bool = False
) -> NDArray[Any]:
    """Return one channel of an image.

    Where none is chosen, all channels must be equal, and there may be no transparency.

    Parameters
    ----------
    image
        Shape (height, width), or (height, width, samples).
    channel
        As for `find_channel`, or None.
    name
        What to call the image in an error.
    names
        Of the channels. By default those of a grey image have none, and three are red, green and
        blue.
    alpha
        Whether the last sample is opacity instead of a channel.

    Returns
    -------
    numpy.ndarray
        Shape (height, width), contiguous.

    Raises
    ------
    InputError
        If there is no such channel; or none is chosen and the image is in colour or transparent.
    """
    if image.ndim == 2:
        image = image[:, :, None]
    channels = image[:, :, :-1] if alpha else image
    count = channels.shape[2]
    names = names or (COLOURS if count == len(COLOURS) else ())
    if channel is not None:
        return np.ascontiguousarray(channels[:, :, find_channel(channel, names, count, name)])
    opaque = np.iinfo(image.dtype).max if image.dtype.kind == "u" else 1
    if alpha and image[:, :, -1].min() < opaque:
        raise InputError(f"{name} has transparent pixels; save it without, or name the channel by --channel")
    first = channels[:, :, :1]
    if count > 1 and (channels[:, :, 1:] != first).any():
        if names == COLOURS:
            raise InputError(f"{name} is in colour; name the channel with the nuclei: --channel red, green or blue")
        raise require_choice(names, count, name)
    return np.ascontiguousarray(first[:, :, 0])


def _require_choice(series: Iterable[Channels], image: str) -> InputError:
    return InputError(
        f"{image} holds {_listed(series)}; name the one with the nuclei by --channel NUMBER or --channel NAME"
    )


def _listed(series: Iterable[Channels]) -> str:
    return ", in other series ".join(dict.fromkeys(map(_listed_one, series)))


def _listed_one(channels: Channels) -> str:
    if channels.count == 1:
        return "one channel"
    numbers = [f"{number} ({name})" if name else str(number) for number, name in enumerate(channels.names, start=1)]
    return f"{channels.count} channels{': ' if numbers else ''}{', '.join(numbers)}"
