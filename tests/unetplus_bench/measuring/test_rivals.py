"""What other people use, as it is timed here."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest

from unetplus_bench.measuring.plan import Wanted
from unetplus_bench.measuring.rivals import OtsuSubject, StarDistSubject, otsu_watershed, rival_rows, stardist_network
from unetplus_bench.measuring.rounds import Schedule, measure_rounds

if TYPE_CHECKING:
    from pathlib import Path

    from unetplus_bench.measuring.material import Material
    from unetplus_edge.bundle import Bundle


def test_stardists_network_is_the_published_configuration() -> None:
    model = stardist_network(64)
    # Channels along the published network: two convolutions at full resolution, down, bottom, up (with what is
    # concatenated), features.
    full, down = (1, 32, 32), [(32, 32, 32), (32, 64, 64), (64, 128, 128)]
    bottom, up = (128, 256, 128), [(256, 128, 64), (128, 64, 32), (64, 32, 32)]
    paths = [full, *down, bottom, *up, (32, 128)]
    kernels = sum(9 * read * written + written for path in paths for read, written in pairwise(path))
    heads = (128 + 1) * (1 + 32)
    assert model.count_params() == kernels + heads
    # Grid (2, 2): probability and 32 rays for every other pixel.
    assert model.output_shape == [(None, 32, 32, 1), (None, 32, 32, 32)]


def test_stardists_network_is_timed_on_batches_of_patches(tmp_path: Path) -> None:
    np.save(tmp_path / "patches.npy", np.zeros((4, 32, 32, 1), np.float32))
    with StarDistSubject(2, None, tmp_path / "patches.npy").open() as timed:
        timed.call()
    assert timed.facts["executed_precision"] == "fp32"
    assert timed.facts["network"]["weights"] == stardist_network(32).count_params()
    assert timed.score is None


def discs(*circles: tuple[int, int, int]) -> np.ndarray:
    y, x = np.mgrid[:80, :120]
    frame = np.full((80, 120), 100, np.uint16)
    for row, column, radius in circles:
        frame[np.hypot(y - row, x - column) <= radius] = 3000
    return frame


def test_otsu_and_watershed_part_nuclei_that_touch() -> None:
    labels = otsu_watershed(discs((40, 30, 12), (40, 52, 12), (20, 100, 8)))
    assert labels.dtype == np.int32
    assert {*np.unique(labels)} == {0, 1, 2, 3}
    assert len({labels[40, 30], labels[40, 52], labels[20, 100], 0}) == 4


def test_otsu_and_watershed_leave_small_objects_and_empty_frames_empty() -> None:
    assert otsu_watershed(discs()).max() == 0
    assert otsu_watershed(discs((40, 30, 12), (20, 100, 1))).max() == 1


def test_the_classical_way_is_timed_by_stage(tmp_path: Path) -> None:
    np.save(tmp_path / "frame.npy", discs((40, 30, 12)))
    (row,) = measure_rounds([OtsuSubject(tmp_path / "frame.npy")], Schedule(rounds=1, warm_up=0, calls=2))
    assert row.error is None
    assert [*row.stages] == ["postprocess", "measure"]
    assert row.facts["library"].startswith("scikit-image ")


@pytest.mark.parametrize(
    ("scopes", "words"), [(("net",), ["network alone"]), (("frame",), ["watershed"]), (("net+copies",), [])]
)
def test_rivals_are_timed_in_the_scope_that_they_can_be(
    bundle: Bundle, material: Material, scopes: tuple[str, ...], words: list[str]
) -> None:
    rows = rival_rows([bundle], Wanted(scopes=scopes, frames=((64, 64),)), material)  # type: ignore[arg-type]
    assert len(rows) == len(words)
    assert all(word in one.row.name for word, one in zip(words, rows, strict=True))
