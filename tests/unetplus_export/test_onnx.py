"""ONNX files, read with onnx and run with onnxruntime."""

from __future__ import annotations

from importlib.metadata import version

import numpy as np
import pytest

from unetplus_edge.architectures import UNet, UNetPlus, UNetPlusPlus
from unetplus_edge.errors import ConversionError
from unetplus_export.conversion import Request
from unetplus_export.onnx import convert_onnx

keras = pytest.importorskip("keras", reason="needs the export extra")
onnx = pytest.importorskip("onnx", reason="needs the export extra")
onnxruntime = pytest.importorskip("onnxruntime", reason="needs the export extra")

ARCHITECTURES = [
    UNetPlus(base_filters=2, depth=3),
    UNetPlus(base_filters=2, depth=3, upsampling="nearest"),
    UNet(base_filters=2, depth=3),
    UNetPlusPlus(base_filters=2, depth=3),
    UNetPlusPlus(base_filters=2, depth=3, variant="controlled"),
]
OPERATORS = {
    "Conv2D": "Conv",
    "Conv2DTranspose": "ConvTranspose",
    "Concatenate": "Concat",
    "MaxPooling2D": "MaxPool",
    "UpSampling2D": "Resize",
    "ReLU": "Relu",
}


def random_patches(count, side=32):
    return np.random.default_rng(0).random((count, side, side, 1), np.float32)


def network(make_network, architecture):
    """Make a network whose answers lie between 0 and 1, neither at one nor at the other."""
    keras.utils.set_random_seed(1)
    model = make_network(architecture)
    kernel, bias = model.layers[-1].get_weights()
    answers = np.clip(predicted(model, random_patches(4)).astype(np.float64), 1e-300, 1 - 1e-16)
    before = keras.Model(model.input, model.layers[-1].input)
    logits = predicted(before, random_patches(4)) @ kernel[0, 0] + bias
    assert answers.shape == logits.shape
    model.layers[-1].set_weights([kernel / logits.std(), (bias - logits.mean()) / logits.std()])
    return model


def predicted(model, patches):
    return keras.ops.convert_to_numpy(model(patches, training=False))


def session_of(path):
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


def model_of(function):
    """A network that is one function of the image."""
    image = keras.Input((32, 32, 1), name="image")
    return keras.Model(image, function(image * 0.5))


@pytest.fixture(scope="module", params=ARCHITECTURES, ids=lambda architecture: architecture.name)
def converted(request, tmp_path_factory, make_network, make_bundle):
    """A network of each kind as Keras has it, its file, and what the conversion says of it."""
    folder = tmp_path_factory.mktemp("converted")
    model = network(make_network, request.param)
    bundle = make_bundle(model, folder / "bundle")
    return model, folder / "model.onnx", convert_onnx(Request(bundle, "fp32", 32), folder / "model.onnx")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory, make_network, make_bundle):
    """The bundle of one small network."""
    model = network(make_network, UNetPlus(base_filters=2, depth=2))
    return make_bundle(model, tmp_path_factory.mktemp("plain") / "bundle")


@pytest.mark.parametrize("count", [1, 3])
def test_a_converted_network_answers_as_keras_does_for_any_number_of_patches(converted, count):
    model, path, _ = converted
    expected = predicted(model, random_patches(count))
    assert expected.std() > 0.05
    (answers,) = session_of(path).run(["probability"], {"image": random_patches(count)})
    np.testing.assert_allclose(answers, expected, atol=1e-5)


def test_only_the_networks_own_layers_are_left(converted):
    # Batch norms are part of the convolutions; nothing computes a shape, and nothing moves the axes.
    model, path, said = converted
    expected = {"Reshape": 2, "Sigmoid": 1}
    for layer in model.layers:
        operator = OPERATORS.get(type(layer).__name__)
        if operator:
            expected[operator] = expected.get(operator, 0) + 1
        if getattr(layer, "activation", None) is keras.activations.elu:
            expected["Elu"] = expected.get("Elu", 0) + 1
    assert said.operators == expected
    nodes = [node.op_type for node in onnx.load(path).graph.node]
    assert {name: nodes.count(name) for name in nodes} == expected


