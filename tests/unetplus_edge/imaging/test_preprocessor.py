"""Frames one after another: the same answer whatever the threads, the windows and the buffers."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unetplus_edge.errors import InputError
from unetplus_edge.imaging import Preprocessing, Preprocessor, preprocess
from unetplus_edge.imaging.clahe import continued, equalise, most_in_a_bin
from unetplus_edge.imaging.scaling import codes_of

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

# The package has a function of the module's name.
room = import_module("unetplus_edge.imaging.preprocess")
needs_numba = pytest.mark.skipif(find_spec("numba") is None, reason="numba is not installed")

_CHOICES = [
    Preprocessing(),
    Preprocessing(clahe_tile=16, clahe_clip=5, tv_weight=0.2, tv_iterations=9, tv_scheme="primal_dual"),
    Preprocessing(clahe_tile=32, tv_weight=0),
    Preprocessing(tv_iterations=0),
]


def _frame(shape: tuple[int, int], dtype: type[Any] = np.uint16, seed: int = 0) -> NDArray[Any]:
    rng = np.random.default_rng(seed)
    y, x = np.indices(shape)
    values = 40 + 30 * np.sin(x / 9) * np.cos(y / 7) + rng.normal(0, 4, shape)
    return (values.clip(0) * (16 if dtype is np.uint16 else 1)).astype(dtype)


@pytest.mark.parametrize("constants", _CHOICES, ids=str)
@pytest.mark.parametrize("shape", [(256, 256), (131, 70), (65, 300), (1, 90), (90, 1)])
def test_the_answer_does_not_depend_on_the_number_of_threads(constants: Preprocessing, shape: tuple[int, int]) -> None:
    frame = _frame(shape)
    alone = Preprocessor(shape, constants)(frame)
    for threads in (2, 3, 7):
        np.testing.assert_array_equal(Preprocessor(shape, constants, threads)(frame), alone)


@pytest.mark.parametrize("constants", _CHOICES[:2], ids=str)
def test_the_answer_does_not_depend_on_windows(constants: Preprocessing, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = _frame((150, 333))
    whole = preprocess(frame, constants)
    for widest in (50, 100, 332):
        monkeypatch.setattr(room, "_WIDEST", widest)
        np.testing.assert_allclose(preprocess(frame, constants), whole, atol=1e-6, rtol=0)


@pytest.mark.parametrize("constants", _CHOICES, ids=str)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_without_numba_the_same_answer_comes(
    constants: Preprocessing, dtype: type[np.generic], monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = _frame((100, 150), dtype)
    compiled = preprocess(frame, constants)
    monkeypatch.setattr(room, "kernels", lambda: None)
    np.testing.assert_allclose(preprocess(frame, constants), compiled, atol=1e-5, rtol=0)


def test_it_runs_where_numba_cannot_be_imported(tmp_path: Path) -> None:
    frame = _frame((80, 90))
    np.save(tmp_path / "frame.npy", frame)
    code = """
