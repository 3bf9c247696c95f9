"""Sizes, layers and inputs of the networks."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING

import keras
import numpy as np
import pytest

from unetplus_edge.architectures import Architecture, UNet, UNetPlus, UNetPlusPlus, architecture_from_name
from unetplus_edge.errors import InputError
from unetplus_edge.networks import build_network

if TYPE_CHECKING:
    from pathlib import Path

_WEIGHTS = {
    "unet_b16": 1_946_705,
    "unet_plus_plus_b16": 2_261_601,
    "unet_plus_tc_b16": 1_927_025,
    "unet_plus_us_b16": 1_729_985,
    "unet_b8": 488_617,
    "unet_plus_plus_b8": 566_001,
    "unet_plus_tc_b8": 484_281,
    "unet_plus_us_b8": 434_721,
}
"""Kernels, biases and four batch-norm values a channel, counted by hand from the article's text."""

_OTHER_BACKENDS = [name for name in ("jax", "torch") if find_spec(name)]
_TINY: list[Architecture] = [
    UNet(base_filters=2, depth=3),
    UNetPlusPlus(base_filters=2, depth=3),
    UNetPlusPlus(base_filters=2, depth=3, variant="controlled"),
    UNetPlus(base_filters=2, depth=3),
    UNetPlus(base_filters=2, depth=3, upsampling="nearest"),
]


def _convolutions(model: keras.Model) -> list[keras.layers.Layer]:
    return [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D | keras.layers.Conv2DTranspose)]


@pytest.mark.parametrize(("name", "weights"), _WEIGHTS.items())
def test_the_number_of_weights_is_that_of_the_article(name: str, weights: int) -> None:
    assert build_network(architecture_from_name(name)).count_params() == weights


def test_the_ratios_are_those_of_the_article() -> None:
    unet, plus_plus, transposed, nearest = (
        build_network(architecture_from_name(f"{name}_b16")).count_params()
        for name in ("unet", "unet_plus_plus", "unet_plus_tc", "unet_plus_us")
    )
    # "About 15 % below U-Net++", "75 % of U-Net++", both "slightly" below U-Net, under 8 MB in fp32.
    assert 0.83 < transposed / plus_plus < 0.87
    assert 0.74 < nearest / plus_plus < 0.78
    assert nearest < transposed < unet
    assert 4 * transposed < 8_000_000


@pytest.mark.parametrize(
    ("name", "biases", "saved"),
    [
        ("unet_b16", 1_473 + 240, 1_472),
        ("unet_plus_tc_b16", 1_985, 1_984),
        ("unet_plus_us_b16", 1_745, 1_744),
        ("unet_plus_tc_b8", 993, 992),
        ("unet_plus_us_b8", 873, 872),
    ],
)
def test_biases_ahead_of_batch_norm_are_a_thousandth_of_the_weights(name: str, biases: int, saved: int) -> None:
    # Batch norm takes the mean away, and with it any bias before it. Dropping those biases would
    # save what is counted here; they stay, so that the totals are those that the article implies.
    model = build_network(architecture_from_name(name))
    assert sum(layer.bias.shape[0] for layer in _convolutions(model)) == biases
    normalised = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert sum(layer.gamma.shape[0] for layer in normalised) == saved
    assert saved / model.count_params() < 0.0021


def test_the_controlled_u_net_plus_plus_has_batch_norm_where_the_published_has_dropout() -> None:
    published = build_network(UNetPlusPlus(base_filters=8))
    controlled = build_network(UNetPlusPlus(base_filters=8, variant="controlled"))
    # Thirty convolutions: two a node, of (5, 4, 3, 2, 1) nodes on the levels with 8 to 128 filters.
    channels = 2 * (5 * 8 + 4 * 16 + 3 * 32 + 2 * 64 + 1 * 128)
    assert controlled.count_params() - published.count_params() == 4 * channels
    kinds = {
        variant: [type(layer).__name__ for layer in model.layers]
        for variant, model in {"published": published, "controlled": controlled}.items()
    }
    assert (kinds["published"].count("Dropout"), kinds["published"].count("BatchNormalization")) == (30, 0)
    assert (kinds["controlled"].count("Dropout"), kinds["controlled"].count("BatchNormalization")) == (0, 30)
    elu = [layer for layer in _convolutions(published) if layer.activation is keras.activations.elu]
    assert len(elu) == 30
    assert {type(layer.kernel_initializer).__name__ for layer in elu} == {"HeNormal"}
    assert {layer.rate for layer in published.layers if isinstance(layer, keras.layers.Dropout)} == {0.5}


@pytest.mark.parametrize("architecture", _TINY, ids=lambda architecture: architecture.name)
def test_a_network_gives_a_probability_for_every_pixel(architecture: Architecture) -> None:
    model = build_network(architecture, (8, 12))
    images = np.random.default_rng(0).random((3, 8, 12, 1), np.float32)
    answer = np.asarray(model.predict_on_batch(images))
    assert answer.shape == images.shape
    assert answer.dtype == np.float32
    assert (answer >= 0).all()
    assert (answer <= 1).all()
    assert answer.std() > 0
    assert [tensor.name for tensor in model.inputs] == ["image"]
    assert model.output_names == ["probability"]


