"""Any mask with any cores, cut anyhow: the nuclei of the blocks are those of the whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from unetplus_edge.imaging import Postprocessing, label_nuclei
from unetplus_runtime.large.blocks import Block, BlockGrid, inside
from unetplus_runtime.large.joining import Numbering
from unetplus_runtime.large.pieces import Pieces, halo, label_pieces

if TYPE_CHECKING:
    from numpy.typing import NDArray


def by_blocks(classes: NDArray[Any], side: int, constants: Postprocessing) -> tuple[NDArray[np.uint32], int]:
    """The label image of a mask, 0 or 1, or of a mask with cores, 2, made block by block, and the number of nuclei."""
    grid = BlockGrid(*classes.shape, side)

    def labelled(block: Block) -> tuple[NDArray[np.int32], Pieces]:
        rows, columns = grid.around(block.rows, block.columns, halo(constants))
        window = classes[rows, columns].astype(np.uint8)
        return label_pieces(window, inside(block.rows, rows), inside(block.columns, columns), constants)

    numbering = Numbering(grid, lambda block: labelled(block)[1], constants)
    labels = np.zeros(classes.shape, np.uint32)
    for block in grid.blocks:
        found, pieces = labelled(block)
        labels[block.rows, block.columns] = numbering.of(block, pieces)[found]
    return labels, numbering.count


def require_same_nuclei(labels: NDArray[np.uint32], truth: NDArray[np.int32]) -> None:
    """Each number of one image stands for one number of the other."""
    pairs = np.unique(np.stack((labels.ravel(), truth.ravel())), axis=1)
    assert len(np.unique(pairs[0])) == len(np.unique(pairs[1])) == pairs.shape[1]
    assert ((pairs[0] == 0) == (pairs[1] == 0)).all()


@st.composite
def masks(draw: st.DrawFn) -> NDArray[np.bool_]:
    """Noise of any density, in grains of one or two pixels."""
    height, width, grain = draw(st.integers(1, 30)), draw(st.integers(1, 30)), draw(st.integers(1, 2))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    noise = rng.random((height, width)) < draw(st.floats(0, 1))
    return np.ascontiguousarray(noise.repeat(grain, axis=0).repeat(grain, axis=1)[:height, :width])


@settings(max_examples=150, deadline=None)
@given(
    mask=masks(),
    side=st.integers(3, 20),
    connectivity=st.sampled_from([4, 8]),
    max_hole_area=st.integers(0, 12),
    min_nucleus_area=st.integers(0, 20),
)
def test_any_mask_has_the_nuclei_of_the_whole(
    mask: NDArray[np.bool_], side: int, connectivity: Literal[4, 8], max_hole_area: int, min_nucleus_area: int
) -> None:
    constants = Postprocessing(
        connectivity=connectivity, max_hole_area=max_hole_area, min_nucleus_area=min_nucleus_area
    )
    labels, count = by_blocks(mask, side, constants)
    truth = label_nuclei(mask.astype(np.float32), constants)
    require_same_nuclei(labels, truth)
    assert count == truth.max()
    np.testing.assert_array_equal(np.unique(labels[labels > 0]), np.arange(1, count + 1))


@settings(max_examples=300, deadline=None)
@given(
    mask=masks(),
    cores=masks(),
    side=st.integers(3, 20),
    connectivity=st.sampled_from([4, 8]),
    max_hole_area=st.integers(0, 6),
    min_nucleus_area=st.integers(0, 20),
    min_core_area=st.integers(1, 6),
    core_reach=st.integers(0, 6),
)
def test_any_cores_grow_to_the_nuclei_of_the_whole(
    mask: NDArray[np.bool_], cores: NDArray[np.bool_], side: int, connectivity: Literal[4, 8], **areas: int
) -> None:
    height, width = np.minimum(mask.shape, cores.shape)
    classes = np.where(mask[:height, :width], 1 + cores[:height, :width], 0)
    constants = Postprocessing(threshold=0.5, core_threshold=0.8, connectivity=connectivity, **areas)
    labels, count = by_blocks(classes, side, constants)
    truth = label_nuclei(np.array([0.2, 0.6, 0.9], np.float32)[classes], constants)
    require_same_nuclei(labels, truth)
    assert count == truth.max()


def test_a_core_claims_mask_in_another_block() -> None:
    classes = np.ones((10, 30), np.uint8)
    classes[:, :4] = classes[:, -4:] = 2
    constants = Postprocessing(threshold=0.5, core_threshold=0.8, core_reach=13)
    labels, count = by_blocks(classes, 8, constants)
    assert count == 2
    np.testing.assert_array_equal(
        labels, np.where(np.arange(30) < 15, labels[0, 0], labels[0, -1])[np.newaxis] + 0 * labels
    )
    assert labels[0, 0] != labels[0, -1]


def test_a_nucleus_over_many_blocks_has_one_number() -> None:
    mask = np.zeros((40, 40), np.bool_)
    mask[5:36:10] = mask[:, 7] = True
    labels, count = by_blocks(mask, 8, Postprocessing(min_nucleus_area=0, max_hole_area=0))
    assert count == 1
    np.testing.assert_array_equal(labels, mask)


def test_a_nucleus_that_only_its_parts_together_make_large_enough_is_kept() -> None:
    mask = np.zeros((16, 16), np.bool_)
    mask[7:9, 7:9] = True
    for smallest, kept in ((4, 1), (5, 0)):
        _, count = by_blocks(mask, 8, Postprocessing(min_nucleus_area=smallest))
        assert count == kept


def test_a_hole_over_a_border_is_filled_by_its_whole_area() -> None:
    mask = np.zeros((16, 16), np.bool_)
    mask[2:14, 2:14] = True
    mask[7:9, 7:9] = False
    for largest, filled in ((4, True), (3, False)):
        labels, _ = by_blocks(mask, 8, Postprocessing(max_hole_area=largest))
        assert (labels[7:9, 7:9] > 0).all() == filled


def test_the_frames_edge_ends_no_hole() -> None:
    mask = np.ones((16, 16), np.bool_)
    mask[0, 8] = False
    labels, _ = by_blocks(mask, 8, Postprocessing(max_hole_area=10))
    assert labels[0, 8] == 0
