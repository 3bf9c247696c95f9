"""The model at work: opened, tried on a frame whose nuclei are known, and swapped between two frames."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import replace
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from unetplus_edge.datasets.specimen import Specimen, simulate
from unetplus_edge.errors import EngineError
from unetplus_edge.imaging import PATCH_SIDE
from unetplus_runtime.daemon.facts import ModelFacts
from unetplus_runtime.provenance import provenance_of
from unetplus_runtime.segmenter import Segmenter

if TYPE_CHECKING:
    from unetplus_edge.imaging.frames import Frame as Pixels
    from unetplus_runtime.configuration import ModelSettings

_FLAT = 1e-6  # of probability: a network whose answers vary by no more has learnt nothing


class ServedModel:
    """A model that is open.

    Parameters
    ----------
    settings
        Which, and what runs it.
    segmenter
        It, where it is open already; None opens what the settings say.

    Attributes
    ----------
    segmenter
        It.
    facts
        What is known of it; the counts in the specimen are 0 until it was warmed up.

    Raises
    ------
    BundleError
        If there is no such bundle, or a file of it is not what its manifest says.
    EngineError
        If no engine opens.
    """

    def __init__(self, settings: ModelSettings, segmenter: Segmenter | None = None) -> None:
        self.settings = settings
        self.segmenter = segmenter or Segmenter(
            settings.bundle, settings.engine, settings.threads, settings.execution, settings.grid
        )
        engine, provenance = self.segmenter.engine, provenance_of(self.segmenter)
        self.facts = ModelFacts(
            name=self.segmenter.bundle.manifest.name,
            bundle=str(self.segmenter.bundle.path),
            hash=hashlib.sha256(json.dumps(provenance, sort_keys=True).encode()).hexdigest(),
            engine=engine.engine,
            library=f"{engine.library} {engine.library_version}",
            precision=engine.executed_precision,
            device=engine.device,
            grid=self.segmenter.grid,
            threads=engine.threads,
            specimen_nuclei=0,
            specimen_truth=0,
            since=time.time(),
            provenance=provenance,
            passed_over=tuple(engine.passed_over),
        )

    def warm_up(self, like: Pixels | None = None) -> None:
        """Segment what is known, so that the first frame does not wait, and see that the answers make sense.

        Parameters
        ----------
        like
            A frame such as will come, which is segmented too; None where that is not known yet.

        Raises
        ------
        EngineError
            If the engine fails, or its answers are no probabilities, are the same everywhere, or
            are others when it is asked again.
        """
        specimen = simulate(Specimen(height=PATCH_SIDE, width=PATCH_SIDE, seed=0))
        first, again = (self.segmenter.segment(specimen.image) for _ in range(2))
        probability, name = first.probability, f"{self.facts.name} on {self.facts.engine} {self.facts.precision}"
        if not np.isfinite(probability).all() or probability.min() < 0 or probability.max() > 1:
            raise EngineError(f"{name} answers a known frame with what are no probabilities; convert the model again")
        if np.ptp(probability) <= _FLAT:
            raise EngineError(f"{name} answers the same everywhere in a known frame; train or convert the model again")
        if not np.array_equal(first.labels, again.labels):
            raise EngineError(f"{name} answers the same frame differently each time; choose another engine")
        if like is not None:
            self.segmenter.segment(like)
        truth = len(np.unique(specimen.labels[specimen.labels > 0]))
        self.facts = replace(self.facts, specimen_nuclei=len(first.nuclei), specimen_truth=truth, since=time.time())

    def close(self) -> None:
        """Let go of the engine."""
        self.segmenter.close()


class ModelHolder:
    """The model at work, and the one that is to work next. One thread segments; any may swap.

    Parameters
    ----------
    model
        The first, which the holder closes in the end, as it does all others.
    """

    def __init__(self, model: ServedModel) -> None:
        self._lock = Lock()
        self._working = self._next = model
        self._closed = False

    @property
    def newest(self) -> ServedModel:
        """That which the next frame gets."""
        return self._next

    def between_frames(self) -> ServedModel:
        """Return the model of the next frame, and close one that it replaces; the segmenting thread asks."""
        with self._lock:
            old, self._working = self._working, self._next
        if old is not self._working:
            old.close()
        return self._working

    def swap(self, model: ServedModel) -> None:
        """Let the next frame get another model, unless all is closed: then that is closed, too."""
        with self._lock:
            waiting, unused = self._next, self._next is not self._working
            if self._closed:
                waiting, unused = model, True
            else:
                self._next = model
        if unused:
            waiting.close()

    def close(self) -> None:
        """Close what is open."""
        with self._lock:
            models, self._closed = {self._working, self._next}, True
        for model in models:
            model.close()
