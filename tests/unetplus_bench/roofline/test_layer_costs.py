"""What layers move, by hand."""

from __future__ import annotations

from unetplus_bench.roofline.layer_costs import NetworkCost, layer_traffic
from unetplus_edge.architecture_layers import LayerCost


def test_bytes_are_those_of_every_value_read_and_written_in_the_precision() -> None:
    layer = LayerCost("c", "convolution", macs=1, inputs=10, outputs=20, weights=5)
    assert [layer_traffic(layer, precision) for precision in ("fp32", "fp16", "int8")] == [140, 70, 35]


def test_a_batch_reads_the_weights_once() -> None:
    layers = (LayerCost("a", "convolution", 1, 10, 20, 100), LayerCost("b", "convolution", 1, 20, 30, 60))
    cost = NetworkCost("net", 4, layers)
    assert cost.traffic("fp16", batch=4) == (10 + 20 + 20 + 30) * 2 + (100 + 60) * 2 / 4


def test_the_least_that_is_moved_is_the_patch_its_answer_and_the_weights() -> None:
    cost = NetworkCost("net", 4, (LayerCost("a", "convolution", 1, 16, 16, 100),))
    assert cost.least_traffic("int8", batch=2) == 16 * 4 + 16 * 4 + 100 / 2
