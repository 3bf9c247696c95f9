"""TFLite files in fp16 whose layers are partly kept in fp32, read with LiteRT itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from unetplus_edge.errors import ConversionError
from unetplus_export.tflite import convert_tflite
from unetplus_export.tflite_file import answers, operators
from unetplus_export.tflite_float import layer_errors
from unetplus_runtime.engines.litert import LiteRTEngine

pytest.importorskip("keras", reason="needs the export extra")
pytest.importorskip("tensorflow", reason="needs the export extra")


@pytest.fixture(scope="module")
def tiny(make_halves):
    return make_halves(convert_tflite, ".tflite")


def stored(made, path):
    layers = [layer.name for layer in made.model.layers]
    return {
        operator.layers[0]: operator.weights for operator in operators(path.read_bytes(), layers) if operator.weights
    }


def test_weights_of_kept_layers_are_stored_in_float32_and_all_others_in_float16(tiny):
    kept = (tiny.convolutions()[0], "u1_transposed")
    path, said = tiny.convert(*kept)
    assert stored(tiny, path) == {name: "FLOAT32" if name in kept else "FLOAT16" for name in tiny.convolutions()}
    assert sorted(said.higher_precision) == sorted(kept)
    with LiteRTEngine(path) as engine:
        assert (engine.info.stored_precision, engine.info.executed_precision) == ("fp16", "fp32")


def test_a_file_grows_by_the_weights_that_are_kept_and_no_more(tiny):
    name = "u1_a_conv"
    values = sum(weight.size for weight in tiny.model.get_layer(name).get_weights()[:1])
    grown = tiny.convert(name)[0].stat().st_size - tiny.convert()[0].stat().st_size
    assert abs(grown - 2 * values) < 200
    assert tiny.convert(name)[1].operators["DEQUANTIZE"] == tiny.convert()[1].operators["DEQUANTIZE"] - 2


def test_only_the_layers_that_are_not_kept_are_rounded(tiny):
    *others, last = tiny.convolutions()
    found = answers(tiny.convert(*others)[0].read_bytes(), tiny.patches)
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
    with pytest.raises(ConversionError, match="tiny has no layer c9_9_conv with weights of its own; keep layers by"):
        convert_tflite(replace(tiny.request, keep=("c9_9_conv",)), tmp_path / "model.tflite")
    assert list(tmp_path.iterdir()) == []
