"""What is measured of preprocessing: the frames, the turns, the distances, and the whole command."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from click.testing import CliRunner

from unetplus_bench import preprocessing
from unetplus_bench.preprocessing import at_depth, distances, exact, in_turns, main, mosaic
from unetplus_edge.imaging import Preprocessing, preprocess

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray


def _image() -> NDArray[np.uint8]:
    rng = np.random.default_rng(0)
    y, x = np.indices((128, 128))
    return (60 + 50 * np.sin(x / 11) * np.cos(y / 9) + rng.normal(0, 3, (128, 128))).astype(np.uint8)


@pytest.mark.parametrize(("bits", "dtype", "grey"), [(8, np.uint8, 1), (12, np.uint16, 16), (16, np.uint16, 256)])
def test_a_deeper_camera_sees_what_the_8_bits_saw_and_more(bits: int, dtype: type[Any], grey: int) -> None:
    deep = at_depth(_image(), bits, np.random.default_rng(0))
    assert deep.dtype == dtype
    np.testing.assert_array_equal(deep // grey, _image())
    assert (np.unique(deep % grey).size > 1) == (bits > 8)


def test_a_float_frame_is_the_same_scene_in_0_to_1() -> None:
    frame = at_depth(_image(), None, np.random.default_rng(0))
    assert frame.dtype == np.float32
    np.testing.assert_array_equal((frame * 256).astype(np.uint8), _image())


def test_a_mosaic_lays_patches_out_in_rows() -> None:
    patches = np.arange(3 * 4, dtype=np.uint8).reshape(3, 2, 2)
    expected = [[0, 1, 4, 5, 8], [2, 3, 6, 7, 10], [0, 1, 4, 5, 8], [2, 3, 6, 7, 10], [0, 1, 4, 5, 8]]
    np.testing.assert_array_equal(mosaic(patches, 5), expected)


def test_variants_take_turns_and_the_first_is_not_kept() -> None:
    order: list[str] = []
    times = in_turns({name: lambda name=name: order.append(name) for name in "ab"}, 3)  # type: ignore[misc]
    assert order == ["a", "b"] * 4
    assert {name: len(seconds) for name, seconds in times.items()} == {"a": 3, "b": 3}


def test_many_bins_give_nearly_what_256_give_where_contrast_is_not_limited() -> None:
    deep = at_depth(_image(), 16, np.random.default_rng(0))
    constants = Preprocessing(tv_weight=0, clahe_clip=256)
    difference = np.abs(exact(deep, constants) - preprocess(deep, constants))
    assert difference.max() < 10 / 255
    assert difference.mean() < 2 / 255


def test_distances_fall_with_iterations_and_tell_how_many_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preprocessing, "CONVERGED", 400)
    found = distances(preprocess(_image(), Preprocessing(tv_weight=0))[None], 0.05)
    for scheme, numbers in preprocessing.ITERATIONS.items():
        values = [found["mean"][f"{scheme} {number}"] for number in numbers]
        assert values == sorted(values, reverse=True)
        enough = found["iterations_as_near_as_scikit_image"][scheme]
        below = [
            number for number, value in zip(numbers, values, strict=True) if value <= found["mean"]["scikit-image"]
        ]
        assert enough == (below[0] if below else None)


@pytest.mark.parametrize(("side", "in_a_row"), [(256, 16), (1024, 1), (2048, 1)])
def test_each_thread_of_a_stream_prepares_as_many_frames_as_are_told(
    side: int, in_a_row: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[object] = []

    def counting(*_: object) -> Callable[[object], None]:
        mine = object()
        return lambda _frame: done.append(mine)

    monkeypatch.setattr(preprocessing, "Preprocessor", counting)
    patches = np.zeros((1, 256, 256), np.uint8)
    for _, frames, call in preprocessing.streams_of(patches, side, (1, 3)):
        done.clear()
        call()
        assert len(done) == frames == 3 * in_a_row
        assert sorted(Counter(done).values()) == [in_a_row] * 3


def test_the_command_writes_all_of_it(data_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"ROUNDS": {256: 2}, "ROUNDS_BESIDE": 1, "CONVERGED": 5}.items():
        monkeypatch.setattr(preprocessing, name, value)
    monkeypatch.setattr(preprocessing, "ITERATIONS", {"chambolle": (2,), "primal_dual": (2,)})
    out = tmp_path / "preprocessing.json"
    arguments = ["--out", str(out), "--images", "1", "--engine", "litert", "--threads", "1", "--threads", "2"]
    done = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    report = json.loads(out.read_text())
    depths = ("8 bits", "12 bits", "16 bits", "float32")
    shared = {f"{name}, {depth}, {n} threads" for name in preprocessing.SCHEMES for depth in depths for n in (1, 2)}
    each = {f"{name}, 8 bits, 2 threads with a frame each" for name in preprocessing.SCHEMES}
    assert {row["name"] for row in report["rows"]} == shared | each
    assert all(row["ms_per_patch"] > 0 for row in (*report["rows"], *report["beside_scikit_image"]))
    assert [found["weight"] for found in report["distances"]] == [0.05, 0.1]
    assert set(report["scores"]["ways"]) >= {"as trained", *preprocessing.SCHEMES}
    assert report["scores"]["images"] == 1
