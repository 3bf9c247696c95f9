from __future__ import annotations

import csv
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import zarr

from unetplus_edge.bundle import Bundle
from unetplus_edge.errors import InputError, OutputError
from unetplus_edge.imaging import Postprocessing, frame_range, measure
from unetplus_runtime.large import BlockGrid, LargeJob, Shard
from unetplus_runtime.large.masks import MaskMaker
from unetplus_runtime.large.work import WorkFolder
from unetplus_runtime.pipeline import GRIDS
from unetplus_runtime.segmenter import Segmenter

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

PROVENANCE = {"model": "a"}


class Case:
    """A frame with what a job makes of it."""

    def __init__(self, folder: Path, frame: NDArray[Any], segmenter: Segmenter, side: int = 128) -> None:
        self.frame, self.segmenter, self.folder = frame, segmenter, folder
        self.job = LargeJob(frame, BlockGrid(*frame.shape, side), folder / "work", {"side": str(side)})

    def finish(self, pixel_size: float | None = 0.5) -> Any:
        tables = {name: self.folder / f"a.{name}" for name in ("csv", "parquet")}
        constants = self.segmenter.bundle.manifest.postprocessing
        return self.job.finish(constants, self.folder / "a.zarr", tables, pixel_size, PROVENANCE)

    def run(self) -> Any:
        self.job.make_masks(self.segmenter)
        return self.finish()

    @property
    def labels(self) -> NDArray[np.uint32]:
        labels: NDArray[np.uint32] = np.asarray(zarr.open_array(self.folder / "a.zarr" / "0", mode="r")[:])
        return labels


def require_same_nuclei(labels: NDArray[np.uint32], truth: NDArray[np.int32]) -> None:
    """Each number of one image stands for one number of the other."""
    assert labels.shape == truth.shape
    pairs = np.unique(np.stack((labels.ravel(), truth.ravel())), axis=1)
    assert len(np.unique(pairs[0])) == len(np.unique(pairs[1])) == pairs.shape[1]
    assert ((pairs[0] == 0) == (pairs[1] == 0)).all()


@pytest.mark.parametrize(
    ("shape", "side"),
    [((500, 700), 128), ((500, 700), 192), ((256, 384), 128), ((64, 300), 64), ((40, 300), 128), ((330, 30), 64)],
)
def test_blocks_have_the_nuclei_of_the_whole_frame(
    tmp_path: Path, segmenter: Segmenter, make_blobs: Callable[..., NDArray[np.uint16]], shape: Any, side: int
) -> None:
    case = Case(tmp_path, make_blobs(*shape), segmenter, side)
    result = case.run()
    truth = segmenter.segment(case.frame)
    assert len(truth.nuclei) > 5
    require_same_nuclei(case.labels, truth.labels)
    assert result.nuclei == len(truth.nuclei)
    assert result.mean_area == pytest.approx(truth.nuclei.area.mean())


@pytest.mark.parametrize("grid", GRIDS[:3])
@pytest.mark.parametrize("shape", [(500, 700), (128, 301), (40, 300), (65, 64)])
def test_blocks_have_the_probabilities_of_the_whole_frame_with_every_grid_of_patches(
    plain_bundle: Bundle, engine: Any, make_blobs: Callable[..., NDArray[np.uint16]], grid: Any, shape: Any
) -> None:
    segmenter = Segmenter(plain_bundle, engine, grid=grid)
    frame, blocks = make_blobs(*shape), BlockGrid(*shape, 128)
    view: Any = frame
    maker = MaskMaker(view, blocks, frame_range(frame), segmenter)
    threshold = plain_bundle.manifest.postprocessing.threshold
    expected = segmenter.segment(frame).probability > threshold
    for block in blocks.blocks:
        np.testing.assert_array_equal(maker.mask(block), expected[block.rows, block.columns])
    assert expected.any()


