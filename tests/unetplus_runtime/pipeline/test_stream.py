"""A segmenter's stream, grids and threads, with real engines."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest

import unetplus_runtime.segmenter as room
from unetplus_edge.errors import EngineError, InputError
from unetplus_edge.imaging import PatchGrid, label_nuclei, preprocess
from unetplus_export.conversion import Request
from unetplus_export.openvino import convert_openvino
from unetplus_runtime import Segmenter
from unetplus_runtime.engines import open_engine
from unetplus_runtime.pipeline import station

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from unetplus_edge.bundle import Bundle
    from unetplus_edge.imaging import Postprocessing
    from unetplus_runtime.pipeline import Result


@pytest.fixture(scope="module")
def frames() -> list[NDArray[np.uint8]]:
    rng = np.random.default_rng(3)
    return [rng.integers(0, 255, shape, np.uint8) for shape in ((150, 201), (64, 64), (150, 201), (30, 300), (65, 70))]


@pytest.fixture(scope="module")
def openvino_file(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    if find_spec("openvino") is None:
        pytest.skip("needs the openvino extra")
    path = tmp_path_factory.mktemp("openvino") / "tiny.xml"
    convert_openvino(Request(bundle, "fp32", 64), path)
    return path


def require_same(one: Result, other: Result) -> None:
    np.testing.assert_array_equal(one.probability, other.probability)
    np.testing.assert_array_equal(one.labels, other.labels)
    for name, column in one.nuclei.columns().items():
        np.testing.assert_array_equal(column, other.nuclei.columns()[name])


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_a_stream_gives_what_each_frame_gives_by_itself_in_order(
    bundle: Bundle, frames: list[NDArray[np.uint8]], threads: int
) -> None:
    with Segmenter(bundle, "litert", threads=1) as alone, Segmenter(bundle, "litert", threads=threads) as segmenter:
        results = list(segmenter.stream(frames * 3, pixel_size=0.5))
        assert len(results) == 15
        for frame, result in zip(frames * 3, results, strict=True):
            require_same(result, alone.segment(frame, pixel_size=0.5))


def test_large_frames_of_a_stream_give_the_same(
    bundle: Bundle, frames: list[NDArray[np.uint8]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "_MOST_PIXELS", 2 * 64 * 64)
    with Segmenter(bundle, "litert", threads=2) as segmenter:
        assert segmenter.is_large(frames[0].size)
        assert not segmenter.is_large(64 * 64)
        for frame, result in zip(frames, segmenter.stream(frames), strict=True):
            require_same(result, segmenter.segment(frame))


def test_a_frame_that_is_none_is_refused_when_its_turn_comes(bundle: Bundle, frames: list[NDArray[np.uint8]]) -> None:
    with Segmenter(bundle, "litert", threads=2) as segmenter:
        results = segmenter.stream([frames[0], np.zeros((4, 4, 3), np.uint8), frames[1]])
        next(results)
        with pytest.raises(InputError, match="two axes"):
            next(results)
        # And it goes on to be of use.
        assert segmenter.segment(frames[1]).labels.shape == frames[1].shape


def test_results_of_a_stream_stay_as_they_are(bundle: Bundle, frames: list[NDArray[np.uint8]]) -> None:
    with Segmenter(bundle, "litert", threads=2) as segmenter:
        results = segmenter.stream([frames[0], *[255 - frames[0]] * 6])
        first = next(results)
        kept = first.probability.copy(), first.labels.copy()
        list(results)
    np.testing.assert_array_equal(first.probability, kept[0])
    np.testing.assert_array_equal(first.labels, kept[1])


@pytest.mark.parametrize(("grid", "halo"), [("article", None), ("spread", 0), ("halo", 16)])
def test_a_grid_is_that_of_its_patches(
    bundle: Bundle, frames: list[NDArray[np.uint8]], grid: Any, halo: int | None
) -> None:
    manifest = bundle.manifest
    with open_engine(bundle, "litert", threads=1) as engine, Segmenter(bundle, "litert", grid=grid) as segmenter:
        cut = PatchGrid(150, 201, 64, halo)
        expected = cut.stitch(engine.infer(cut.cut(preprocess(frames[0], manifest.recipe.preprocessing))))
        result = segmenter.segment(frames[0])
    np.testing.assert_array_equal(result.probability, expected)
    np.testing.assert_array_equal(result.labels, label_nuclei(expected, manifest.postprocessing))


def test_another_grid_is_refused(bundle: Bundle) -> None:
    grid: Any = "round"
    with pytest.raises(InputError, match="round is no way to cut frames; ask for one of article"):
        Segmenter(bundle, grid=grid)


@pytest.mark.parametrize("shape", [(64, 64), (96, 160), (150, 201)])
def test_openvino_and_keras_answer_alike_to_a_frame_in_one_piece(
    bundle: Bundle, openvino_file: Path, shape: tuple[int, int]
) -> None:
    frame = np.random.default_rng(1).integers(0, 255, shape, np.uint8)
    with open_engine(openvino_file) as engine, Segmenter(bundle, "keras", grid="whole") as keras:
        result = Segmenter(bundle, engine, grid="whole").segment(frame)
        np.testing.assert_allclose(result.probability, keras.segment(frame).probability, atol=1e-5)
    assert result.probability.std() > 1e-4


def test_a_frame_of_a_patchs_size_is_the_same_in_one_piece(bundle: Bundle, openvino_file: Path) -> None:
    frame = np.random.default_rng(1).integers(0, 255, (64, 64), np.uint8)
    with open_engine(openvino_file) as engine:
        whole, cut = (Segmenter(bundle, engine, grid=grid).segment(frame) for grid in ("whole", "article"))
    np.testing.assert_allclose(whole.probability, cut.probability, atol=1e-6)


def test_an_engine_that_takes_no_frames_in_one_piece_says_so(bundle: Bundle) -> None:
    with (
        Segmenter(bundle, "litert", grid="whole") as segmenter,
        pytest.raises(
            EngineError, match=r"litert takes no frames in one piece; ask for another --grid \(article, spread, halo\)"
        ),
    ):
        segmenter.segment(np.zeros((100, 100), np.uint8))


def test_opencv_has_no_threads_of_its_own_beside_a_segmenters(bundle: Bundle) -> None:
    cv2.setNumThreads(4)
    with Segmenter(bundle, "litert"):
        assert cv2.getNumThreads() == 1


_ONE_THREAD = """
import os, sys, time
import numpy as np
from unetplus_edge.bundle import open_bundle
from pathlib import Path
from unetplus_runtime import Segmenter
from unetplus_runtime.engines import open_engine
bundle, file = open_bundle(Path(sys.argv[1])), sys.argv[2]
frame = np.random.default_rng(0).integers(0, 4000, (512, 512), np.uint16)
with open_engine(file, threads=1) as engine:
    segmenter = Segmenter(bundle, engine, threads=1)
    list(segmenter.stream([frame] * 2))
    began, worked = time.perf_counter(), time.process_time()
    segmenter.segment(frame)
    list(segmenter.stream([frame] * 4))
    print((time.process_time() - worked) / (time.perf_counter() - began))
