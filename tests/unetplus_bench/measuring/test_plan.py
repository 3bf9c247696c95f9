"""Which rows a measurement has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from unetplus_bench.measuring.camera import CameraSubject
from unetplus_bench.measuring.plan import Wanted, planned_rows
from unetplus_bench.measuring.subjects import FrameSubject, NetworkSubject
from unetplus_edge.errors import InputError
from unetplus_edge.imaging import PatchGrid, preprocess

if TYPE_CHECKING:
    from unetplus_bench.measuring.material import Material
    from unetplus_edge.bundle import Bundle


def names(bundles: list[Bundle], material: Material, **wanted: Any) -> list[str]:
    return [planned.row.name for planned in planned_rows(bundles, Wanted(**wanted), material)]


def test_every_batch_and_number_of_threads_is_a_row_with_a_name_of_its_own(bundle: Bundle, material: Material) -> None:
    assert names([bundle], material, engines=("litert",), batches=(1, 4), threads=(1, 2)) == [
        "tiny litert fp32, 1 thread",
        "tiny litert fp32, 2 threads",
        "tiny litert fp32, batch 4, 1 thread",
        "tiny litert fp32, batch 4, 2 threads",
    ]


def test_frames_are_of_every_size_and_not_of_every_batch(bundle: Bundle, material: Material) -> None:
    asked: dict[str, Any] = {"scopes": ("frame",), "frames": ((64, 96), (100, 80)), "batches": (1, 4)}
    assert names([bundle], material, engines=("litert",), **asked) == [
        "tiny litert fp32, frame 64x96",
        "tiny litert fp32, frame 100x80",
    ]


def test_what_is_known_before_opening_is_in_the_row(bundle: Bundle, material: Material) -> None:
    planned = planned_rows([bundle], Wanted(), material)
    assert [one.row.engine for one in planned] == ["keras", "litert"]
    row = planned[1].row
    assert row.network is not None
    assert (row.network.name, row.network.base_filters, row.network.side) == ("unet_plus_tc_b2", 2, 64)
    assert row.file_bytes == (bundle.path / "exports/tiny.tflite").stat().st_size
    assert row.file_sha256 == bundle.manifest.conversions[0].sha256


def test_on_a_cpu_there_are_no_copies_to_time(bundle: Bundle, material: Material) -> None:
    assert names([bundle], material, scopes=("net", "net+copies")) == names([bundle], material)
    with pytest.raises(InputError, match=r"net\+copies is for engines on a GPU"):
        names([bundle], material, scopes=("net+copies",))


def test_on_a_gpu_the_network_is_timed_with_copies_and_without(bundle: Bundle, material: Material) -> None:
    wanted = Wanted(engines=("litert",), device="cuda", scopes=("net", "net+copies"))
    subjects = [planned.subject for planned in planned_rows([bundle], wanted, material)]
    assert [isinstance(one, NetworkSubject) and one.compute_only for one in subjects] == [True, False]


def test_a_camera_is_of_every_size_and_every_rate_with_what_the_service_is_asked_for(
    bundle: Bundle, material: Material
) -> None:
    wanted = Wanted(engines=("litert",), scopes=("camera",), frames=((64, 96),), rates=(2.5, 10.0), batches=(1, 4))
    planned = planned_rows([bundle], wanted, material)
    assert [one.row.name for one in planned] == [
        "tiny litert fp32, camera 64x96, 2.5 a second",
        "tiny litert fp32, camera 64x96, 10 a second",
    ]
    asked = [CameraSubject(bundle.path, "litert", "fp32", None, (64, 96), rate) for rate in (2.5, 10.0)]
    assert [one.camera for one in planned] == asked
    assert {(one.subject, one.row.executed_precision) for one in planned} == {(None, "fp32")}


def test_a_service_cannot_be_told_a_device(bundle: Bundle, material: Material) -> None:
    with pytest.raises(InputError, match="leave --device out"):
        names([bundle], material, scopes=("camera",), device="cuda")


def test_bundles_of_one_name_are_told_apart_by_their_folders(
    bundle: Bundle, paper_bundle: Bundle, material: Material
) -> None:
    assert names([bundle, paper_bundle], material, engines=("keras",)) == [
        f"{bundle.path} keras fp32",
        f"{paper_bundle.path} keras fp32",
    ]


def test_what_cannot_be_timed_is_a_row_that_is_not_opened(bundle: Bundle, material: Material) -> None:
    (planned,) = planned_rows([bundle], Wanted(engines=("tensorrt",)), material)
    assert planned.subject is None
    assert planned.row.error is not None
    assert "run: unetplus-export" in planned.row.error


def test_patches_are_of_simulated_frames_preprocessed_as_the_bundle_says(bundle: Bundle, material: Material) -> None:
    from unetplus_edge.datasets.specimen import Specimen, simulate

    (planned,) = planned_rows([bundle], Wanted(engines=("litert",), batches=(3,)), material)
    assert isinstance(planned.subject, NetworkSubject)
    patches = np.load(planned.subject.patches)
    assert patches.dtype == np.float32
    assert patches.shape[1:] == (64, 64, 1)
    assert len(patches) % 3 == 0
    frame = simulate(Specimen(height=64, width=64, seed=2)).image
    prepared = preprocess(frame, bundle.manifest.recipe.preprocessing)
    np.testing.assert_array_equal(patches[2], PatchGrid(64, 64, 64).cut(prepared)[0])


def test_frames_have_the_size_that_is_asked_for(bundle: Bundle, material: Material) -> None:
    wanted = Wanted(engines=("litert",), scopes=("frame",), frames=((70, 90),))
    (planned,) = planned_rows([bundle], wanted, material)
    assert isinstance(planned.subject, FrameSubject)
    assert np.load(planned.subject.frame).shape == (70, 90) == planned.row.frame_shape
