from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from unetplus_edge.datasets.specimen import Specimen, simulate
from unetplus_edge.errors import BundleError, EngineError
from unetplus_edge.imaging import PATCH_SIDE
from unetplus_runtime import Segmenter
from unetplus_runtime.configuration import ModelSettings
from unetplus_runtime.daemon.model import ModelHolder, ServedModel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from unetplus_edge.bundle import Bundle


class _Answers:
    """An engine that answers with what a function returns."""

    def __init__(self, engine: type, answer: object) -> None:
        self.info = engine().info
        self._answer = answer
        self.closed = False

    def infer(self, patches: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(self._answer(patches), np.float32)  # type: ignore[operator]

    def close(self) -> None:
        self.closed = True


def _served(bundle: Bundle, engine: object) -> ServedModel:
    return ServedModel(ModelSettings(bundle=str(bundle.path)), Segmenter(bundle, engine))  # type: ignore[arg-type]


def test_a_model_says_what_it_is_and_what_it_finds(model_settings: ModelSettings, bundle: Bundle) -> None:
    model = ServedModel(model_settings)
    model.warm_up()
    specimen = simulate(Specimen(height=PATCH_SIDE, width=PATCH_SIDE, seed=0))
    with Segmenter(bundle, "litert", 1) as segmenter:
        assert model.facts.specimen_nuclei == len(segmenter.segment(specimen.image).nuclei)
    assert model.facts.specimen_truth == len(set(specimen.labels.ravel().tolist()) - {0})
    assert (model.facts.name, model.facts.engine, model.facts.precision) == ("tiny", "litert", "fp32")
    model.close()


def test_models_that_differ_have_different_hashes(model_settings: ModelSettings, map_engine: type) -> None:
    model = ServedModel(model_settings)
    again = ServedModel(model_settings)
    other = _served(model.segmenter.bundle, map_engine())
    assert model.facts.hash == again.facts.hash != other.facts.hash
    for opened in (model, again, other):
        opened.close()


def test_a_model_cuts_frames_as_the_settings_say(
    model_settings: ModelSettings, bundle: Bundle, frame: NDArray[np.uint16]
) -> None:
    cut = ServedModel(model_settings.model_copy(update={"grid": "halo"}))
    with Segmenter(bundle, "litert", 1, grid="halo") as segmenter:
        expected = segmenter.segment(frame).probability
    np.testing.assert_array_equal(cut.segmenter.segment(frame).probability, expected)
    assert cut.facts.grid == "halo"
    cut.close()


def test_models_that_cut_frames_differently_have_different_hashes(model_settings: ModelSettings) -> None:
    model = ServedModel(model_settings)
    other = ServedModel(model_settings.model_copy(update={"grid": "halo"}))
    assert model.facts.hash != other.facts.hash
    for opened in (model, other):
        opened.close()


def test_a_model_on_an_engine_that_takes_no_frames_in_one_piece_is_refused(model_settings: ModelSettings) -> None:
    model = ServedModel(model_settings.model_copy(update={"grid": "whole"}))
    with pytest.raises(EngineError, match="takes no frames in one piece"):
        model.warm_up()
    model.close()


def test_a_model_that_is_not_there_is_refused(model_settings: ModelSettings) -> None:
    with pytest.raises(BundleError):
        ServedModel(model_settings.model_copy(update={"bundle": "no_such_model"}))


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda patches: patches * np.nan, "no probabilities"),
        (lambda patches: patches + 1, "no probabilities"),
        (lambda patches: patches * 0 + 0.3, "the same everywhere"),
        (lambda patches: np.random.default_rng().random(patches.shape).round(), "differently each time"),
    ],
)
def test_answers_that_make_no_sense_are_refused(
    plain_bundle: Bundle, map_engine: type, answer: object, said: str
) -> None:
    with pytest.raises(EngineError, match=said):
        _served(plain_bundle, _Answers(map_engine, answer)).warm_up()


def test_an_engine_that_cannot_take_the_frames_that_come_is_refused(plain_bundle: Bundle, map_engine: type) -> None:
    def fails_on_zeros(patches: NDArray[np.float32]) -> NDArray[np.float32]:
        if not patches.any():
            raise EngineError("not these")
        return patches

    model = _served(plain_bundle, _Answers(map_engine, fails_on_zeros))
    model.warm_up()
    with pytest.raises(EngineError, match="not these"):
        model.warm_up(like=np.zeros((70, 70), np.uint8))


class _Closable:
    """A model of which only closing matters."""

    def __init__(self) -> None:
        self.closed = 0

    def close(self) -> None:
        self.closed += 1


def _holder(model: _Closable) -> Any:
    return ModelHolder(model)  # type: ignore[arg-type]


def test_a_model_is_closed_only_between_two_frames() -> None:
    old, new = _Closable(), _Closable()
    holder = _holder(old)
    assert holder.between_frames() is old
    holder.swap(new)
    assert not old.closed
    assert holder.newest is new
    assert holder.between_frames() is new
    assert (old.closed, new.closed) == (1, 0)


def test_a_model_that_never_got_a_frame_is_closed_when_another_comes() -> None:
    models = [_Closable() for _ in range(3)]
    holder = _holder(models[0])
    holder.swap(models[1])
    holder.swap(models[2])
    assert [model.closed for model in models] == [0, 1, 0]
    holder.close()
    assert [model.closed for model in models] == [1, 1, 1]


def test_a_model_that_comes_too_late_is_closed() -> None:
    first, late = _Closable(), _Closable()
    holder = _holder(first)
    holder.close()
    holder.swap(late)
    assert (first.closed, late.closed) == (1, 1)
