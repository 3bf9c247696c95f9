"""The ranges of int8, on values and histograms that are known."""

from __future__ import annotations

import numpy as np
import pytest

from unetplus_export.onnx_ranges import activation_ranges, entropy_bins, percentile_bins

onnx = pytest.importorskip("onnx", reason="needs the export extra")
pytest.importorskip("onnxruntime", reason="needs the export extra")


@pytest.fixture(scope="module")
def model():
    """Two 1x1 convolutions in a row: the first reads the patch, the second reads it times -3."""
    ends = [
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["n", 1, 20, 50])
        for name in ("image", "answer")
    ]
    nodes = [
        onnx.helper.make_node("Conv", ["image", "w"], ["middle"]),
        onnx.helper.make_node("Conv", ["middle", "w"], ["answer"]),
    ]
    weight = onnx.numpy_helper.from_array(np.full((1, 1, 1, 1), -3, np.float32), "w")
    graph = onnx.helper.make_graph(nodes, "test", ends[:1], ends[1:], [weight])
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)


def patches_of(*values):
    """One patch a value, zero but for that one."""
    patches = np.zeros((len(values), 1, 20, 50), np.float32)
    patches[:, 0, 3, 3] = values
    return patches


@pytest.mark.parametrize("order", [(0.2, 0.5, 0.1), (0.5, 0.1, 0.2)])
def test_min_max_reaches_to_the_largest_magnitude_of_all_patches(model, order):
    ranges = activation_ranges(model, patches_of(*order), "min-max")
    assert ranges == pytest.approx({"image": 0.5, "middle": 1.5})


def test_percentile_leaves_out_what_is_rarer_than_one_in_100_000(model):
    rng = np.random.default_rng(0)
    values = rng.random((200, 1, 20, 50), np.float32) / 2
    values[0, 0, 0, 0] = 1
    assert activation_ranges(model, values, "min-max")["image"] == 1
    # Of 200,000 values, 2 may be larger, to the nearest of 2,048 bins.
    expected = np.sort(values, axis=None)[-3]
    assert activation_ranges(model, values, "percentile")["image"] == pytest.approx(expected, abs=1.5 / 2048)


def test_entropy_cuts_a_long_thin_tail(model):
    rng = np.random.default_rng(0)
    values = np.abs(rng.normal(0, 0.02, (50, 1, 20, 50))).astype(np.float32)
    values[0, 0, 0, 0] = 1
    limit = activation_ranges(model, values, "entropy")["image"]
    assert 0.04 < limit < 0.2


@pytest.mark.parametrize("method", ["min-max", "percentile", "entropy"])
def test_patches_of_zeros_have_the_range_zero(model, method):
    assert activation_ranges(model, patches_of(0, 0), method) == {"image": 0, "middle": 0}


def test_entropy_keeps_all_of_a_flat_distribution():
    assert entropy_bins(np.full(2048, 100)) == 2048


def test_entropy_pays_no_heed_to_how_often_zero_is_there():
    rng = np.random.default_rng(0)
    histogram = np.bincount(np.minimum(np.abs(rng.normal(0, 200, 100_000)), 2047).astype(int), minlength=2048)
    without = entropy_bins(histogram.copy())
    histogram[0] = 10**8
    assert entropy_bins(histogram) == without


@pytest.mark.parametrize(("histogram", "bins"), [([10, 10, 0, 0], 2), ([0, 0, 0, 7], 4), ([10**6, 1, 0, 1], 1)])
def test_percentile_takes_the_bins_that_hold_nearly_all(histogram, bins):
    assert percentile_bins(np.array(histogram)) == bins
