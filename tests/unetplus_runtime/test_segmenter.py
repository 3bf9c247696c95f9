from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from unetplus_edge.bundle import update_manifest
from unetplus_edge.errors import EngineError, InputError
from unetplus_edge.imaging import Postprocessing, Preprocessing, preprocess
from unetplus_runtime import Segmenter

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from unetplus_edge.bundle import Bundle

STAGES = ["preprocess", "patches", "engine", "stitch", "postprocess", "measure"]


def test_an_identity_engine_gives_the_preprocessed_frame_back(
    plain_bundle: Bundle, map_engine: Any, frame: NDArray[np.uint16]
) -> None:
    result = Segmenter(plain_bundle, map_engine()).segment(frame)
    expected = preprocess(frame, plain_bundle.manifest.recipe.preprocessing)
    np.testing.assert_array_equal(result.probability, expected)
    assert result.probability.dtype == np.float32


def test_known_probabilities_become_known_nuclei(plain_bundle: Bundle, map_engine: Any) -> None:
    probability = np.full((1, 64, 64, 1), 0.1, np.float32)
    probability[0, 5:15, 5:15, 0] = 0.9
    probability[0, 9:11, 9:11, 0] = 0.2  # a hole of 4 pixels
    probability[0, 30:35, 40:64, 0] = 0.51
    probability[0, 50:53, 2:5, 0] = 1  # 9 pixels, less than a nucleus has
    image = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64)
    result = Segmenter(plain_bundle, map_engine(probability)).segment(image, pixel_size=0.5)
    truth = np.zeros((64, 64), np.int32)
    truth[5:15, 5:15] = 1
    truth[30:35, 40:64] = 2
    np.testing.assert_array_equal(result.labels, truth)
    assert result.labels.dtype == np.int32
    assert result.nuclei.area.tolist() == [100, 120]
    assert result.nuclei.touches_border.tolist() == [False, True]
    assert result.nuclei.intensity_mean[0] == image[5:15, 5:15].mean()
    assert result.nuclei.columns()["area_um2"].tolist() == [25, 30]


def test_overlapping_patches_give_their_maximum(plain_bundle: Bundle, map_engine: Any) -> None:
    answers = np.zeros((2, 64, 64, 1), np.float32)
    answers[0] = 0.25
    answers[1] = 0.75
    result = Segmenter(plain_bundle, map_engine(answers), grid="article").segment(np.zeros((64, 80), np.uint8))
    assert (result.probability[:, :16] == 0.25).all()
    assert (result.probability[:, 16:] == 0.75).all()


def test_the_constants_are_those_of_the_manifest(
    plain_bundle: Bundle, map_engine: Any, frame: NDArray[np.uint16]
) -> None:
    manifest = plain_bundle.manifest
    preprocessing = Preprocessing(clahe_tile=32, clahe_clip=4, tv_weight=0.2, tv_iterations=3)
    changed = update_manifest(
        plain_bundle,
        manifest.model_copy(
            update={
                "recipe": manifest.recipe.model_copy(update={"preprocessing": preprocessing}),
                "postprocessing": Postprocessing(threshold=0.3, min_nucleus_area=1, max_hole_area=0),
            }
        ),
    )
    result = Segmenter(changed, map_engine()).segment(frame)
    np.testing.assert_array_equal(result.probability, preprocess(frame, preprocessing))
    np.testing.assert_array_equal(result.labels > 0, result.probability > 0.3)


def test_every_stage_is_timed(bundle: Bundle, frame: NDArray[np.uint16]) -> None:
    with Segmenter(bundle) as segmenter:
        timings = segmenter.segment(frame).timings
    assert list(timings) == STAGES
    assert all(seconds >= 0 for seconds in timings.values())


def test_results_stay_as_they_are_when_the_next_frame_is_segmented(bundle: Bundle, frame: NDArray[np.uint16]) -> None:
    with Segmenter(bundle) as segmenter:
        first = segmenter.segment(frame)
        kept = first.probability.copy()
        segmenter.segment(frame[::-1].copy())
    np.testing.assert_array_equal(first.probability, kept)


def test_the_frame_is_not_changed(bundle: Bundle, frame: NDArray[np.uint16]) -> None:
    before = frame.copy()
    with Segmenter(bundle) as segmenter:
        segmenter.segment(frame)
    np.testing.assert_array_equal(frame, before)


def test_four_threads_get_what_one_gets(bundle: Bundle) -> None:
    rng = np.random.default_rng(3)
    frames = [rng.integers(0, 255, rng.integers(40, 200, 2), np.uint8) for _ in range(16)]
    with Segmenter(bundle, threads=1) as segmenter:
        alone = [segmenter.segment(frame) for frame in frames]
        with ThreadPoolExecutor(4) as threads:
            together = list(threads.map(segmenter.segment, frames))
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one.probability, other.probability)
        np.testing.assert_array_equal(one.labels, other.labels)


def test_a_model_is_opened_by_its_folder(bundle: Bundle, frame: NDArray[np.uint16]) -> None:
    with Segmenter(bundle.path) as by_path, Segmenter(str(bundle.path)) as by_text:
        assert by_path.engine.engine == by_text.engine.engine == "litert"
        assert by_path.bundle == by_text.bundle == bundle


def test_leaving_closes_the_engine_that_it_opened(bundle: Bundle, frame: NDArray[np.uint16]) -> None:
    with Segmenter(bundle) as segmenter:
        pass
    with pytest.raises(EngineError, match="is closed"):
        segmenter.segment(frame)


def test_leaving_keeps_the_engine_that_the_caller_opened(plain_bundle: Bundle, map_engine: Any) -> None:
    engine = map_engine()
    with Segmenter(plain_bundle, engine):
        pass
    assert not engine.closed


def test_an_engine_for_patches_of_another_size_is_refused(plain_bundle: Bundle, map_engine: Any) -> None:
    engine = map_engine()
    engine.info = replace(engine.info, patch_side=128)
    with pytest.raises(EngineError, match=r"takes patches of 128 x 128 pixels, its bundle .* of 64 x 64"):
        Segmenter(plain_bundle, engine)


def test_what_is_no_frame_is_refused(plain_bundle: Bundle, map_engine: Any) -> None:
    segmenter = Segmenter(plain_bundle, map_engine())
    with pytest.raises(InputError, match="choose one channel and one page"):
        segmenter.segment(np.zeros((10, 10, 3), np.uint8))
    with pytest.raises(InputError, match="NaN"):
        segmenter.segment(np.full((10, 10), np.nan))


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (64, 64), (65, 1)])
def test_frames_of_any_size_have_results_of_their_size(
    plain_bundle: Bundle, map_engine: Any, shape: tuple[int, int]
) -> None:
    result = Segmenter(plain_bundle, map_engine()).segment(np.full(shape, 7, np.uint8))
    assert result.labels.shape == result.probability.shape == shape
    assert len(result.nuclei) == 0
