from __future__ import annotations

import os

import numpy as np
import pytest

from unetplus_edge.errors import EngineError, InputError
from unetplus_runtime.engines.base import AnswerBuffer, missing, require_option, require_patches, thread_count


def test_a_buffer_is_reused_for_as_many_patches_or_fewer() -> None:
    buffer = AnswerBuffer(16)
    large = buffer.first(5)
    assert large.shape == (5, 16, 16, 1)
    assert np.shares_memory(buffer.first(3), large)
    assert np.shares_memory(buffer.first(5), large)


def test_a_buffer_grows_and_does_not_shrink() -> None:
    buffer = AnswerBuffer(16)
    buffer.first(2)
    large = buffer.first(6)
    buffer.first(1)
    assert np.shares_memory(buffer.first(6), large)


def test_all_cores_are_those_that_the_process_may_use() -> None:
    assert thread_count(None) == len(os.sched_getaffinity(0))
    assert thread_count(3) == 3


def test_no_threads_are_refused() -> None:
    with pytest.raises(InputError, match="at least 1"):
        thread_count(0)


@pytest.mark.parametrize(
    "patches",
    [
        np.zeros((2, 64, 64, 1)),
        np.zeros((2, 64, 64, 1), np.uint8),
        np.zeros((64, 64, 1), np.float32),
        np.zeros((2, 64, 32, 1), np.float32),
        np.zeros((2, 64, 64, 3), np.float32),
    ],
    ids=["float64", "uint8", "one patch", "not square", "three channels"],
)
def test_what_is_no_array_of_patches_is_refused(patches: np.ndarray) -> None:
    with pytest.raises(InputError, match=r"float32 patches of shape \(n, 64, 64, 1\)"):
        require_patches(patches, 64)


def test_an_option_that_an_engine_has_not_is_refused() -> None:
    require_option("litert", "device", None, "cpu")
    require_option("litert", "device", "cpu", "cpu")
    with pytest.raises(EngineError, match="litert has device cpu here, not cuda"):
        require_option("litert", "device", "cuda", "cpu")


def test_an_absent_library_names_what_to_install() -> None:
    error = missing("keras", "unetplus-edge[train]", ModuleNotFoundError("No module named 'keras'"))
    assert "is not installed" in str(error)
    assert "pip install 'unetplus-edge[train]'" in str(error)


def test_a_broken_library_says_how() -> None:
    error = missing("litert", "unetplus-edge", ImportError("libfoo.so.1: cannot open shared object file"))
    assert "cannot be imported (libfoo.so.1" in str(error)
