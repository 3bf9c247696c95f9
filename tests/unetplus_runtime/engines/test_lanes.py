from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, wait
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from unetplus_edge.errors import EngineError, InputError
from unetplus_export.conversion import Request
from unetplus_export.onnx import convert_onnx
from unetplus_export.openvino import convert_openvino
from unetplus_runtime.engines import open_engine
from unetplus_runtime.engines.lanes import FreeLanes, LanedNetwork, few_patches, lanes_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from unetplus_edge.bundle import Bundle

SIDE = 64
CONVERTERS: dict[str, tuple[str, Callable[..., Any] | None]] = {
    "litert": (".tflite", None),
    "onnxruntime": (".onnx", convert_onnx),
    "openvino": (".xml", convert_openvino),
}


@pytest.fixture(scope="module", params=CONVERTERS)
def open_(
    request: pytest.FixtureRequest, bundle: Bundle, tflite_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[int], LanedNetwork]:
    """Opens an engine on a CPU with a number of threads."""
    if find_spec(request.param) is None and request.param != "litert":
        pytest.skip(f"needs {request.param}")
    suffix, convert = CONVERTERS[request.param]
    path = tflite_file
    if convert is not None:
        path = tmp_path_factory.mktemp("lanes") / f"tiny{suffix}"
        convert(Request(bundle, "fp32", SIDE), path)

    def opened(threads: int) -> LanedNetwork:
        engine = open_engine(path, request.param, threads=threads)
        assert isinstance(engine, LanedNetwork)
        return engine

    return opened


@pytest.fixture(scope="module")
def patches() -> NDArray[np.float32]:
    return np.random.default_rng(0).random((9, SIDE, SIDE, 1), np.float32)


def test_answers_are_to_the_last_bit_those_of_one_thread(open_: Any, patches: NDArray[np.float32]) -> None:
    with open_(1) as alone, open_(3) as shared:
        np.testing.assert_array_equal(shared.infer(patches), alone.infer(patches))


def test_there_are_as_many_lanes_as_threads_and_all_may_be_used_at_a_time(
    open_: Any, patches: NDArray[np.float32]
) -> None:
    with open_(3) as engine, ThreadPoolExecutor(3) as threads:
        expected = engine.infer(patches).copy()
        count = len(engine.lanes)
        assert count == engine.info.threads
        for _ in range(5):
            parts = np.array_split(patches, count)
            jobs = [threads.submit(lane.infer, part) for lane, part in zip(engine.lanes, parts, strict=True)]
            np.testing.assert_array_equal(np.concatenate([job.result() for job in jobs]), expected)


def test_an_engine_of_one_thread_has_one_lane(open_: Any, patches: NDArray[np.float32]) -> None:
    with open_(1) as engine:
        (lane,) = engine.lanes
        np.testing.assert_array_equal(lane.infer(patches[:2]).copy(), engine.infer(patches[:2]))


def test_few_patches_are_shared_by_all_threads(open_: Any, patches: NDArray[np.float32]) -> None:
    with open_(2) as engine:
        assert few_patches(engine, engine.info.threads // 2)
        assert not few_patches(engine, engine.info.threads // 2 + 1)
        expected = engine.infer(patches)[:1].copy()
        np.testing.assert_allclose(engine.infer(patches[:1]), expected, atol=1e-6)


def test_lanes_of_a_closed_engine_are_refused(open_: Any) -> None:
    engine = open_(2)
    engine.close()
    with pytest.raises(EngineError, match="is closed"):
        engine.lanes  # noqa: B018


def test_patches_of_another_size_are_refused(open_: Any) -> None:
    with open_(2) as engine, pytest.raises(InputError, match="PatchGrid of side 64"):
        engine.infer(np.zeros((8, 32, 32, 1), np.float32))


def test_a_lane_is_lent_to_one_at_a_time_and_comes_back_after_an_error(map_engine: Any) -> None:
    lanes = map_engine(), map_engine()
    free = FreeLanes(lanes)
    with pytest.raises(EngineError), free.one():
        raise EngineError("not this patch")
    with free.one() as first, free.one() as second:
        assert {first, second} == set(lanes)


def test_all_lanes_together_are_lent_once_the_last_is_back(map_engine: Any) -> None:
    free, events = FreeLanes([map_engine(), map_engine()]), []

    def take_all() -> None:
        with free.all():
            events.append("all")

    with ThreadPoolExecutor(1) as thread:
        with free.one():
            taking = thread.submit(take_all)
            assert not wait([taking], 0.05).done
            events.append("one")
        taking.result(60)
    assert events == ["one", "all"]


def test_an_engine_without_lanes_is_its_only_lane(map_engine: Any) -> None:
    engine = map_engine()
    assert lanes_of(engine) == (engine,)
    assert not few_patches(engine, 1)
