"""What every ONNX file of ours has in common, on graphs of one or two nodes."""

from __future__ import annotations

import pytest

from unetplus_edge.bundle import Bundle
from unetplus_edge.errors import ConversionError
from unetplus_export.conversion import Request
from unetplus_export.onnx_graph import name_batch, operator_counts, require_known_operators, write_model

onnx = pytest.importorskip("onnx", reason="needs the export extra")

FLOAT = onnx.TensorProto.FLOAT


def model_of(*operators, sides=(4, 4)):
    """A chain of operators from `x` to `y`."""
    names = ["x", *(f"t{number}" for number in range(1, len(operators))), "y"]
    nodes = [
        onnx.helper.make_node(operator, [names[number]], [names[number + 1]])
        for number, operator in enumerate(operators)
    ]
    ends = [
        onnx.helper.make_tensor_value_info(name, FLOAT, [1, side, side, 1])
        for name, side in zip("xy", sides, strict=True)
    ]
    return onnx.helper.make_model(onnx.helper.make_graph(nodes, "test", ends[:1], ends[1:]))


@pytest.fixture
def request_of(manifest, tmp_path):
    """Makes a request of a precision, for a bundle of which nothing is opened."""
    return lambda precision="fp32", **options: Request(Bundle(tmp_path, manifest), precision, 4, **options)


def test_operators_are_counted_by_name():
    assert operator_counts(model_of("Sigmoid", "Relu", "Relu")) == {"Relu": 2, "Sigmoid": 1}


def test_known_operators_pass_and_others_are_named():
    require_known_operators(model_of("Relu", "Sigmoid"), "tiny")
    with pytest.raises(ConversionError, match=r"tiny becomes an ONNX graph with Erf, Tanh, which is not among .*Relu"):
        require_known_operators(model_of("Tanh", "Relu", "Erf"), "tiny")


@pytest.mark.parametrize(("batch", "expected"), [(None, ("n", 0)), (7, ("", 7))])
def test_the_number_of_patches_is_free_or_fixed_at_both_ends(batch, expected):
    model = model_of("Relu")
    name_batch(model, batch)
    name_batch(model, batch)
    for end in (*model.graph.input, *model.graph.output):
        dimension = end.type.tensor_type.shape.dim[0]
        assert (dimension.dim_param, dimension.dim_value) == expected


def test_the_stamp_replaces_whatever_a_tool_left(request_of, tmp_path):
    model = model_of("Relu")
    model.doc_string, model.producer_name, model.domain = "converted at home", "a tool", ""
    model.opset_import.append(onnx.helper.make_opsetid("com.microsoft", 1))
    model.metadata_props.add(key="host", value="mine")
    write_model(model, request_of(), tmp_path / "model.onnx")
    found = onnx.load(tmp_path / "model.onnx")
    assert (found.ir_version, found.producer_name, found.doc_string, found.graph.name) == (
        8,
        "unetplus-edge",
        "",
        "tiny",
    )
    assert [(opset.domain, opset.version) for opset in found.opset_import] == [("", 17)]
    assert {entry.key for entry in found.metadata_props} == {"bundle", "keras_sha256", "precision", "unetplus_edge"}


def test_what_int8_leaves_out_is_named_with_its_precision(request_of, tmp_path):
    write_model(model_of("Relu"), request_of("int8", remainder="fp16"), tmp_path / "model.onnx", 19, 9)
    found = onnx.load(tmp_path / "model.onnx")
    entries = {entry.key: entry.value for entry in found.metadata_props}
    assert (entries["precision"], entries["remainder"]) == ("int8", "fp16")
    assert (found.opset_import[0].version, found.ir_version) == (19, 9)


def test_types_that_tools_leave_inside_are_dropped(request_of, tmp_path):
    model = model_of("Relu", "Relu")
    model.graph.value_info.append(onnx.helper.make_tensor_value_info("t1", onnx.TensorProto.FLOAT16, [1, 4, 4, 1]))
    write_model(model, request_of(), tmp_path / "model.onnx")
    assert not onnx.load(tmp_path / "model.onnx").graph.value_info


@pytest.mark.parametrize(
    "model", [model_of("Relu", sides=(4, 8)), model_of("Sigmoidal")], ids=["another shape", "no operator"]
)
def test_an_invalid_graph_is_refused_and_nothing_is_written(request_of, tmp_path, model):
    with pytest.raises(ConversionError, match="the ONNX graph of tiny is not valid"):
        write_model(model, request_of(), tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())
