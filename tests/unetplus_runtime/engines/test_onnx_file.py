from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from unetplus_runtime.engines.onnx_file import stored_precision

onnx = pytest.importorskip("onnx", reason="needs the export extra")

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

TENSOR = onnx.TensorProto


def constant(name: str, kind: int, size: int, *, raw: bool = True) -> Any:
    values = np.linspace(-1, 1, size)
    if not raw:
        return onnx.helper.make_tensor(name, kind, [1, size], values)
    dtype = onnx.helper.tensor_dtype_to_np_dtype(kind)
    return onnx.helper.make_tensor(name, kind, [1, size], values.astype(dtype).tobytes(), raw=True)


def written(path: Path, constants: Sequence[Any] = (), nodes: Sequence[Any] = ()) -> Path:
    """Write a file, valid or not, with these constants and nodes."""
    end = onnx.helper.make_tensor_value_info("x", TENSOR.FLOAT, [1])
    model = onnx.helper.make_model(onnx.helper.make_graph(list(nodes), "test", [end], [end], list(constants)))
    model.metadata_props.add(key="precision", value="whatever it says")
    path.write_bytes(model.SerializeToString())
    return path


@pytest.mark.parametrize(
    ("kind", "expected"), [(TENSOR.FLOAT, "fp32"), (TENSOR.FLOAT16, "fp16"), (TENSOR.BFLOAT16, "bf16")]
)
@pytest.mark.parametrize("raw", [True, False])
def test_the_float_type_of_most_values_counts(tmp_path: Path, kind: int, expected: str, raw: bool) -> None:
    constants = [
        constant("weight", kind, 300, raw=raw),
        constant("factors", TENSOR.FLOAT, 4),
        constant("shape", TENSOR.INT64, 400),
    ]
    assert stored_precision(written(tmp_path / "net.onnx", constants)) == (expected, expected)


def test_constants_may_be_nodes(tmp_path: Path) -> None:
    node = onnx.helper.make_node("Constant", [], ["weight"], value=constant("weight", TENSOR.FLOAT16, 300))
    path = written(tmp_path / "net.onnx", [constant("bias", TENSOR.FLOAT, 3)], [node])
    assert stored_precision(path) == ("fp16", "fp16")


@pytest.mark.parametrize("operator", ["QuantizeLinear", "DequantizeLinear", "QLinearConv", "ConvInteger"])
def test_quantising_operators_make_it_int8_with_a_remainder(tmp_path: Path, operator: str) -> None:
    node = onnx.helper.make_node(operator, ["x", "scale"], ["y"])
    path = written(tmp_path / "net.onnx", [constant("scale", TENSOR.FLOAT16, 1)], [node])
    assert stored_precision(path) == ("int8", "fp16")


def test_other_operators_do_not(tmp_path: Path) -> None:
    nodes = [onnx.helper.make_node(operator, ["x"], ["y"]) for operator in ("Conv", "Relu", "LinearRegressor")]
    assert stored_precision(written(tmp_path / "net.onnx", [], nodes)) == ("fp32", "fp32")


def test_dimensions_may_be_packed(tmp_path: Path) -> None:
    # As newer writers of the format have them: field 1, two varints, 300 and 2; field 2, type 10.
    tensor = bytes([0x0A, 3, 0xAC, 0x02, 2, 0x10, 10])
    other = bytes([0x08, 99, 0x10, 1])
    graph = b"".join(bytes([0x2A, len(part)]) + part for part in (tensor, other))
    path = tmp_path / "net.onnx"
    path.write_bytes(bytes([0x3A, len(graph)]) + graph)
    assert stored_precision(path) == ("fp16", "fp16")


def test_a_part_of_a_file_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "net.onnx", [constant("weight", TENSOR.FLOAT, 300)])
    whole = path.read_bytes()
    refused = 0
    for length in range(1, len(whole)):
        path.write_bytes(whole[:length])
        try:
            stored_precision(path)
        except ValueError:
            refused += 1
    # A file that ends where a field does is one, of less content.
    assert refused > len(whole) - 20
