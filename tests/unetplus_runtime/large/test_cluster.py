"""A real scheduler and two real workers, on this machine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
import zarr

from unetplus_edge.errors import EngineError, OutputError
from unetplus_runtime.batch import segment_files
from unetplus_runtime.plan import Cutting, make_plan
from unetplus_runtime.segmenter import Segmenter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from unetplus_edge.bundle import Bundle

pytest.importorskip("distributed")

CUTTING = Cutting(max_pixels=1, side=128)


@contextmanager
def process(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-m", "dask", *arguments], stderr=subprocess.DEVNULL) as child:
        try:
            yield child
        finally:
            child.kill()


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """The file that tells where the scheduler is, and the workers."""
    file = tmp_path / "scheduler.json"
    local = ("--scheduler-file", str(file), "--no-dashboard", "--host", "127.0.0.1")
    with ExitStack() as stack:
        stack.enter_context(process("scheduler", *local, "--port", "0"))
        while not file.exists() or not file.read_text().endswith("}"):
            time.sleep(0.1)
        worker = ("worker", *local, "--no-nanny", "--nthreads", "1", "--local-directory", str(tmp_path))
        workers = [stack.enter_context(process(*worker, "--name", name)) for name in "ab"]
        yield json.loads(file.read_text())["address"], workers


def labels(out: Path) -> NDArray[np.uint32]:
    found: NDArray[np.uint32] = np.asarray(zarr.open_array(out / "a_labels.ome.zarr" / "0", mode="r")[:])
    return found


def test_a_cluster_of_which_one_worker_is_killed_finds_the_same(
    tmp_path: Path, bundle: Bundle, cluster: Any, make_blobs: Callable[..., NDArray[np.uint16]]
) -> None:
    address, workers = cluster
    tifffile.imwrite(tmp_path / "a.tif", make_blobs(900, 1000), tile=(64, 64))
    alive: list[int] = []
    done: list[int] = []

    def tick() -> None:
        done.append(1)
        if len(done) == 5:  # of 64 blocks: in the middle, with more blocks at the worker
            os.kill(workers[0].pid, signal.SIGKILL)
            workers[0].wait()
            alive.append(len(list((tmp_path / "out" / ".unfinished-a_labels.ome.zarr" / "mask").glob("[0-9]*"))))

    with Segmenter(bundle, "litert", threads=1) as segmenter:
        plan = make_plan([tmp_path / "a.tif"], tmp_path / "out", cutting=CUTTING)
        outcome = segment_files(plan, segmenter, done=tick, dask=address, threads=1)
        assert outcome.refused == []
        segment_files(make_plan([tmp_path / "a.tif"], tmp_path / "whole", cutting=CUTTING), segmenter)
    assert len(done) == 64
    assert alive[0] < 64
    np.testing.assert_array_equal(labels(tmp_path / "out"), labels(tmp_path / "whole"))
    assert (tmp_path / "out" / "a_nuclei.csv").read_bytes() == (tmp_path / "whole" / "a_nuclei.csv").read_bytes()


def test_a_worker_reads_the_image_that_is_there_now(
    tmp_path: Path, bundle: Bundle, cluster: Any, make_blobs: Callable[..., NDArray[np.uint16]]
) -> None:
    address, _ = cluster
    first = make_blobs(200, 300)
    with Segmenter(bundle, "litert", threads=1) as segmenter:
        for image in (first, np.ascontiguousarray(first[::-1])):  # with one range, as one that was taken again may have
            tifffile.imwrite(tmp_path / "new.tif", image, tile=(64, 64))
            (tmp_path / "new.tif").replace(tmp_path / "a.tif")
            plan = make_plan([tmp_path / "a.tif"], tmp_path / "out", cutting=CUTTING, overwrite=True)
            segment_files(plan, segmenter, dask=address, threads=1)
        segment_files(make_plan([tmp_path / "a.tif"], tmp_path / "here", cutting=CUTTING), segmenter)
    np.testing.assert_array_equal(labels(tmp_path / "out"), labels(tmp_path / "here"))


def test_a_worker_with_another_model_is_refused(
    tmp_path: Path, bundle: Bundle, cluster: Any, make_blobs: Callable[..., NDArray[np.uint16]]
) -> None:
    address, _ = cluster
    tifffile.imwrite(tmp_path / "a.tif", make_blobs(200, 200), tile=(64, 64))
    plan = make_plan([tmp_path / "a.tif"], tmp_path / "out", cutting=CUTTING)

    class Other(Segmenter):
        @property
        def engine(self) -> Any:
            return replace(super().engine, library_version="0")

    with (
        Other(bundle, "litert", threads=1) as segmenter,
        pytest.raises(EngineError, match="a worker has another library"),
    ):
        segment_files(plan, segmenter, dask=address, threads=1)


def test_a_scheduler_that_does_not_answer_is_an_error(
    tmp_path: Path, bundle: Bundle, make_blobs: Callable[..., NDArray[np.uint16]]
) -> None:
    import dask

    tifffile.imwrite(tmp_path / "a.tif", make_blobs(200, 200), tile=(64, 64))
    plan = make_plan([tmp_path / "a.tif"], tmp_path / "out", cutting=CUTTING)
    with (
        dask.config.set({"distributed.comm.timeouts.connect": "500ms"}),
        Segmenter(bundle, "litert", threads=1) as segmenter,
        pytest.raises(OutputError, match=r"the Dask scheduler at tcp://127\.0\.0\.1:9 does not answer"),
    ):
        segment_files(plan, segmenter, dask="tcp://127.0.0.1:9", threads=1)
