"""Any mask with any cores, cut anyhow: the nuclei of the blocks are those of the whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unetplus_edge.imaging import Postprocessing, label_nuclei
from unetplus_runtime.large.blocks import Block, BlockGrid, inside
from unetplus_runtime.large.joining import Numbering
from unetplus_runtime.large.pieces import Pieces, halo, label_pieces

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Blocks:
    """A mask, 0 or 1, or one with cores, 2, whose nuclei are numbered block by block."""

    def __init__(self, classes: NDArray[Any], side: int, constants: Postprocessing) -> None:
        self.classes, self.constants = classes.astype(np.uint8), constants
        self.grid = BlockGrid(*classes.shape, side)
        self.numbering = Numbering(self.grid, lambda block: self.labelled(block)[1], constants)

    def labelled(self, block: Block) -> tuple[NDArray[np.int32], Pieces]:
        rows, columns = self.grid.around(block.rows, block.columns, halo(self.constants))
        around = inside(block.rows, rows), inside(block.columns, columns)
        return label_pieces(self.classes[rows, columns], *around, self.constants)

    def labels(self) -> NDArray[np.uint32]:
        labels = np.zeros(self.classes.shape, np.uint32)
        for block in self.grid.blocks:
            found, pieces = self.labelled(block)
            labels[block.rows, block.columns] = self.numbering.of(block, pieces)[found]
        return labels


def by_blocks(classes: NDArray[Any], side: int, constants: Postprocessing) -> tuple[NDArray[np.uint32], int]:
    """The label image that is made block by block, and the number of nuclei."""
    blocks = Blocks(classes, side, constants)
    return blocks.labels(), blocks.numbering.count


def in_one(classes: NDArray[Any], constants: Postprocessing) -> NDArray[np.int32]:
    """The label image of the whole; thresholds are 0.5 and 0.8."""
    return label_nuclei(np.array([0.2, 0.6, 0.9], np.float32)[classes], constants)


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
    join_border=st.none() | st.floats(0.05, 2),
)
def test_any_cores_grow_to_the_nuclei_of_the_whole(
    mask: NDArray[np.bool_], cores: NDArray[np.bool_], side: int, connectivity: Literal[4, 8], **chosen: Any
) -> None:
    height, width = np.minimum(mask.shape, cores.shape)
    classes = np.where(mask[:height, :width], 1 + cores[:height, :width], 0)
    constants = Postprocessing(threshold=0.5, core_threshold=0.8, connectivity=connectivity, **chosen)
    labels, count = by_blocks(classes, side, constants)
    truth = in_one(classes, constants)
    require_same_nuclei(labels, truth)
    assert count == truth.max()
    np.testing.assert_array_equal(np.unique(labels[labels > 0]), np.arange(1, count + 1))


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


@pytest.mark.parametrize("crack", ["down", "across", "slanting"])
def test_the_halves_of_a_disc_are_joined_wherever_blocks_cut_it(crack: str) -> None:
    side = 8
    y, x = np.mgrid[:40, :40]
    for down, across in [(n, 0) for n in range(side)] + [(0, n) for n in range(side)] + [(n, n) for n in range(side)]:
        from_y, from_x = y - 10 - down, x - 10 - across
        disc = np.hypot(from_y, from_x) <= 9
        between = {"down": from_x == 0, "across": from_y == 0, "slanting": from_x == from_y}[crack]
        classes = np.where(disc, np.where(between, 1, 2), 0)
        for join_border, expected in ((1.3, 1), (None, 2)):
            constants = Postprocessing(core_threshold=0.8, join_border=join_border)
            labels, count = by_blocks(classes, side, constants)
            assert count == expected
            require_same_nuclei(labels, in_one(classes, constants))


def _strips() -> NDArray[np.int64]:
    """Three nuclei one below the other, of 7 x 14 pixels, of which the last reaches into the next block of 20 rows."""
    classes = np.zeros((40, 20), np.int64)
    classes[1:22, 3:17] = 1
    classes[1:7, 3:17] = classes[9:14, 3:17] = classes[16:22, 3:17] = 2
    return classes


@pytest.mark.parametrize(("join_border", "count"), [(None, 3), (1.2, 1), (1.3, 3)])
def test_a_block_leaves_open_what_may_be_joined_beyond_its_side(join_border: float | None, count: int) -> None:
    constants = Postprocessing(core_threshold=0.8, join_border=join_border)
    labels, found = by_blocks(_strips(), 20, constants)
    assert found == count
    require_same_nuclei(labels, in_one(_strips(), constants))


def test_kept_is_what_reaches_a_side_or_touches_that_or_is_joined_to_what_does() -> None:
    for join_border, kept in ((None, [3]), (1.3, [2, 3]), (1.2, [1, 2, 3])):
        blocks = Blocks(_strips(), 20, Postprocessing(core_threshold=0.8, join_border=join_border))
        upper, lower = blocks.grid.blocks
        assert blocks.numbering.unsettled(upper).tolist() == kept
        assert blocks.numbering.unsettled(lower).tolist() == [1]


def test_what_is_joined_inside_a_block_is_not_kept() -> None:
    blocks = Blocks(np.pad(_strips(), 20), 80, Postprocessing(core_threshold=0.8, join_border=1.2))
    (block,) = blocks.grid.blocks
    assert blocks.numbering.unsettled(block).tolist() == []
    assert blocks.numbering.count == blocks.labels().max() == 1


def test_a_border_along_a_side_counts_once() -> None:
    # Two nuclei of 10 x 8 pixels on either side of a block's side: their border is 10 long, 0.99 diameters.
    classes = np.zeros((16, 16), np.int64)
    classes[3:13] = 1
    classes[3:13, :7] = classes[3:13, 9:] = 2
    for join_border, count in ((0.98, 1), (1.0, 2)):
        constants = Postprocessing(core_threshold=0.8, join_border=join_border)
        labels, found = by_blocks(classes, 8, constants)
        assert found == count
        require_same_nuclei(labels, in_one(classes, constants))


def test_a_nucleus_that_is_large_enough_only_when_joined_is_kept() -> None:
    classes = np.zeros((16, 16), np.int64)
    classes[4:12, 6:10] = 1
    classes[4:12, 6] = classes[4:12, 9] = 2
    for join_border, smallest, count in ((1.2, 32, 1), (1.2, 33, 0), (None, 17, 0), (None, 16, 2)):
        constants = Postprocessing(
            core_threshold=0.8, min_core_area=1, min_nucleus_area=smallest, join_border=join_border
        )
        labels, found = by_blocks(classes, 8, constants)
        assert found == count
        require_same_nuclei(labels, in_one(classes, constants))
