"""The scores of a model on images whose nuclei are known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from unetplus_edge.evaluation import ImageScores, score_image

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import numpy as np
    from numpy.typing import NDArray

    from unetplus_runtime.segmenter import Result, Segmenter

    Seen = Callable[["Labelled", NDArray[np.int32], Result], None]


class Labelled(Protocol):
    """An image whose nuclei are known, such as a `unetplus_edge.datasets.Sample`."""

    @property
    def id(self) -> str:
        """Its name."""
        ...

    def image(self) -> NDArray[np.generic]:
        """Return the raw image, shape (height, width)."""
        ...

    def labels(self) -> NDArray[np.int32]:
        """Return the true label image, int32, same shape."""
        ...


def evaluate(
    segmenter: Segmenter, samples: Iterable[Labelled], seen: Seen | None = None
) -> list[tuple[str, ImageScores]]:
    """Return the scores of every image.

    Parameters
    ----------
    segmenter
        The model, with any engine.
    samples
        Images with their truth.
    seen
        Called after every image with the sample, its true label image and what was found.

    Returns
    -------
    list of (str, ImageScores)
        Id and scores, in the order of the samples; `unetplus_edge.evaluation.score_set` makes the
        scores of the set of them.

    Raises
    ------
    DataSetError
        If an image or a truth cannot be read.
    """
    scores = []
    samples = list(samples)
    results = segmenter.stream(sample.image() for sample in samples)
    for sample, result in zip(samples, results, strict=True):
        truth = sample.labels()
        scores.append((sample.id, score_image(truth, result.labels)))
        if seen:
            seen(sample, truth, result)
    return scores
