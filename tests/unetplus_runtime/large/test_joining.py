"""Any mask, cut anyhow: the nuclei of the blocks are those of the whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from unetplus_edge.imaging import Postprocessing, label_nuclei
from unetplus_runtime.large.blocks import Block, BlockGrid, inside
from unetplus_runtime.large.joining import Numbering
from unetplus_runtime.large.pieces import halo, label_pieces, pieces_of

if TYPE_CHECKING:
    from numpy.typing import NDArray


def by_blocks(mask: NDArray[np.bool_], side: int, constants: Postprocessing) -> tuple[NDArray[np.uint32], int]:
    """The label image of a mask, made block by block, and the number of nuclei."""
    grid = BlockGrid(*mask.shape, side)

    def labelled(block: Block) -> NDArray[np.int32]:
        rows, columns = grid.around(block.rows, block.columns, halo(constants))
        window = mask[rows, columns]
        return label_pieces(window, inside(block.rows, rows), inside(block.columns, columns), constants)

    numbering = Numbering(grid, lambda block: pieces_of(labelled(block)), constants)
    labels = np.zeros(mask.shape, np.uint32)
    for block in grid.blocks:
        pieces = labelled(block)
        labels[block.rows, block.columns] = numbering.of(block, pieces_of(pieces))[pieces]
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