def test_convolutions_bear_the_names_of_their_layers(converted):
    model, path, _ = converted
    layers = {layer.name: layer for layer in model.layers if type(layer).__name__ in ("Conv2D", "Conv2DTranspose")}
    graph = onnx.load(path).graph
    shapes = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    found = {node.name: shapes[node.input[1]] for node in graph.node if "Conv" in node.op_type}
    # Keras: rows, columns, in, out (transposed: out, in); ONNX: out, in, rows, columns (transposed: in, out).
    assert found == {name: tuple(np.array(layer.kernel.shape)[[3, 2, 0, 1]]) for name, layer in layers.items()}


def test_input_and_output_bear_the_bundles_names_and_take_any_number_of_patches(converted):
    _, path, _ = converted
    session = session_of(path)
    ends = [(end.name, end.type, end.shape) for end in (*session.get_inputs(), *session.get_outputs())]
    shape = ["n", 32, 32, 1]
    assert ends == [("image", "tensor(float)", shape), ("probability", "tensor(float)", shape)]


def test_a_file_is_in_opset_17_and_ir_version_8(converted):
    _, path, _ = converted
    model = onnx.load(path)
    assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", 17)]
    assert model.ir_version == 8


def test_a_fixed_number_of_patches_is_written_where_it_is_asked_for(bundle, tmp_path):
    convert_onnx(Request(bundle, "fp32", 32, batch=4), tmp_path / "model.onnx")
    session = session_of(tmp_path / "model.onnx")
    assert [end.shape for end in (*session.get_inputs(), *session.get_outputs())] == [[4, 32, 32, 1]] * 2
    model = keras.models.load_model(bundle.keras_path, compile=False)
    (answers,) = session.run(None, {"image": random_patches(4)})
    np.testing.assert_allclose(answers, predicted(model, random_patches(4)), atol=1e-5)


def test_a_file_for_patches_of_another_side_has_the_same_weights(bundle, tmp_path):
    convert_onnx(Request(bundle, "fp32", 64), tmp_path / "model.onnx")
    model = keras.models.load_model(bundle.keras_path, compile=False)
    # Where a border is further away than the network sees, the side makes no difference.
    large = random_patches(1, 64)
    (answers,) = session_of(tmp_path / "model.onnx").run(None, {"image": large})
    assert answers.shape == (1, 64, 64, 1)
    small = predicted(model, large[:, :32, :32])
    np.testing.assert_allclose(answers[:, :8, :8], small[:, :8, :8], atol=1e-5)


def test_a_file_says_what_it_was_made_of(bundle, tmp_path):
    convert_onnx(Request(bundle, "fp32", 32), tmp_path / "model.onnx")
    model = onnx.load(tmp_path / "model.onnx")
    found = {entry.key: entry.value for entry in model.metadata_props}
    assert found == {
        "bundle": "tiny",
        "keras_sha256": bundle.manifest.keras_sha256,
        "precision": "fp32",
        "unetplus_edge": version("unetplus-edge"),
    }
    assert (model.producer_name, model.doc_string) == ("unetplus-edge", "")


def test_the_tools_are_named_with_their_versions(bundle, tmp_path):
    tools = convert_onnx(Request(bundle, "fp32", 32), tmp_path / "model.onnx").tools
    assert tools == {name: version(name) for name in ("keras", "tensorflow", "tf2onnx", "onnx")}


def test_the_same_request_makes_the_same_file(bundle, tmp_path):
    for name in ("first.onnx", "second.onnx"):
        convert_onnx(Request(bundle, "fp32", 32), tmp_path / name)
    assert (tmp_path / "first.onnx").read_bytes() == (tmp_path / "second.onnx").read_bytes()


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"precision": "bf16"}, "in fp32, fp16 or int8, not in bf16"),
        ({"precision": "fp32", "integer_ends": True}, "TFLite only"),
    ],
)
def test_what_the_format_has_not_is_refused(bundle, tmp_path, options, reason):
    with pytest.raises(ConversionError, match=reason):
        convert_onnx(Request(bundle, patch_side=32, **options), tmp_path / "model.onnx")


# ONNX has the first operator, though not every runtime of it, and not the second.
@pytest.mark.parametrize("name", ["erf", "erfinv"])
def test_a_network_that_needs_more_than_every_runtime_has_is_refused_by_name(tmp_path, make_bundle, name):
    bundle = make_bundle(model_of(getattr(keras.ops, name)), tmp_path / "bundle")
    with pytest.raises(ConversionError, match=f"tiny becomes an ONNX graph with {name.title()}, Mul, which is not"):
        convert_onnx(Request(bundle, "fp32", 32), tmp_path / "model.onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]