import sys
sys.modules["numba"] = None
import numpy as np
from unetplus_edge.imaging import Preprocessing, preprocess
np.save(sys.argv[2], preprocess(np.load(sys.argv[1]), Preprocessing()))
"""
    arguments = [str(tmp_path / "frame.npy"), str(tmp_path / "ready.npy")]
    subprocess.run([sys.executable, "-c", code, *arguments], check=True, timeout=120)
    np.testing.assert_allclose(np.load(tmp_path / "ready.npy"), preprocess(frame, Preprocessing()), atol=1e-5)


@needs_numba
@settings(deadline=None, max_examples=60)
@given(
    shape=st.tuples(st.integers(1, 150), st.integers(1, 150)),
    tile=st.sampled_from([8, 16, 64, 128]),
    clip=st.floats(0.1, 256),
    seed=st.integers(0, 99),
)
def test_compiled_equalisation_is_opencv_s_bit_for_bit(
    shape: tuple[int, int], tile: int, clip: float, seed: int
) -> None:
    from unetplus_edge.imaging import kernels_numba

    rng = np.random.default_rng(seed)
    codes = np.clip(rng.normal(rng.uniform(0, 255), rng.uniform(0, 80), shape), 0, 255).astype(np.uint8)
    rows, columns = (continued(length, tile) for length in shape)
    tables = np.empty((len(rows) // tile, len(columns) // tile, 256), np.float32)
    kernels_numba.table_rows(codes, tables, tile, most_in_a_bin(tile, clip), rows, columns, 0, len(tables))
    equalised = np.empty(shape, np.float32)
    kernels_numba.equalised_rows(codes, tables, tile, equalised, 0, shape[0])
    np.testing.assert_array_equal(equalised, equalise(codes, tile, clip).astype(np.float32) / np.float32(255))


@needs_numba
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_compiled_codes_are_those_of_numpy(dtype: type[np.generic]) -> None:
    from unetplus_edge.imaging import kernels_numba

    rng = np.random.default_rng(0)
    frame = (rng.random((60, 70)) * 250).astype(dtype)
    frame[0, :4] = (0, 7, 30, 53)
    codes = np.empty(frame.shape, np.uint8)
    for low, high in ((7.0, 53.0), (0.0, 255.0), (100.25, 100.5)):
        kernels_numba.code_rows(frame, codes, low, high, 0, 60)
        np.testing.assert_array_equal(codes, codes_of(frame, low, high))


@pytest.mark.parametrize("length", [1, 2, 7, 8, 9, 20])
def test_an_axis_is_continued_as_opencv_continues_a_border(length: int) -> None:
    line = np.arange(length, dtype=np.uint8)[None]
    beyond = -length % 8
    expected = cv2.copyMakeBorder(line, 0, 0, 0, beyond, cv2.BORDER_REFLECT_101)[0]
    np.testing.assert_array_equal(continued(length, 8), expected)


def test_one_frame_leaves_nothing_to_the_next() -> None:
    preprocessor = Preprocessor((120, 130), Preprocessing(), 2)
    frames = [_frame((120, 130), dtype, seed) for seed, dtype in enumerate([np.uint16, np.uint8, np.float32] * 2)]
    frames.insert(3, np.zeros((120, 130), np.uint8))
    for frame in frames:
        np.testing.assert_array_equal(preprocessor(frame), preprocess(frame, Preprocessing()))


@needs_numba
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("constants", _CHOICES[:3], ids=str)
def test_from_the_second_frame_on_nothing_of_its_size_is_allocated(
    dtype: type[np.generic], constants: Preprocessing
) -> None:
    frame = _frame((600, 700), dtype)
    preprocessor = Preprocessor(frame.shape, constants, 2)
    preprocessor(frame)
    tracemalloc.start()
    try:
        preprocessor(frame)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < frame.size / 8


def test_its_own_buffer_is_returned_each_time() -> None:
    preprocessor = Preprocessor((50, 60), Preprocessing())
    assert preprocessor(_frame((50, 60))) is preprocessor(_frame((50, 60), seed=1))


def test_it_writes_where_it_is_told() -> None:
    frame, room_for_two = _frame((50, 60)), np.full((2, 50, 60), np.nan, np.float32)
    preprocessor = Preprocessor((50, 60), Preprocessing())
    assert preprocessor(frame, out=room_for_two[1]).base is room_for_two
    np.testing.assert_array_equal(room_for_two[1], preprocess(frame, Preprocessing()))
    assert np.isnan(room_for_two[0]).all()


@pytest.mark.parametrize(
    "out",
    [np.zeros((50, 61), np.float32), np.zeros((50, 60), np.float64), np.zeros((60, 50), np.float32).T],
    ids=["shape", "dtype", "order"],
)
def test_an_output_that_does_not_fit_is_refused(out: NDArray[Any]) -> None:
    with pytest.raises(InputError, match=r"must be float32 of shape \(50, 60\) in C order"):
        Preprocessor((50, 60), Preprocessing())(_frame((50, 60)), out=out)


def test_a_frame_of_another_shape_is_refused() -> None:
    with pytest.raises(InputError, match=r"shape \(60, 50\), the preprocessor is for \(50, 60\)"):
        Preprocessor((50, 60), Preprocessing())(_frame((60, 50)))


def test_a_size_without_pixels_and_no_threads_are_refused() -> None:
    with pytest.raises(InputError, match="no pixels"):
        Preprocessor((0, 5), Preprocessing())
    with pytest.raises(InputError, match="threads"):
        Preprocessor((5, 5), Preprocessing(), 0)


def test_constants_that_name_no_scheme_keep_their_meaning() -> None:
    recorded = {"clahe_tile": 64, "clahe_clip": 2.0, "tv_weight": 0.05, "tv_iterations": 30}
    assert Preprocessing.model_validate(recorded).tv_scheme == "chambolle"
