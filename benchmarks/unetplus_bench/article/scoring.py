"""The scores of a model on the article's test images, by the article's own postprocessing."""

from __future__ import annotations

import platform
from dataclasses import asdict
from importlib.metadata import version
from typing import TYPE_CHECKING, Final, NamedTuple

from unetplus_bench.article.collect import log_of
from unetplus_bench.article.record import ArticleRecord
from unetplus_bench.results import NetworkRecord
from unetplus_edge import __version__
from unetplus_edge.architecture_cost import architecture_cost
from unetplus_edge.bundle import Bundle
from unetplus_edge.datasets import content_hash
from unetplus_edge.evaluation import score_set
from unetplus_edge.imaging import Postprocessing
from unetplus_runtime.scoring import evaluate
from unetplus_runtime.segmenter import Segmenter

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from unetplus_edge.datasets import Sample
    from unetplus_runtime.engines import EngineInfo
    from unetplus_runtime.scoring import Labelled

ARTICLES: Final = Postprocessing(threshold=0.5)
"""The article's threshold, and this project's sizes of small holes and nuclei, which it leaves open."""

GRID: Final = "article"
"""The article's patches, side by side and at the far edges one over the other, of which the maximum counts."""


def by_the_article(bundle: Bundle, constants: Postprocessing = ARTICLES) -> Bundle:
    """Return a bundle with the article's postprocessing in place of its own; nothing is written."""
    return Bundle(bundle.path, bundle.manifest.model_copy(update={"postprocessing": constants}))


class Scored(NamedTuple):
    """The scores of a model on a set of images.

    Attributes
    ----------
    scores
        By name, as `unetplus_edge.evaluation.SetScores` has them.
    engine
        What ran it.
    """

    scores: dict[str, float | None]
    engine: EngineInfo


def scored_on(
    samples: Sequence[Sample],
    bundle: Bundle,
    constants: Postprocessing = ARTICLES,
    done: Callable[[], None] = lambda: None,
) -> Scored:
    """Score a model by its Keras file, in float32, on the article's patches.

    Parameters
    ----------
    samples
        Images with their nuclei.
    bundle
        Of the model.
    constants
        Of the postprocessing, in place of the bundle's own.
    done
        Called after every image.
    """

    def seen(*_: object) -> None:
        done()

    with Segmenter(by_the_article(bundle, constants), engine="keras", grid=GRID) as segmenter:
        found = evaluate(segmenter, _labelled(samples), seen)
        return Scored(asdict(score_set([score for _, score in found])), segmenter.engine)


def scored(
    name: str,
    bundle: Bundle,
    samples: Sequence[Sample],
    command: str,
    done: Callable[[], None] = lambda: None,
) -> ArticleRecord:
    """Score a training by the article's method.

    Parameters
    ----------
    name
        Of the training.
    bundle
        As `collect` has put it there, with the log beside.
    samples
        The test images.
    command
        As it was typed.
    done
        Called after every image.
    """
    manifest = bundle.manifest
    architecture, side = manifest.recipe.architecture, manifest.recipe.patch_side
    cost = architecture_cost(architecture, side)
    scores, engine = scored_on(samples, bundle, done=done)
    return ArticleRecord(
        name=name,
        command=command,
        keras_sha256=manifest.keras_sha256,
        recipe=manifest.recipe,
        network=NetworkRecord(
            name=architecture.name,
            base_filters=architecture.base_filters,
            weights=cost.weights,
            macs=cost.macs,
            side=side,
        ),
        best_epoch=manifest.best_epoch,
        log=log_of(bundle),
        images_sha256=content_hash(samples),
        postprocessing=ARTICLES,
        engine=engine.engine,
        executed_precision=engine.executed_precision,
        scores=scores,
        versions={
            "unetplus-edge": __version__,
            "python": platform.python_version(),
            engine.library: engine.library_version,
            **{library: version(library) for library in ("numpy", "opencv-python-headless")},
        },
    )


def _labelled(samples: Sequence[Sample]) -> Sequence[Labelled]:
    return samples
