"""Large frames and shares of the work, as files in a folder of results."""

from __future__ import annotations

import csv
import os
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import tifffile
import zarr

from unetplus_edge.errors import OutputError
from unetplus_runtime.batch import Outcome, segment_files
from unetplus_runtime.large import Shard
from unetplus_runtime.plan import Cutting, make_plan
from unetplus_runtime.run_record import RECORD, continued, read_record, shard_record
from unetplus_runtime.segmenter import Segmenter

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from unetplus_edge.bundle import Bundle

CUTTING = Cutting(max_pixels=128 * 128, side=128)


@pytest.fixture
def segmenter(plain_bundle: Bundle, map_engine: Any) -> Segmenter:
    """Takes what is bright for a nucleus."""
    return Segmenter(plain_bundle, map_engine())


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Three small frames, and one that is large here."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "images"
    folder.mkdir()
    for name, shape in (("a", (64, 64)), ("b", (400, 300)), ("c", (64, 64)), ("d", (64, 64))):
        image = rng.normal(100, 3, shape)
        for top, left in rng.integers(0, min(shape) - 12, (shape[0] // 8, 2)):
            image[top : top + 12, left : left + 12] = 200
        tifffile.imwrite(folder / f"{name}.tif", image.astype(np.uint8), tile=(64, 64))
    return folder


def run(images: Path, out: Path, segmenter: Segmenter, **options: Any) -> Outcome:
    return segment_files(make_plan([images], out, cutting=CUTTING, **options), segmenter)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def summary(folder: Path) -> list[dict[str, str]]:
    with (folder / "summary.csv").open(newline="") as file:
        return [{**row, "seconds": ""} for row in csv.DictReader(file)]


def labels(out: Path) -> NDArray[np.uint32]:
    found: NDArray[np.uint32] = np.asarray(zarr.open_array(out / "b_labels.ome.zarr" / "0", mode="r")[:])
    return found


@pytest.fixture
def whole(images: Path, tmp_path: Path, segmenter: Segmenter) -> Path:
    """The results of one run."""
    run(images, tmp_path / "whole", segmenter)
    return tmp_path / "whole"


def require_same_results(out: Path, whole: Path) -> None:
    assert names(out) == names(whole)
    assert summary(out) == summary(whole)
    for path in whole.glob("*.*"):
        if path.is_file() and path.name != "summary.csv":
            assert (out / path.name).read_bytes() == path.read_bytes()
    np.testing.assert_array_equal(labels(out), labels(whole))


def test_a_large_frame_has_its_label_image_as_ome_zarr_and_its_table(whole: Path, images: Path) -> None:
    assert names(whole) == sorted(
        [
            *(f"{name}_{kind}" for name in "acd" for kind in ("labels.tif", "nuclei.csv", "overlay.png")),
            *("b_labels.ome.zarr", "b_nuclei.csv", "summary.csv"),
        ]
    )
    row = summary(whole)[1]
    assert (row["id"], row["height"], row["width"]) == ("b", "400", "300")
    assert int(row["nuclei"]) == labels(whole).max() > 5
    assert int(row["nuclei"]) == len((whole / "b_nuclei.csv").read_text().splitlines()) - 1


def test_shards_and_their_join_have_the_results_of_one_run(
    images: Path, tmp_path: Path, segmenter: Segmenter, whole: Path
) -> None:
    out = tmp_path / "out"
    rows = [row.id for number in (2, 1, 3) for row in run(images, out, segmenter, shard=Shard(number, 3)).rows]
    assert sorted(rows) == ["a", "c", "d"]
    assert "summary.csv" not in names(out)
    outcome = run(images, out, segmenter, join=True)
    assert outcome.kept == 3
    require_same_results(out, whole)


def test_a_join_does_what_a_shard_has_not(images: Path, tmp_path: Path, segmenter: Segmenter, whole: Path) -> None:
    run(images, tmp_path / "out", segmenter, shard=Shard(2, 3))
    run(images, tmp_path / "out", segmenter, join=True)
    require_same_results(tmp_path / "out", whole)


def test_a_shard_that_is_typed_again_goes_on(images: Path, tmp_path: Path, segmenter: Segmenter, whole: Path) -> None:
    out = tmp_path / "out"
    run(images, out, segmenter, shard=Shard(1, 2))
    again = run(images, out, segmenter, shard=Shard(1, 2))
    assert (again.kept, [row.id for row in again.rows]) == (2, ["a", "c"])
    run(images, out, segmenter, shard=Shard(2, 2))
    run(images, out, segmenter, join=True)
    require_same_results(out, whole)


def test_a_shard_that_is_typed_again_after_the_join_does_nothing(
    images: Path, tmp_path: Path, segmenter: Segmenter
) -> None:
    for given in (images, images / "b.tif"):  # with frames of its own, and with blocks of a large one alone
        out = tmp_path / f"of {given.name}"
        run(given, out, segmenter, shard=Shard(1, 2))
        run(given, out, segmenter, shard=Shard(2, 2))
        run(given, out, segmenter, join=True)
        before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
        assert run(given, out, segmenter, shard=Shard(1, 2)) == Outcome()
        assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before


@pytest.mark.parametrize("name", ["b.tif", "a.tif"])
def test_a_shard_over_other_images_than_those_that_were_joined_is_refused(
    images: Path, tmp_path: Path, segmenter: Segmenter, name: str
) -> None:
    out = tmp_path / "out"
    run(images, out, segmenter, shard=Shard(1, 1))
    run(images, out, segmenter, join=True)
    before = names(out)
    later = (out / "summary.csv").stat().st_mtime_ns + 1
    os.utime(images / name, ns=(later, later))
    with pytest.raises(OutputError, match="results exist already"):
        run(images, out, segmenter, shard=Shard(1, 1))
    assert names(out) == before


def test_blocks_are_not_computed_where_a_result_is_in_their_way(
    images: Path, tmp_path: Path, segmenter: Segmenter
) -> None:
    (tmp_path / "out" / "b_labels.ome.zarr").mkdir(parents=True)
    with pytest.raises(OutputError, match=r"b_labels\.ome\.zarr exists already"):
        run(images / "b.tif", tmp_path / "out", segmenter, shard=Shard(1, 2))
    assert names(tmp_path / "out") == ["b_labels.ome.zarr"]


def test_shards_at_the_same_time_do_not_meet(images: Path, tmp_path: Path, segmenter: Segmenter, whole: Path) -> None:
    out = tmp_path / "out"
    errors: list[BaseException] = []

    def work(number: int) -> None:
        try:
            run(images, out, segmenter, shard=Shard(number, 3))
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in (1, 2, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    run(images, out, segmenter, join=True)
    require_same_results(out, whole)


def test_a_join_waits_for_no_shard_that_is_running(images: Path, tmp_path: Path, segmenter: Segmenter) -> None:
    out = tmp_path / "out"
    run(images, out, segmenter, shard=Shard(1, 2))
    name = shard_record(1, 2)
    before = read_record(out, name)
    assert before.settings is not None
    with (
        continued(out, before, before.settings, [], name=name),
        pytest.raises(OutputError, match="another run is writing"),
    ):
        run(images, out, segmenter, join=True)


def test_what_shards_have_done_is_ended_or_begun_anew(
    images: Path, tmp_path: Path, segmenter: Segmenter, whole: Path
) -> None:
    out = tmp_path / "out"
    with pytest.raises(OutputError, match="holds nothing that shards have done"):
        run(images, out, segmenter, join=True)
    run(images, out, segmenter, shard=Shard(1, 2))
    with pytest.raises(OutputError, match="end it with --join, or begin anew with --overwrite"):
        run(images, out, segmenter)
    run(images, out, segmenter, overwrite=True)
    require_same_results(out, whole)


def test_other_settings_than_the_shards_had_are_refused(images: Path, tmp_path: Path, segmenter: Segmenter) -> None:
    out = tmp_path / "out"
    run(images, out, segmenter, shard=Shard(1, 2))
    with pytest.raises(OutputError, match="another --formats"):
        run(images, out, segmenter, join=True, formats=["csv"])


def test_a_run_without_shards_is_not_shared_afterwards(images: Path, tmp_path: Path, segmenter: Segmenter) -> None:
    (images / "z.png").write_bytes(b"no image")
    run(images, tmp_path / "out", segmenter)
    assert RECORD in names(tmp_path / "out")
    with pytest.raises(OutputError, match="holds an unfinished run without shards"):
        run(images, tmp_path / "out", segmenter, shard=Shard(1, 2))


def test_overwriting_forgets_the_blocks_of_a_run_that_was_broken_off(
    images: Path, tmp_path: Path, segmenter: Segmenter, whole: Path
) -> None:
    out = tmp_path / "out"
    run(images, out, segmenter, shard=Shard(1, 2))
    mask = next((out / ".unfinished-b_labels.ome.zarr" / "mask").iterdir())
    mask.write_bytes(b"damaged")
    run(images, out, segmenter, overwrite=True)
    require_same_results(out, whole)


def test_a_large_ome_zarr_is_segmented_as_the_tiff(
    images: Path, tmp_path: Path, segmenter: Segmenter, whole: Path
) -> None:
    image = tifffile.imread(images / "b.tif")
    axes = [{"name": axis, "type": "space"} for axis in "yx"]
    multiscale: dict[str, Any] = {"version": "0.4", "axes": axes, "datasets": [{"path": "0"}]}
    group = zarr.open_group(tmp_path / "b.zarr", mode="w", zarr_format=2, attributes={"multiscales": [multiscale]})
    group.create_array("0", data=image, chunks=(50, 70))
    run(tmp_path / "b.zarr", tmp_path / "out", segmenter)
    np.testing.assert_array_equal(labels(tmp_path / "out"), labels(whole))
    assert (tmp_path / "out" / "b_nuclei.csv").read_bytes() == (whole / "b_nuclei.csv").read_bytes()


def test_a_large_file_whose_name_is_no_utf8_has_its_results(images: Path, tmp_path: Path, segmenter: Segmenter) -> None:
    try:
        odd = (images / "b.tif").rename(images / os.fsdecode(b"b\xff.tif"))
    except OSError as error:
        pytest.skip(f"this file system takes no such name: {error}")
    plan = make_plan([odd], tmp_path / "out", cutting=CUTTING, formats=("parquet",))
    outcome = segment_files(plan, segmenter)
    assert not outcome.refused
    with (tmp_path / "out" / os.fsdecode(b"b\xff_nuclei.parquet")).open("rb") as table:
        assert len(pq.read_table(table)) == outcome.rows[0].nuclei > 0
