"""Which node reads which, read off the Keras graph and compared with lists written by hand."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

import keras
import pytest

from unetplus_edge.architectures import Architecture, UNet, UNetPlus, UNetPlusPlus
from unetplus_edge.networks import build_network

_UNET_PLUS = {
    "c1_0": {"image"},
    # Column 1.
    "c1_1": {"c1_0"},
    "d1_1": {"c1_0"},
    "c2_1": {"d1_1"},
    "d2_1": {"d1_1"},
    "c3_1": {"d2_1"},
    "d3_1": {"d2_1"},
    "c4_1": {"d3_1"},
    "d4_1": {"d3_1"},
    # Column 2.
    "c1_2": {"c1_1"},
    "d1_2": {"c1_1"},
    "c2_2": {"c2_1", "d1_2"},
    "d2_2": {"c2_1", "d1_2"},
    "c3_2": {"c3_1", "d2_2"},
    "d3_2": {"c3_1", "d2_2"},
    # Column 3.
    "c1_3": {"c1_2"},
    "d1_3": {"c1_2"},
    "c2_3": {"c2_2", "d1_3"},
    "d2_3": {"c2_2", "d1_3"},
    # Column 4.
    "c1_4": {"c1_3"},
    "d1_4": {"c1_3"},
    # The path up; there is no C on level 5.
    "u4": {"d4_1"},
    "u3": {"u4", "c4_1", "d3_2"},
    "u2": {"u3", "c3_2", "d2_3"},
    "u1": {"u2", "c2_3", "d1_4"},
    "probability": {"u1", "c1_4"},
}

_UNET = {
    "down1": {"image"},
    "down2": {"down1"},
    "down3": {"down2"},
    "down4": {"down3"},
    "bottom": {"down4"},
    "up4": {"bottom", "down4"},
    "up3": {"up4", "down3"},
    "up2": {"up3", "down2"},
    "up1": {"up2", "down1"},
    "probability": {"up1"},
}

_UNET_PLUS_PLUS = {
    "x1_0": {"image"},
    "x2_0": {"x1_0"},
    "x3_0": {"x2_0"},
    "x4_0": {"x3_0"},
    "x5_0": {"x4_0"},
    "x1_1": {"x2_0", "x1_0"},
    "x2_1": {"x3_0", "x2_0"},
    "x3_1": {"x4_0", "x3_0"},
    "x4_1": {"x5_0", "x4_0"},
    "x1_2": {"x2_1", "x1_0", "x1_1"},
    "x2_2": {"x3_1", "x2_0", "x2_1"},
    "x3_2": {"x4_1", "x3_0", "x3_1"},
    "x1_3": {"x2_2", "x1_0", "x1_1", "x1_2"},
    "x2_3": {"x3_2", "x2_0", "x2_1", "x2_2"},
    "x1_4": {"x2_3", "x1_0", "x1_1", "x1_2", "x1_3"},
    "probability": {"x1_4"},
}

_UNET_PLUS_FILTERS = {
    "c1_0": 1, "c1_1": 1, "c1_2": 1, "c1_3": 1, "c1_4": 1, "u1": 1,
    "c2_1": 2, "c2_2": 2, "c2_3": 2, "d1_1": 2, "d1_2": 2, "d1_3": 2, "d1_4": 2, "u2": 2,
    "c3_1": 4, "c3_2": 4, "d2_1": 4, "d2_2": 4, "d2_3": 4, "u3": 4,
    "c4_1": 8, "d3_1": 8, "d3_2": 8, "u4": 8,
    "d4_1": 16,
}  # fmt: skip
"""In units of B: D(i,j) goes from level i to level i + 1 and has the filters of that one."""

_ALL: list[tuple[Architecture, dict[str, set[str]]]] = [
    (UNet(base_filters=1), _UNET),
    (UNetPlusPlus(base_filters=1), _UNET_PLUS_PLUS),
    (UNetPlusPlus(base_filters=1, variant="controlled"), _UNET_PLUS_PLUS),
    (UNetPlus(base_filters=1), _UNET_PLUS),
    (UNetPlus(base_filters=1, upsampling="nearest"), _UNET_PLUS),
]


class _Graph:
    """The layers of a model by name, and the names of the layers that each one reads."""

    def __init__(self, model: keras.Model) -> None:
        entries = model.get_config()["layers"]
        self.layers = {layer.name: layer for layer in model.layers}
        self.reads = {entry["name"]: _tensors(entry["inbound_nodes"]) for entry in entries}

    def readers(self, name: str) -> list[str]:
        return [reader for reader, read in self.reads.items() if name in read]

    def weighted(self) -> list[str]:
        kinds = keras.layers.Conv2D | keras.layers.Conv2DTranspose
        return [name for name, layer in self.layers.items() if isinstance(layer, kinds)]

    def nearest(self, name: str) -> set[str]:
        """Return the convolutions, or the input, that a layer's input comes from without another between."""
        found: set[str] = set()
        for read in self.reads[name]:
            found |= {read} if read in self.weighted() or not self.reads[read] else self.nearest(read)
        return found

    def edges(self) -> dict[str, set[str]]:
        """Return which nodes each node reads."""
        edges: dict[str, set[str]] = {}
        for name in self.weighted():
            edges.setdefault(_node(name), set()).update(map(_node, self.nearest(name)))
        return {node: read - {node} for node, read in edges.items()}