def test_frames_in_one_piece_have_no_blocks(
    tmp_path: Path, plain_bundle: Bundle, engine: Any, make_blobs: Callable[..., NDArray[np.uint16]]
) -> None:
    case = Case(tmp_path, make_blobs(200, 200), Segmenter(plain_bundle, engine, grid="whole"))
    with pytest.raises(InputError, match="the grid whole has no patches"):
        case.run()


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_other_pixels_have_the_nuclei_of_the_whole_frame(
    tmp_path: Path, segmenter: Segmenter, make_blobs: Callable[..., NDArray[np.uint16]], dtype: Any
) -> None:
    case = Case(tmp_path, (make_blobs(300, 300) // 16).astype(dtype), segmenter)
    case.run()
    require_same_nuclei(case.labels, segmenter.segment(case.frame).labels)


def test_a_real_network_finds_the_nuclei_of_the_whole_frame(
    tmp_path: Path, bundle: Bundle, make_blobs: Callable[..., NDArray[np.uint16]]
) -> None:
    with Segmenter(bundle, "litert") as segmenter:
        case = Case(tmp_path, make_blobs(300, 410), segmenter)
        case.run()
        require_same_nuclei(case.labels, segmenter.segment(case.frame).labels)


def require_tables_of_the_label_image(tmp_path: Path, case: Case) -> None:
    truth = measure(case.labels.astype(np.int32), case.frame, 0.5)
    with (tmp_path / "a.csv").open(newline="") as file:
        first, *rows = csv.reader(file)
    assert first == list(truth.columns())
    np.testing.assert_allclose(np.array(rows, float), np.stack(list(truth.columns().values()), 1), 1e-6, 1e-6)
    table = pq.read_table(tmp_path / "a.parquet")
    assert table.column_names == list(truth.columns())
    for name, column in truth.columns().items():
        np.testing.assert_allclose(table[name].to_numpy(), column, rtol=1e-9, atol=1e-7)
    assert table.schema.metadata[b"unetplus.model"] == b"a"


def test_the_tables_are_those_of_the_label_image(
    tmp_path: Path, segmenter: Segmenter, make_blobs: Callable[..., NDArray[np.uint16]]
) -> None:
    case = Case(tmp_path, make_blobs(400, 500), segmenter)
    case.run()
    require_tables_of_the_label_image(tmp_path, case)


def test_nuclei_that_are_joined_are_those_of_the_whole_frame_in_labels_and_tables(
    tmp_path: Path, plain_bundle: Bundle, engine: Any, make_blobs: Callable[..., NDArray[np.uint16]]
) -> None:
    frame, counts = make_blobs(300, 410), []
    cored = {"threshold": 0.3, "core_threshold": 0.6, "min_core_area": 5, "min_nucleus_area": 10, "core_reach": 8}
    for join_border in (0.3, None):
        constants = Postprocessing(**cored, join_border=join_border)
        manifest = plain_bundle.manifest.model_copy(update={"postprocessing": constants})
        segmenter = Segmenter(Bundle(plain_bundle.path, manifest), engine)
        folder = tmp_path / str(join_border)
        folder.mkdir()
        case = Case(folder, frame, segmenter, 64)
        counts.append(case.run().nuclei)
        require_same_nuclei(case.labels, segmenter.segment(frame).labels)
        require_tables_of_the_label_image(folder, case)
    assert 10 < counts[0] < counts[1]


def test_the_pyramid_holds_every_second_pixel(
    tmp_path: Path, segmenter: Segmenter, make_blobs: Callable[..., NDArray[np.uint16]]
) -> None:
    case = Case(tmp_path, make_blobs(70, 2500), segmenter)
    case.run()
    levels = [np.asarray(zarr.open_array(tmp_path / "a.zarr" / str(n), mode="r")[:]) for n in range(3)]
    for above, level in pairwise(levels):
        np.testing.assert_array_equal(level, above[::2, ::2])
    assert levels[2].any()


def test_ome_zarrs_reader_shows_the_labels(
    tmp_path: Path, segmenter: Segmenter, make_blobs: Callable[..., NDArray[np.uint16]]
) -> None:
    from ome_zarr.io import parse_url
    from ome_zarr.reader import Label, Reader

    case = Case(tmp_path, make_blobs(100, 1100), segmenter)
    case.run()
    location = parse_url(tmp_path / "a.zarr")
    assert location is not None
    (node,) = Reader(location)()
    assert node.load(Label) is not None
    assert [level.shape for level in node.data] == [(100, 1100), (50, 550)]
    assert node.metadata["coordinateTransformations"][0][0]["scale"] == [0.5, 0.5]


def test_empty_blocks_do_not_reach_the_network(tmp_path: Path, segmenter: Segmenter, engine: Any) -> None:
    frame = np.full((1024, 1024), 100, np.uint16)
    y, x = np.mgrid[:40, :40]
    frame[600:640, 100:140][np.hypot(y - 20, x - 20) < 15] = 3000
    case = Case(tmp_path, frame, segmenter)
    result = case.run()
    assert result.nuclei == 1
    assert engine.patches < 20  # of 256
    engine.patches = 0
    require_same_nuclei(case.labels, segmenter.segment(frame).labels)
    assert engine.patches == 256


def test_what_a_network_sees_in_nothing_is_kept(tmp_path: Path, plain_bundle: Bundle, map_engine: Any) -> None:
    """A block is left out for what the network answers, not for what it looks like."""
    ring = np.zeros((64, 64), np.float32)
    ring[20:30, 20:30] = 1

    class Imagining(map_engine):  # type: ignore[misc]
        def infer(self, patches: NDArray[np.float32]) -> NDArray[np.float32]:
            return np.broadcast_to(ring[:, :, None], patches.shape).copy()

    frame = np.zeros((256, 256), np.uint8)
    frame[:60, :60] = np.arange(60) * 4
    with Segmenter(plain_bundle, Imagining()) as segmenter:
        case = Case(tmp_path, frame, segmenter)
        assert case.run().nuclei == 16
        require_same_nuclei(case.labels, segmenter.segment(frame).labels)


def test_a_frame_without_nuclei_has_empty_results(tmp_path: Path, segmenter: Segmenter) -> None:
    case = Case(tmp_path, np.full((300, 300), 7, np.uint8), segmenter)
    result = case.run()
    assert (result.nuclei, result.mean_area) == (0, None)
    assert not case.labels.any()
    assert not list((tmp_path / "a.zarr" / "0").glob("[0-9]*"))
    assert (tmp_path / "a.csv").read_text().startswith("label,area,")
    assert pq.read_table(tmp_path / "a.parquet").num_rows == 0


def test_shards_share_the_blocks_among_them(
    tmp_path: Path, segmenter: Segmenter, engine: Any, make_blobs: Callable[..., NDArray[np.uint16]]
) -> None:
    case = Case(tmp_path, make_blobs(512, 512), segmenter)
    for number in (3, 1, 2):
        before = engine.patches
        case.job.make_masks(segmenter, Shard(number, 3))
        assert 0 < engine.patches - before < 30  # of 64
    assert case.job.missing == []
    case.finish()
    assert engine.patches == 64
    require_same_nuclei(case.labels, segmenter.segment(case.frame).labels)


def test_other_settings_are_refused(
    tmp_path: Path, segmenter: Segmenter, make_blobs: Callable[..., NDArray[np.uint16]]
) -> None:
    frame = make_blobs(300, 300)
    Case(tmp_path, frame, segmenter, 128).job.make_masks(segmenter, Shard(1, 9))
    with pytest.raises(OutputError, match=r"unfinished blocks with another side \(128, now 64\)"):
        Case(tmp_path, frame, segmenter, 64).job.make_masks(segmenter)


def test_a_frame_with_a_nan_is_refused(tmp_path: Path, segmenter: Segmenter) -> None:
    frame = np.zeros((300, 300), np.float32)
    frame[200, 200] = np.nan

    class View:
        shape = frame.shape

        def __getitem__(self, region: Any) -> Any:
            from unetplus_edge.imaging import as_frame

            return as_frame(frame[region])

    job = LargeJob(View(), BlockGrid(300, 300, 128), tmp_path / "work", {})
    with pytest.raises(InputError, match="1 pixels that are NaN"):
        job.make_masks(segmenter)


def test_any_part_of_the_masks_is_read_back(tmp_path: Path) -> None:
    whole = np.random.default_rng(0).integers(0, 3, (50, 61)).astype(np.uint8)
    grid = BlockGrid(50, 61, 19)
    work = WorkFolder(tmp_path, grid)
    for block in grid.blocks:
        work.write_mask(block, whole[block.rows, block.columns])
    rng = np.random.default_rng(1)
    for _ in range(100):
        top, bottom = sorted(rng.choice(51, 2, replace=False).tolist())
        left, right = sorted(rng.choice(62, 2, replace=False).tolist())
        found = work.read_mask(slice(top, bottom), slice(left, right))
        np.testing.assert_array_equal(found, whole[top:bottom, left:right])


def test_a_frame_that_one_shard_cannot_read_loses_nothing_of_another(
    tmp_path: Path, make_blobs: Callable[..., NDArray[np.uint16]], segmenter: Segmenter
) -> None:
    case = Case(tmp_path, make_blobs(300, 200), segmenter)

    class Failing:
        shape, dtype = case.frame.shape, case.frame.dtype

        def __getitem__(self, _: Any) -> NDArray[Any]:
            # Another shard is quicker.
            case.job.make_masks(segmenter, Shard(1, 2))
            raise InputError("the share is gone for a moment")

    view: Any = Failing()
    failing = LargeJob(view, BlockGrid(*case.frame.shape, 128), tmp_path / "work", {"side": "128"})
    missing = len(case.job.missing)
    with pytest.raises(InputError, match="gone"):
        failing.make_masks(segmenter, Shard(2, 2))
    assert 0 < len(case.job.missing) < missing


def test_a_frame_that_cannot_be_read_leaves_nothing(tmp_path: Path, segmenter: Segmenter) -> None:
    class Failing:
        shape, dtype = (300, 200), np.dtype(np.uint8)

        def __getitem__(self, _: Any) -> NDArray[Any]:
            raise InputError("it is broken")

    view: Any = Failing()
    with pytest.raises(InputError, match="broken"):
        LargeJob(view, BlockGrid(300, 200, 128), tmp_path / "work", {}).make_masks(segmenter)
    assert not (tmp_path / "work").exists()