"""


@pytest.mark.parametrize("engine", ["litert", "openvino"])
def test_one_thread_keeps_no_more_than_one_core_busy(
    bundle: Bundle, tflite_file: Path, request: pytest.FixtureRequest, engine: str
) -> None:
    file = tflite_file if engine == "litert" else request.getfixturevalue("openvino_file")
    done = subprocess.run(
        [sys.executable, "-c", _ONE_THREAD, str(bundle.path), str(file)], capture_output=True, text=True, check=True
    )
    assert float(done.stdout.split()[-1]) < 1.15


def test_a_frame_becomes_a_probability_map_without_memory_of_its_size_once_that_is_known(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = np.zeros((1024, 1024), np.uint8)
    frame[100:200, 100:200] = 200
    peaks: list[int] = []

    def seen(probability: NDArray[np.float32], constants: Postprocessing) -> NDArray[np.int32]:
        peaks.append(tracemalloc.get_traced_memory()[1] if tracemalloc.is_tracing() else 0)
        return label_nuclei(probability, constants)

    monkeypatch.setattr(station, "label_nuclei", seen)
    with Segmenter(bundle, "litert", threads=2) as segmenter:
        for _ in range(2):
            segmenter.segment(frame)
        tracemalloc.start()
        try:
            before = tracemalloc.get_traced_memory()[0]
            result = segmenter.segment(frame)
        finally:
            tracemalloc.stop()
    assert peaks[-1] - before < result.probability.nbytes + frame.size / 2