def _tensors(arguments: Any) -> list[str]:
    if isinstance(arguments, dict):
        history = arguments.get("keras_history")
        return [history[0]] if history else [name for value in arguments.values() for name in _tensors(value)]
    if isinstance(arguments, list | tuple):
        return [name for value in arguments for name in _tensors(value)]
    return []


def _node(layer: str) -> str:
    return re.sub(r"(_[ab])?_(conv|transposed)$", "", layer)


@pytest.mark.parametrize(("architecture", "expected"), _ALL, ids=[architecture.name for architecture, _ in _ALL])
def test_every_node_reads_the_nodes_of_the_article(architecture: Architecture, expected: dict[str, set[str]]) -> None:
    assert _Graph(build_network(architecture)).edges() == expected


def test_the_flow_that_the_article_describes_is_there() -> None:
    edges = _Graph(build_network(UNetPlus(base_filters=1))).edges()
    flow = ["c1_0", "c1_1", "c1_2", "d1_3", "d2_3", "u2"]
    assert all(source in edges[target] for source, target in pairwise(flow))


@pytest.mark.parametrize("upsampling", ["transposed", "nearest"])
def test_every_block_of_u_net_plus_has_the_filters_of_its_level(upsampling: Any) -> None:
    graph = _Graph(build_network(UNetPlus(base_filters=3, upsampling=upsampling)))
    found = {(_node(name), graph.layers[name].filters) for name in graph.weighted()}
    assert found == {(node, 3 * factor) for node, factor in _UNET_PLUS_FILTERS.items()} | {("probability", 1)}


def test_a_block_of_u_net_plus_is_convolution_batch_norm_relu() -> None:
    graph = _Graph(build_network(UNetPlus(base_filters=1)))
    for name in graph.weighted():
        layer = graph.layers[name]
        if name == "probability":
            assert (layer.kernel_size, layer.activation) == ((1, 1), keras.activations.sigmoid)
            continue
        down = re.match(r"d\d", name) is not None
        transposed = isinstance(layer, keras.layers.Conv2DTranspose)
        assert (layer.kernel_size, layer.padding) == ((3, 3), "same")
        assert layer.strides == ((2, 2) if down or transposed else (1, 1))
        assert layer.activation is keras.activations.linear
        [norm] = graph.readers(name)
        [activation] = graph.readers(norm)
        assert type(graph.layers[norm]).__name__ == "BatchNormalization"
        assert type(graph.layers[activation]).__name__ == "ReLU"


@pytest.mark.parametrize(
    ("upsampling", "steps"),
    [("transposed", ["Conv2DTranspose", "Conv2D", "Conv2D"]), ("nearest", ["UpSampling2D", "Conv2D", "Conv2D"])],
)
def test_an_up_block_raises_and_then_convolves_twice(upsampling: Any, steps: list[str]) -> None:
    graph = _Graph(build_network(UNetPlus(base_filters=1, upsampling=upsampling)))
    for level in (4, 3, 2, 1):
        names = [name for name in graph.layers if re.match(rf"u{level}_", name)]
        kinds = [type(graph.layers[name]).__name__ for name in names]
        assert [kind for kind in kinds if kind in {"Conv2D", "Conv2DTranspose", "UpSampling2D"}] == steps


def test_nearest_upsampling_repeats_pixels_and_keeps_channels() -> None:
    model = build_network(UNetPlus(base_filters=1, upsampling="nearest"))
    raising = [layer for layer in model.layers if isinstance(layer, keras.layers.UpSampling2D)]
    assert [layer.interpolation for layer in raising] == ["nearest"] * 4
    # 16B from D(4,1); then three tensors of 8B, 4B, 2B side by side.
    assert [layer.output.shape[-1] for layer in raising] == [16, 24, 12, 6]


@pytest.mark.parametrize("architecture", [UNet(base_filters=1), UNetPlusPlus(base_filters=1)], ids=["unet", "unet++"])
def test_the_rivals_raise_by_2x2_transposed_convolutions_and_pool_by_the_maximum(architecture: Architecture) -> None:
    model = build_network(architecture)
    raising = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2DTranspose)]
    assert {(layer.kernel_size, layer.strides) for layer in raising} == {((2, 2), (2, 2))}
    assert sum(isinstance(layer, keras.layers.MaxPooling2D) for layer in model.layers) == 4
    assert not any(
        getattr(layer, "strides", None) == (2, 2) for layer in model.layers if type(layer) is keras.layers.Conv2D
    )


@pytest.mark.parametrize("depth", [2, 3, 6])
def test_other_depths_keep_the_pattern(depth: int) -> None:
    edges = _Graph(build_network(UNetPlus(base_filters=1, depth=depth), (64, 64))).edges()
    last = depth - 1
    assert edges["u1"] == ({f"d{last}_1"} if depth == 2 else {"u2", f"c2_{depth - 2}", f"d1_{last}"})
    assert edges["probability"] == {"u1", f"c1_{last}"}
    assert edges[f"u{last}"] == {f"d{last}_1"}
    nodes = {f"c{i}_{j}" for j in range(1, depth) for i in range(1, depth - j + 1)}
    assert {node for node in edges if node.startswith("c")} == nodes | {"c1_0"}
