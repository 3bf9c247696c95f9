"""Preprocessing: the same for every bit depth, and however a frame is cut into blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pydantic import ValidationError
from skimage.restoration import denoise_tv_chambolle

from unetplus_edge.datasets import open_dsb2018
from unetplus_edge.imaging import FrameRange, Preprocessing, frame_range, preprocess, preprocess_block

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

_DTYPES = st.sampled_from([np.uint8, np.uint16, np.float32, np.float64])
_CONSTANTS = st.builds(
    Preprocessing,
    clahe_tile=st.sampled_from([8, 16, 32]),
    clahe_clip=st.floats(0.5, 20),
    tv_weight=st.sampled_from([0.0, 0.02, 0.3]),
    tv_iterations=st.integers(0, 12),
    tv_scheme=st.sampled_from(["chambolle", "primal_dual"]),
)


def _nuclei(shape: tuple[int, int], seed: int = 0) -> NDArray[np.uint8]:
    """8-bit discs of different brightness on a background that is brighter on one side, with noise."""
    rng = np.random.default_rng(seed)
    y, x = np.indices(shape)
    image = 20 + 30 * x / shape[1]
    for _ in range(max(shape[0] * shape[1] // 1500, 1)):
        row, column, radius = rng.uniform(0, shape[0]), rng.uniform(0, shape[1]), rng.uniform(4, 12)
        image[(y - row) ** 2 + (x - column) ** 2 < radius**2] += rng.uniform(30, 150)
    return np.clip(image + rng.normal(0, 4, shape), 0, 255).astype(np.uint8)


@st.composite
def _frames(draw: st.DrawFn, longest: int = 90) -> NDArray[Any]:
    shape = draw(st.integers(1, longest)), draw(st.integers(1, longest))
    dtype = np.dtype(draw(_DTYPES))
    frame = _nuclei(shape, draw(st.integers(0, 9)))
    if dtype == np.uint16:
        return frame.astype(dtype) * draw(st.sampled_from([1, 16, 257]))
    return frame.astype(dtype)


@settings(deadline=None, max_examples=150)
@given(data=st.data(), frame=_frames(), constants=_CONSTANTS)
def test_a_block_comes_out_as_in_the_whole(data: st.DataObject, frame: NDArray[Any], constants: Preprocessing) -> None:
    rows, columns = (
        slice(*sorted(data.draw(st.lists(st.integers(0, length), min_size=2, max_size=2, unique=True))))
        for length in frame.shape
    )
    block = preprocess_block(frame, rows, columns, constants, frame_range(frame))
    np.testing.assert_allclose(block, preprocess(frame, constants)[rows, columns], atol=1e-5, rtol=0)


@pytest.mark.parametrize("shape", [(300, 500), (257, 449), (64, 1000)])
@pytest.mark.parametrize("side", [37, 128, 200])
def test_blocks_of_the_default_constants_make_the_whole(shape: tuple[int, int], side: int) -> None:
    frame, constants = _nuclei(shape), Preprocessing()
    whole_range = frame_range(frame)
    made = np.full(shape, np.nan, np.float32)
    for top in range(0, shape[0], side):
        for left in range(0, shape[1], side):
            rows, columns = slice(top, min(top + side, shape[0])), slice(left, min(left + side, shape[1]))
            made[rows, columns] = preprocess_block(frame, rows, columns, constants, whole_range)
    np.testing.assert_allclose(made, preprocess(frame, constants), atol=1e-5, rtol=0)


def test_the_halo_is_as_wide_as_denoising_reaches() -> None:
    # Smooth intensities, small tiles and strong denoising over many iterations reach the furthest.
    y, x = np.indices((200, 220))
    frame = (100 * (2 + np.sin(x / 9) + np.cos(y / 7))).astype(np.float32)
    constants = Preprocessing(clahe_tile=8, clahe_clip=4, tv_weight=5, tv_iterations=50)
    whole, whole_range = preprocess(frame, constants), frame_range(frame)
    for start in (88, 93, 95, 96):
        rows, columns = slice(start, start + 8), slice(start + 5, start + 11)
        block = preprocess_block(frame, rows, columns, constants, whole_range)
        np.testing.assert_allclose(block, whole[rows, columns], atol=1e-5, rtol=0)


def test_a_block_reads_no_more_than_its_surroundings() -> None:
    class Recorder:
        """Something that is sliced like a frame, and tells which part of it was read."""

        shape = (2000, 3000)
        read: tuple[slice, slice]

        def __getitem__(self, window: tuple[slice, slice]) -> NDArray[np.uint8]:
            self.read = window
            return np.zeros(tuple(side.stop - side.start for side in window), np.uint8)

    frame, constants = Recorder(), Preprocessing()
    preprocess_block(frame, slice(1000, 1100), slice(0, 10), constants, FrameRange(0, 1))  # type: ignore[arg-type]
    rows, columns = frame.read
    reach = constants.tv_iterations + 2 * constants.clahe_tile
    assert 1000 - reach <= rows.start
    assert rows.stop <= 1100 + reach
    assert (columns.start, columns.stop <= 10 + reach) == (0, True)


@settings(deadline=None)
@given(
    frame=_DTYPES.flatmap(lambda dtype: arrays(dtype, st.tuples(st.integers(1, 24), st.integers(1, 24)))),
    constants=_CONSTANTS,
)
def test_the_output_lies_in_0_to_1_for_any_frame(frame: NDArray[Any], constants: Preprocessing) -> None:
    if frame.dtype.kind == "f":
        frame = np.clip(np.nan_to_num(frame), -3.4e38, 3.4e38)
    ready = preprocess(frame, constants)
    assert ready.shape == frame.shape
    assert ready.dtype == np.float32
    assert ready.min() >= 0
    assert ready.max() <= 1


@pytest.mark.parametrize(
    ("name", "frame"),
    {
        "16 bits": _nuclei((120, 150)).astype(np.uint16) * 257,
        "12 bits in 16": _nuclei((120, 150)).astype(np.uint16) * 16,
        "16 bits, big-endian": (_nuclei((120, 150)).astype(np.uint16) * 257).astype(">u2"),
        "float in [0, 1]": _nuclei((120, 150)).astype(np.float32) / 255,
        "float of another range": _nuclei((120, 150)).astype(np.float64) * 1e6 - 1e7,
        "float far from 0": _nuclei((120, 150)).astype(np.float32) + 1e6,
        "tiny floats": _nuclei((120, 150)).astype(np.float32) * np.float32(1e-40),
        "huge floats": (_nuclei((120, 150)).astype(np.float64) / 255 * 2 - 1) * 3.4e38,
        "a view": np.repeat(np.repeat(_nuclei((120, 150)), 2, axis=0), 3, axis=1)[::2, ::3],
        "turned over": _nuclei((120, 150))[::-1, ::-1].copy()[::-1, ::-1],
        "Fortran order": np.asfortranarray(_nuclei((120, 150))),
    }.items(),
)
def test_one_scene_comes_out_alike_in_every_bit_depth_and_layout(name: str, frame: NDArray[Any]) -> None:
    eight_bits = preprocess(_nuclei((120, 150)), Preprocessing())
    np.testing.assert_allclose(preprocess(frame, Preprocessing()), eight_bits, atol=1e-2, rtol=0, err_msg=name)


@settings(deadline=None)
@given(frame=_frames(40).filter(lambda frame: frame.dtype == np.uint8), factor=st.integers(1, 257))
def test_a_scale_of_integers_changes_nothing_at_all(frame: NDArray[np.uint8], factor: int) -> None:
    scaled = frame.astype(np.uint16) * factor
    np.testing.assert_array_equal(preprocess(scaled, Preprocessing()), preprocess(frame, Preprocessing()))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64])
@pytest.mark.parametrize("value", [0, 7, 255])
@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (100, 100)])
def test_a_constant_frame_becomes_0(dtype: type[np.generic], value: int, shape: tuple[int, int]) -> None:
    ready = preprocess(np.full(shape, value, dtype), Preprocessing())
    np.testing.assert_array_equal(ready, np.zeros(shape, np.float32))


@pytest.mark.parametrize("shape", [(1, 5000), (5000, 1), (3, 700)])
def test_a_thin_frame_keeps_its_shape_and_its_contrast(shape: tuple[int, int]) -> None:
    frame = np.zeros(shape, np.uint8)
    halves = np.array_split(frame, 2, axis=int(np.argmax(shape)))
    halves[1][:] = 200
    ready = preprocess(frame, Preprocessing())
    assert ready.shape == shape
    assert ready.flat[-1] - ready.flat[0] > 0.5


@pytest.mark.parametrize(
    ("dtype", "hot"), [(np.uint16, 65_535), (np.float32, 1e30), (np.float32, 3e38), (np.float64, 1e10)]
)
def test_a_hot_pixel_changes_little_beside_it_and_nothing_far_away(dtype: type[np.generic], hot: float) -> None:
    frame = _nuclei((400, 400)).astype(dtype) * dtype(16)
    spoilt = frame.copy()
    spoilt[200, 200] = hot
    constants = Preprocessing()
    difference = np.abs(preprocess(spoilt, constants) - preprocess(frame, constants))
    y, x = np.indices(frame.shape)
    distance = np.maximum(np.abs(y - 200), np.abs(x - 200))
    assert difference[distance > 3].max() < 0.02
    assert difference[distance > constants.clahe_tile * 3 // 2 + constants.tv_iterations].max() == 0


@pytest.mark.parametrize("hot", [256.0, 1e9, 1e30])
def test_a_hot_pixel_is_bright_and_a_dead_one_dark(hot: float) -> None:
    frame = _nuclei((100, 100)).astype(np.float32)
    frame[50, 50], frame[20, 20] = hot, -hot
    sharp = preprocess(frame, Preprocessing(tv_weight=0))
    tile = sharp[:64, :64]
    assert sharp[50, 50] == tile.max()
    assert sharp[20, 20] == tile.min()


def test_the_range_is_that_of_the_median() -> None:
    frame = _nuclei((50, 60)).astype(np.uint16)
    frame[10, 10], frame[30, 30] = 60_000, 0
    padded = np.pad(frame, 1, mode="edge")
    medians = [np.median(padded[y : y + 3, x : x + 3]) for y in range(50) for x in range(60)]
    assert frame_range(frame) == (min(medians), max(medians))
    assert frame_range(frame).high < 256


def test_a_given_range_is_what_becomes_0_and_1() -> None:
    ramp = np.tile(np.arange(256, dtype=np.uint8), (64, 1))
    constants = Preprocessing(clahe_clip=256, tv_weight=0)
    low, high = 100.0, 150.0
    clipped = preprocess(ramp, constants, FrameRange(low, high))
    np.testing.assert_array_equal(clipped, preprocess(np.clip(ramp, 100, 150), constants, FrameRange(low, high)))
    codes = np.rint(255 * (np.clip(ramp.astype(np.float64), low, high) - low) / (high - low)).astype(np.uint8)
    expected = cv2.createCLAHE(256, (4, 1)).apply(codes).astype(np.float32) / 255
    np.testing.assert_array_equal(clipped, expected)


@pytest.mark.parametrize("whole_range", [(5.0, 5.0), (9.0, 3.0), (float("nan"), 1.0)])
def test_a_range_without_extent_gives_0(whole_range: tuple[float, float]) -> None:
    ready = preprocess(_nuclei((20, 30)), Preprocessing(), FrameRange(*whole_range))
    np.testing.assert_array_equal(ready, np.zeros((20, 30), np.float32))


def test_the_steps_are_scale_clahe_total_variation() -> None:
    frame = _nuclei((128, 192))
    low, high = frame_range(frame)
    codes = np.rint(np.clip((frame - low) / (high - low), 0, 1) * 255).astype(np.uint8)
    equalised = cv2.createCLAHE(clipLimit=2.0, tileGridSize=(3, 2)).apply(codes)
    expected = denoise_tv_chambolle(equalised / 255, weight=0.05, eps=0, max_num_iter=31)
    np.testing.assert_allclose(preprocess(frame, Preprocessing()), expected, atol=1e-5)


def test_the_frame_is_left_alone() -> None:
    frame = _nuclei((50, 60))
    before = frame.copy()
    frame.setflags(write=False)
    preprocess(frame, Preprocessing())
    np.testing.assert_array_equal(frame, before)


def test_real_images_use_the_range(data_root: Path) -> None:
    for path in sorted((data_root / "dsb2018" / "test" / "images").glob("*.png"))[::10]:
        image = np.asarray(cv2.imread(str(path), cv2.IMREAD_UNCHANGED))
        ready = preprocess(image, Preprocessing())
        assert ready.min() >= 0
        assert ready.max() <= 1
        assert ready.max() - ready.min() > 0.4


@pytest.mark.parametrize(
    "wrong",
    [
        {"clahe_tile": 48},
        {"clahe_tile": 4},
        {"clahe_tile": 2048},
        {"clahe_clip": 0},
        {"clahe_clip": 257},
        {"tv_weight": -0.1},
        {"tv_weight": float("inf")},
        {"tv_weight": float("nan")},
        {"tv_iterations": -1},
        {"tv_steps": 3},
    ],
    ids=str,
)
def test_impossible_constants_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        Preprocessing.model_validate(wrong)


@pytest.mark.parametrize("bit_depth", [8, 12, 16])
def test_noise_alone_is_not_stretched_over_the_whole_range(bit_depth: int) -> None:
    noise = np.random.default_rng(1).normal(0.03, 0.004, (200, 200)) * (2**bit_depth - 1)
    frame = np.rint(np.clip(noise, 0, None)).astype(np.uint8 if bit_depth == 8 else np.uint16)
    low, high = frame_range(frame)
    # What the median smooths away does not count, so the noise comes out a little low.
    assert 0.8 * 20 * frame.std() < high - low < 1.1 * 20 * frame.std()


def test_the_least_range_changes_no_training_image(data_root: Path) -> None:
    for sample in open_dsb2018(data_root / "dsb2018", "released").training:
        image = sample.image()
        smooth = cv2.medianBlur(image, 3)
        assert frame_range(image) == (smooth.min(), smooth.max())