@pytest.mark.parametrize("architecture", _TINY, ids=lambda architecture: architecture.name)
def test_in_bfloat16_a_network_keeps_its_weights_and_gives_its_probability_in_float32(
    architecture: Architecture,
) -> None:
    plain, mixed = build_network(architecture, (8, 12)), build_network(architecture, (8, 12), "mixed_bfloat16")
    assert keras.config.dtype_policy().name == "float32"
    computed_in = {layer.compute_dtype for layer in mixed.layers if layer.weights and layer.name != "probability"}
    assert computed_in == {"bfloat16"}
    assert {weight.dtype for weight in mixed.weights} == {"float32"}
    mixed.set_weights(plain.get_weights())
    images = np.random.default_rng(0).random((3, 8, 12, 1), np.float32)
    expected, answer = (np.asarray(model.predict_on_batch(images)) for model in (plain, mixed))
    assert answer.dtype == np.float32
    assert (answer != expected).any()
    np.testing.assert_allclose(answer, expected, atol=0.02)


@pytest.mark.parametrize("architecture", _TINY, ids=lambda architecture: architecture.name)
def test_weights_do_not_depend_on_the_size_of_the_input(architecture: Architecture) -> None:
    small, large = build_network(architecture, (4, 4)), build_network(architecture, (16, 24))
    assert [weight.shape for weight in small.weights] == [weight.shape for weight in large.weights]


@pytest.mark.parametrize("shape", [(250, 256), (256, 250), (8, 8), (0, 256), (256, 0), (-16, 16), (255, 257)])
def test_a_side_that_levels_cannot_halve_is_refused(shape: tuple[int, int]) -> None:
    with pytest.raises(InputError, match=rf"depth 5 .* multiples of 16; {shape[0]} x {shape[1]} is not"):
        build_network(UNetPlus(base_filters=1), shape)


@pytest.mark.parametrize("depth", [2, 3, 4])
def test_the_smallest_side_is_one_pixel_on_the_lowest_level(depth: int) -> None:
    side = 2 ** (depth - 1)
    model = build_network(UNetPlus(base_filters=1, depth=depth), (side, 3 * side))
    assert model.output_shape == (None, side, 3 * side, 1)
    with pytest.raises(InputError, match=f"multiples of {side}"):
        build_network(UNetPlus(base_filters=1, depth=depth), (side, side + side // 2))


@pytest.mark.parametrize("architecture", _TINY, ids=lambda architecture: architecture.name)
def test_l2_weighs_the_square_of_every_kernel_and_nothing_else(architecture: Architecture) -> None:
    model = build_network(architecture.model_copy(update={"l2": 1e-2}), (8, 8))
    kernels = [np.asarray(keras.ops.convert_to_numpy(layer.kernel), np.float64) for layer in _convolutions(model)]
    assert len(model.losses) == len(kernels)
    expected = sum(1e-2 * float((kernel**2).sum()) for kernel in kernels)
    assert sum(float(loss) for loss in model.losses) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("architecture", _TINY, ids=lambda architecture: architecture.name)
def test_no_l2_adds_no_loss(architecture: Architecture) -> None:
    assert build_network(architecture, (8, 8)).losses == []


@pytest.mark.parametrize("architecture", _TINY, ids=lambda architecture: architecture.name)
def test_only_layers_that_every_backend_has(architecture: Architecture) -> None:
    ours = {type(layer).__name__ for layer in build_network(architecture, (8, 8)).layers}
    assert ours <= {
        "InputLayer",
        "Conv2D",
        "Conv2DTranspose",
        "BatchNormalization",
        "ReLU",
        "Dropout",
        "MaxPooling2D",
        "UpSampling2D",
        "Concatenate",
    }
    assert all(type(layer).__module__.startswith("keras.") for layer in build_network(architecture, (8, 8)).layers)


@pytest.mark.slow
@pytest.mark.parametrize("backend", _OTHER_BACKENDS)
def test_a_saved_network_gives_the_same_answer_on_other_backends(backend: str, tmp_path: Path) -> None:
    images = np.random.default_rng(0).random((2, 16, 24, 1), np.float32)
    np.save(tmp_path / "images.npy", images)
    answers = {}
    for number, architecture in enumerate(_TINY):
        model = build_network(architecture, (16, 24))
        # Batch norm of a fresh network does nothing: give it something to do.
        rng = np.random.default_rng(number)
        model.set_weights([weight + rng.random(weight.shape, np.float32) / 10 for weight in model.get_weights()])
        model.save(tmp_path / f"{number}.keras")
        answers[number] = np.asarray(model.predict_on_batch(images))
    program = (
        "import sys; from pathlib import Path; import keras; import numpy as np\n"
        "folder = Path(sys.argv[1]); images = np.load(folder / 'images.npy')\n"
        f"assert keras.backend.backend() == {backend!r}\n"
        "for file in folder.glob('*.keras'):\n"
        "    answer = keras.models.load_model(file, compile=False).predict_on_batch(images)\n"
        "    np.save(file.with_suffix('.npy'), np.asarray(answer))\n"
    )
    environment = os.environ | {"KERAS_BACKEND": backend}
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], env=environment, check=True, timeout=300)
    for number, answer in answers.items():
        np.testing.assert_allclose(np.load(tmp_path / f"{number}.npy"), answer, atol=1e-4)
