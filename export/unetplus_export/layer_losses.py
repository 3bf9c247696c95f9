"""What the rounding of one layer does to the answers, by which layers are chosen that stay in a higher precision."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

Network = TypeVar("Network")


def some_of(patches: NDArray[np.float32], most: int = 8) -> NDArray[np.float32]:
    """Return at most so many patches, spread over a set of them; layers are compared on few, since they are many."""
    return patches[:: max(len(patches) // most, 1)][:most]


def signal_to_noise(expected: NDArray[np.floating], answers: NDArray[np.floating]) -> float:
    """Return the power of what is expected over that of its error in dB; infinite where there is none.

    >>> round(signal_to_noise(np.ones(100), np.full(100, 0.9)), 3)
    20.0
    """
    noise = np.square(np.subtract(answers, expected, dtype=np.float64)).sum()
    return float(10 * np.log10(np.square(expected, dtype=np.float64).sum() / noise)) if noise else float("inf")


def worst_first(
    answers: Callable[[Network], NDArray[np.floating]], exact: Network, changed: Iterable[tuple[str, Network]]
) -> list[tuple[str, float]]:
    """Return how well the answers of networks in which one layer is changed agree with those of the exact one.

    A rounding error early in the network reaches more of it than one that is as large at the end,
    so it is the answer that is compared, and not what the layer itself gives.

    Parameters
    ----------
    answers
        Returns what a network answers.
    exact
        The network that nothing is rounded in.
    changed
        Names of layers, each with a network in which that layer alone is rounded.

    Returns
    -------
    list of (str, float)
        Names with their signal to noise in dB, lowest first.
    """
    expected = answers(exact)
    losses = [(name, signal_to_noise(expected, answers(network))) for name, network in changed]
    return sorted(losses, key=lambda loss: loss[1])
