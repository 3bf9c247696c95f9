"""OpenVINO files in fp16 whose layers are partly kept in fp32, read and run with OpenVINO itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from unetplus_edge.architectures import UNetPlus
from unetplus_edge.errors import ConversionError
from unetplus_export.conversion import Request
from unetplus_export.openvino import convert_openvino
from unetplus_export.openvino_fp16 import layer_errors
from unetplus_runtime.engines.openvino import OpenVINOEngine, import_openvino

pytest.importorskip("keras", reason="needs the export extra")
pytest.importorskip("tensorflow", reason="needs the export extra")
pytest.importorskip("nncf", reason="needs the export extra")


@pytest.fixture(scope="module")
def tiny(make_halves):
    return make_halves(convert_openvino, ".xml")


def stored(path):
    """Return the type of the constant that each convolution's weights come from."""
    found = {}
    for node in import_openvino().Core().read_model(path).get_ops():
        if node.get_type_name().startswith("Convolution"):
            source = node.input_value(1).get_node()
            while source.get_type_name() != "Constant":
                source = source.input_value(0).get_node()
            found[node.get_friendly_name()] = source.get_element_type().get_type_name()
    return found


def answers(tiny, path):
    with OpenVINOEngine(path) as engine:
        assert (engine.info.stored_precision, engine.info.executed_precision) == ("fp16", "fp32")
        return engine.infer(tiny.patches).copy()


def test_weights_of_kept_layers_are_stored_in_float32_and_all_others_in_float16(tiny):
    kept = (tiny.convolutions()[0], "u1_transposed")
    path, said = tiny.convert(*kept)
    assert stored(path) == {name: "f32" if name in kept else "f16" for name in tiny.convolutions()}
    assert sorted(said.higher_precision) == sorted(kept)


def test_a_file_grows_by_the_weights_that_are_kept_and_no_more(tiny):
    name = "u1_a_conv"
    layer = tiny.model.get_layer(name)
    sizes = [path.with_suffix(".bin").stat().st_size for path, _ in (tiny.convert(name), tiny.convert())]
    # With the shift of the batch norm, one number a filter, as its bias.
    assert abs(sizes[0] - sizes[1] - 2 * (layer.kernel.numpy().size + layer.filters)) < 64


def test_only_the_layers_that_are_not_kept_are_rounded(tiny):
    *others, last = tiny.convolutions()
    found = answers(tiny, tiny.convert(*others)[0])
    np.testing.assert_allclose(found, tiny.with_a_rounded_end(), atol=1e-6)
    assert last == "probability"
    assert np.abs(found - tiny.exact()).max() > 1e-6


def test_what_a_layer_costs_is_the_error_of_the_answers_with_it_alone_rounded(tiny):
    found = layer_errors(tiny.request, tiny.convert()[0])
    assert sorted(name for name, _ in found) == sorted(tiny.convolutions())
    assert [loss for _, loss in found] == sorted(loss for _, loss in found)
    exact = tiny.exact().astype(np.float64)
    noise = ((tiny.with_a_rounded_end() - exact) ** 2).sum()
    assert dict(found)["probability"] == pytest.approx(10 * np.log10((exact**2).sum() / noise), abs=1)


def test_layers_that_are_kept_cost_nothing(tiny):
    name = tiny.convolutions()[0]
    found = layer_errors(replace(tiny.request, keep=(name,)), tiny.convert(name)[0])
    assert set(dict(found)) == set(tiny.convolutions()) - {name}


def test_a_layer_that_is_not_there_cannot_be_kept(tiny, tmp_path):
    with pytest.raises(
        ConversionError, match=r"tiny has no convolution c9_9_conv to keep out of fp16; it has c1_0_conv"
    ):
        convert_openvino(replace(tiny.request, keep=("c9_9_conv",)), tmp_path / "model.xml")
    assert list(tmp_path.iterdir()) == []


def test_a_weight_past_the_largest_float16_is_refused(tmp_path, make_network, make_bundle):
    model = make_network(UNetPlus(base_filters=2, depth=2))
    last = model.get_layer("probability")
    last.set_weights([weight * 0 + 1e6 for weight in last.get_weights()])
    request = Request(make_bundle(model, tmp_path / "bundle"), "fp16", patch_side=32)
    with pytest.raises(ConversionError, match=r"probability has weights up to 1e\+06, which float16 does not hold"):
        convert_openvino(request, tmp_path / "model.xml")
    # Where it is kept, that is no matter.
    said = convert_openvino(replace(request, keep=("probability",)), tmp_path / "model.xml")
    assert said.higher_precision == ("probability",)


def test_the_same_request_makes_the_same_bytes(tiny):
    path, _ = tiny.convert("u1_a_conv")
    again = path.with_name("again.xml")
    convert_openvino(replace(tiny.request, keep=("u1_a_conv",)), again)
    for suffix in (".xml", ".bin"):
        assert again.with_suffix(suffix).read_bytes() == path.with_suffix(suffix).read_bytes()
