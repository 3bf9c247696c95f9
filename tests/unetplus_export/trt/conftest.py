"""Small ONNX files with the operators of the networks, and stand-ins for TensorRTs that are not here."""

from __future__ import annotations

import enum
import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
import pytest

from unetplus_edge.files import sha256_of
from unetplus_edge.manifest import ConversionRecord

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from unetplus_edge.manifest import Precision

SIDE = 32


class OnnxMaker(Protocol):
    def __call__(self, precision: Precision = "fp32", **changes: Any) -> tuple[Path, ConversionRecord]: ...


class _Graph:
    """A network of four convolutions: `first`, `down`, `up` (transposed) and `last`, which int8 leaves out."""

    def __init__(
        self,
        precision: Precision,
        remainder: Literal["fp32", "fp16"] | None,
        *,
        batch: int | str = "n",
        channels: int = 1,
        int32_bias: bool = False,
        unknown: bool = False,
        float_layer: bool = False,
        plain: Literal["image", "weight"] | None = None,
        vector_scale: bool = False,
    ) -> None:
        from onnx import TensorProto, helper, numpy_helper

        self._helper, self._to_tensor = helper, numpy_helper.from_array
        self._rng = np.random.default_rng(0)
        self._nodes: list[Any] = []
        self._constants: list[Any] = []
        self._quantised = precision == "int8"
        self._int32_bias = int32_bias
        self._plain = plain
        self._image_scale = np.full((1,) if vector_scale else (), 4 / 127)
        self._type = np.float16 if "fp16" in (precision, remainder) else np.float32
        half = self._type is np.float16
        x = self._node("Cast", ["image"], "narrow", to=TensorProto.FLOAT16) if half else "image"
        x = self._node("Transpose", [x], "channels_first", perm=[0, 3, 1, 2])
        first = self._node("Relu", [self._convolution(x, "first", channels, 4)], "first_relu")
        if float_layer:
            first = self._node("Cast", [first], "widen_inside", to=TensorProto.FLOAT)
            self._type = np.float32
        x = self._node("Relu", [self._convolution(first, "down", 4, 8, stride=2)], "down_relu")
        if float_layer:
            x, first = (
                self._node("Cast", [tensor], name, to=TensorProto.FLOAT16)
                for tensor, name in ((x, "narrow_inside"), (first, "narrow_skip"))
            )
            self._type = np.float16
        x = self._node("Relu", [self._convolution(x, "up", 8, 4, stride=2, transposed=True)], "up_relu")
        x = self._node("Concat", [first, x], "join", axis=1)
        if unknown:
            x = self._node("Frobnicate", [x], "odd")
        self._quantised = False
        x = self._node("Sigmoid", [self._convolution(x, "last", 8, channels, kernel=1)], "sigmoid")
        x = self._node("Transpose", [x], "channels_last", perm=[0, 2, 3, 1])
        operator, options = ("Cast", {"to": TensorProto.FLOAT}) if half else ("Identity", {})
        self._nodes.append(helper.make_node(operator, [x], ["probability"], name="widen", **options))
        ends = [
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, [batch, SIDE, SIDE, channels])]
            for name in ("image", "probability")
        ]
        # Q/DQ of float16 is newer than the rest.
        opset, ir_version = (19, 9) if precision == "int8" and half else (17, 8)
        self.model = helper.make_model(
            helper.make_graph(self._nodes, "tiny", *ends, self._constants),
            opset_imports=[helper.make_opsetid("", opset)],
            ir_version=ir_version,
        )

    def _node(self, operator: str, inputs: list[str], name: str, **options: Any) -> str:
        self._nodes.append(self._helper.make_node(operator, inputs, [f"{name}.output"], name=name, **options))
        return f"{name}.output"

    def _constant(self, name: str, values: NDArray[Any]) -> str:
        self._constants.append(self._to_tensor(np.array(values, order="C"), name))
        return name

    def _pair(self, x: str, name: str, scale: Any, **options: Any) -> str:
        """Quantise and dequantise, symmetrically."""
        scales = self._constant(f"{name}.scale", np.asarray(scale, self._type))
        zero = self._constant(f"{name}.zero", np.zeros(np.shape(scale), np.int8))
        x = self._node("QuantizeLinear", [x, scales, zero], f"{name}.q", **options)
        return self._node("DequantizeLinear", [x, scales, zero], f"{name}.dq", **options)

    def _convolution(
        self,
        x: str,
        name: str,
        inputs: int,
        outputs: int,
        *,
        kernel: int = 3,
        stride: int = 1,
        transposed: bool = False,
    ) -> str:
        shape = (inputs, outputs, kernel, kernel) if transposed else (outputs, inputs, kernel, kernel)
        values = self._rng.normal(0, 0.3, shape)
        weight = self._constant(f"{name}.weight", values.astype(self._type))
        bias = self._constant(f"{name}.bias", self._rng.normal(0, 0.1, outputs).astype(self._type))
        if self._quantised:
            axis = 1 if transposed else 0
            scales = np.abs(values).max(tuple({0, 1, 2, 3} - {axis})) / 127
            # Half a pair is none: one of the two goes in as it is.
            x = x if self._plain == "image" else self._pair(x, f"{name}.image", self._image_scale)
            weight = weight if self._plain == "weight" else self._pair(weight, f"{name}.weight", scales, axis=axis)
        if self._quantised and self._int32_bias:
            scales = self._constant(f"{name}.bias.scale", np.full(outputs, 1e-3, self._type))
            integers = self._constant(f"{name}.bias.integers", np.ones(outputs, np.int32))
            bias = self._node("DequantizeLinear", [integers, scales], f"{name}.bias.dq", axis=0)
        pads = [0, 0, 1, 1] if stride == 2 else [kernel // 2] * 4
        return self._node(
            "ConvTranspose" if transposed else "Conv",
            [x, weight, bias],
            name,
            kernel_shape=[kernel, kernel],
            strides=[stride, stride],
            pads=pads,
        )


@pytest.fixture
def make_onnx(tmp_path: Path) -> OnnxMaker:
    """Makes an ONNX file of a precision, and the record that a manifest has of it."""
    pytest.importorskip("onnx", reason="needs the export extra")

    def make(
        precision: Precision = "fp32",
        *,
        remainder: Literal["fp32", "fp16"] | None = None,
        label: Precision | None = None,
        higher_precision: tuple[str, ...] | None = None,
        **changes: Any,
    ) -> tuple[Path, ConversionRecord]:
        remainder = remainder or ("fp32" if precision == "int8" else None)
        file = tmp_path / f"model_{precision}.onnx"
        file.write_bytes(_Graph(precision, remainder, **changes).model.SerializeToString())
        if higher_precision is None:
            higher_precision = ("last", "sigmoid") if precision == "int8" else ()
        return file, ConversionRecord(
            file=f"exports/{file.name}",
            sha256=sha256_of(file),
            target="onnx",
            stored_precision=label or precision,
            remainder=remainder,
            higher_precision=higher_precision,
        )

    return make


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's cache, for the length of a test."""
    monkeypatch.setenv("UNETPLUS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


class FakeTensorRT:
    """The surface of a TensorRT module that a build touches, with the flags that its version has and no others.

    It parses ONNX files into layers, notes what the builder is told, and "builds" a plan whose
    inspector reports that convolutions compute in what the builder was told.
    """

    LayerType = enum.Enum(
        "LayerType", ["CONVOLUTION", "DECONVOLUTION", "QUANTIZE", "DEQUANTIZE", "CONSTANT", "SHUFFLE", "OTHER"]
    )
    DataType = enum.Enum("DataType", ["FLOAT", "HALF", "INT8"])
    ProfilingVerbosity = enum.Enum("ProfilingVerbosity", ["LAYER_NAMES_ONLY", "DETAILED"])
    MemoryPoolType = enum.Enum("MemoryPoolType", ["WORKSPACE"])
    HardwareCompatibilityLevel = enum.Enum(
        "HardwareCompatibilityLevel", ["NONE", "AMPERE_PLUS", "SAME_COMPUTE_CAPABILITY"]
    )
    LayerInformationFormat = enum.Enum("LayerInformationFormat", ["JSON"])
    ILogger = type("ILogger", (), {"Severity": enum.IntEnum("Severity", ["INTERNAL_ERROR", "ERROR"], start=0)})

    def __init__(self, version: str) -> None:
        major, minor = map(int, version.split(".")[:2])
        weak = () if major >= 11 else ("FP16", "INT8", "OBEY_PRECISION_CONSTRAINTS")
        self.BuilderFlag = enum.Enum("BuilderFlag", ["TF32", "VERSION_COMPATIBLE", *weak])
        batch, strong = ["EXPLICIT_BATCH"] if major < 11 else [], ["STRONGLY_TYPED"] if major >= 10 else []
        self.NetworkDefinitionCreationFlag = enum.IntEnum("Creation", [*batch, *strong], start=0)
        self.strong = (major, minor) >= (10, 12)
        self.told: dict[str, Any] = {}
        self.lies = False

    def Builder(self, logger: Any) -> Any:  # noqa: N802
        return SimpleNamespace(
            create_network=self._network,
            create_builder_config=self._config,
            create_optimization_profile=lambda: SimpleNamespace(
                set_shape=lambda name, *shapes: self.told.update(shapes=(name, *shapes))
            ),
            build_serialized_network=self._build,
        )

    def _network(self, flags: int) -> Any:
        self.told["network_flags"] = flags
        self.network = SimpleNamespace()
        return self.network

    def OnnxParser(self, network: Any, logger: Any) -> Any:  # noqa: N802
        return SimpleNamespace(parse=self._parse, num_errors=0)

    def _parse(self, content: bytes) -> bool:
        import onnx

        graph = onnx.ModelProto.FromString(content).graph
        names = {"Conv": "CONVOLUTION", "ConvTranspose": "DECONVOLUTION", "QuantizeLinear": "QUANTIZE"}
        names |= {"DequantizeLinear": "DEQUANTIZE", "Transpose": "SHUFFLE"}
        halves = {tensor.name for tensor in graph.initializer if tensor.data_type == onnx.TensorProto.FLOAT16}
        layers = []
        for node in graph.node:
            # A weakly typed network says float32 of everything until the builder decides.
            kind = "HALF" if self.strong and halves & set(node.input) else "FLOAT"
            layers.append(_Layer(node, self.LayerType[names.get(node.op_type, "OTHER")], self.DataType, kind))
        ends = [
            SimpleNamespace(
                name=end.name,
                dtype=self.DataType.FLOAT,
                shape=tuple(size.dim_value or -1 for size in end.type.tensor_type.shape.dim),
            )
            for end in (graph.input[0], graph.output[0])
        ]
        vars(self.network).update(
            num_layers=len(layers),
            get_layer=layers.__getitem__,
            num_inputs=1,
            num_outputs=1,
            get_input=lambda number: ends[0],
            get_output=lambda number: ends[1],
        )
        return True

    def _config(self) -> Any:
        told = self.told
        told["flags"] = {"TF32"}

        class Config:
            def set_flag(self, flag: Any) -> None:
                told["flags"].add(flag.name)

            def clear_flag(self, flag: Any) -> None:
                told["flags"].discard(flag.name)

            def set_memory_pool_limit(self, pool: Any, size: int) -> None:
                told[pool.name] = size

            def add_optimization_profile(self, profile: Any) -> None:
                told["profiles"] = told.get("profiles", 0) + 1

            def create_timing_cache(self, content: bytes) -> bytes:
                told["timings"] = content
                return content

            def set_timing_cache(self, cache: bytes, *, ignore_mismatch: bool) -> None:
                told["ignore_mismatch"] = ignore_mismatch

            def get_timing_cache(self) -> Any:
                return SimpleNamespace(serialize=lambda: b"what was measured")

        self.config = Config()
        return self.config

    def _build(self, network: Any, config: Any) -> bytes:
        self.told["builds"] = self.told.get("builds", 0) + 1
        return b"a plan"

    def Runtime(self, logger: Any) -> Any:  # noqa: N802
        context = SimpleNamespace(set_input_shape=lambda name, shape: True)
        engine = SimpleNamespace(
            create_execution_context=lambda: context,
            create_engine_inspector=lambda: SimpleNamespace(get_engine_information=self._report),
        )
        return SimpleNamespace(deserialize_cuda_engine=lambda plan: engine)

    def _report(self, form: Any) -> str:
        layers = [self.network.get_layer(number) for number in range(self.network.num_layers)]
        convolutions = [layer for layer in layers if layer.type.name in ("CONVOLUTION", "DECONVOLUTION")]
        return json.dumps(
            {
                "Layers": [
                    {
                        "Name": layer.name,
                        "LayerType": "CaskConvolution",
                        "Inputs": [{"Name": "x", "Format/Datatype": "Float" if self.lies else self._kind(layer)}],
                    }
                    for layer in convolutions
                ]
            }
        )

    def _kind(self, layer: _Layer) -> str:
        if "dq" in layer.node.input[0]:
            return "Int8"
        is_half = layer.output.dtype.name == "HALF" or layer.precision.name == "HALF"
        return "Half" if is_half else "Float"


class _Layer:
    def __init__(self, node: Any, kind: Any, types: Any, output: str) -> None:
        self.node, self.name, self.type = node, node.name, kind
        self.output = SimpleNamespace(name=node.output[0], dtype=types[output])
        self.num_inputs, self.num_outputs = len(node.input), 1
        self.precision, self.precision_is_set = types.FLOAT, False
        self.output_type = types.FLOAT

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "precision" and "precision" in vars(self):
            object.__setattr__(self, "precision_is_set", True)
        object.__setattr__(self, name, value)

    def get_input(self, number: int) -> Any:
        return SimpleNamespace(name=self.node.input[number])

    def get_output(self, number: int) -> Any:
        return self.output

    def set_output_type(self, number: int, kind: Any) -> None:
        self.output_type = kind

    def get_output_type(self, number: int) -> Any:
        return self.output_type


@pytest.fixture
def fake_tensorrt() -> type[FakeTensorRT]:
    """A TensorRT of a version that is not installed."""
    return FakeTensorRT
