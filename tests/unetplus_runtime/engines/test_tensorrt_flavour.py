from __future__ import annotations

import enum
import re
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType, SimpleNamespace

import pytest

from unetplus_edge.errors import EngineError
from unetplus_runtime.engines.tensorrt_flavour import Flavour, find_flavour, first_line, installed_module

needs_rtx = pytest.mark.skipif(installed_module("tensorrt_rtx") is None, reason="TensorRT-RTX is not installed")


@pytest.fixture
def installed(monkeypatch):
    """Makes modules of given names and versions the only TensorRTs that are installed."""

    def make(**versions):
        monkeypatch.setattr("unetplus_runtime.engines.tensorrt_flavour.find_spec", specs.get)
        for name, version in versions.items():
            module = ModuleType(name)
            module.__version__ = version
            monkeypatch.setitem(sys.modules, name, module)
            specs[name] = ModuleSpec(name, None, origin=f"{name}/__init__.py")

    specs: dict[str, ModuleSpec] = {}
    return make


@pytest.mark.parametrize(
    ("modules", "forced", "found"),
    [
        ({"tensorrt": "10.3.0.30"}, None, "TensorRT 10.3.0.30"),
        ({"tensorrt_rtx": "1.7.1.116"}, None, "TensorRT-RTX 1.7.1.116"),
        ({"tensorrt_rtx_bindings": "1.7.1.116"}, None, "TensorRT-RTX 1.7.1.116"),
        ({"tensorrt": "11.4.0.106", "tensorrt_rtx": "1.7.1.116"}, None, "TensorRT 11.4.0.106"),
        ({"tensorrt": "11.4.0.106", "tensorrt_rtx": "1.7.1.116"}, "tensorrt_rtx", "TensorRT-RTX 1.7.1.116"),
    ],
)
def test_what_is_installed_is_found_or_what_is_asked_for(installed, modules, forced, found):
    installed(**modules)
    assert find_flavour(forced).title == found


@pytest.mark.parametrize(
    ("forced", "advice"),
    [(None, r"comes with JetPack, .*\[trt-desktop\]"), ("tensorrt", "JetPack"), ("tensorrt_rtx", r"\[trt-rtx\]")],
)
def test_what_is_not_installed_is_an_error_that_says_where_it_comes_from(installed, forced, advice):
    installed()
    with pytest.raises(EngineError, match=f"is not installed.*{advice}"):
        find_flavour(forced)


def test_one_that_is_asked_for_is_not_replaced_by_the_other(installed):
    installed(tensorrt_rtx="1.7.1.116")
    with pytest.raises(EngineError, match="TensorRT is not installed"):
        find_flavour("tensorrt")


def test_a_version_before_8_6_is_refused(installed):
    installed(tensorrt="8.5.2.2")
    with pytest.raises(EngineError, match=r"TensorRT 8\.5\.2\.2 is too old; install TensorRT 8\.6 or newer"):
        find_flavour()


def test_a_library_that_cannot_be_loaded_says_why(installed, tmp_path, monkeypatch):
    installed(tensorrt="10.3.0.30")
    monkeypatch.delitem(sys.modules, "tensorrt")
    (tmp_path / "tensorrt.py").write_text("raise OSError('libnvinfer.so.10: cannot open shared object file')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(EngineError, match=r"is installed, but cannot be loaded \(libnvinfer\.so\.10: cannot open"):
        find_flavour()


def test_a_folder_of_that_name_is_no_library(monkeypatch):
    folder = ModuleSpec("tensorrt", None, is_package=True)
    monkeypatch.setattr("unetplus_runtime.engines.tensorrt_flavour.find_spec", {"tensorrt": folder}.get)
    assert installed_module("tensorrt") is None


class Config:
    """Notes what a builder is told."""

    def __init__(self):
        self.flags = {"TF32"}  # on by default in every version
        self.hardware_compatibility_level = "NONE"

    def set_flag(self, flag):
        self.flags.add(flag.name)

    def clear_flag(self, flag):
        self.flags.discard(flag.name)


def flavour_of(version, flags, network_flags=()):
    """A TensorRT with the flags that its version has, and no others."""
    trt = SimpleNamespace(
        BuilderFlag=enum.Enum("BuilderFlag", ["TF32", "VERSION_COMPATIBLE", *flags]),
        NetworkDefinitionCreationFlag=enum.IntEnum("NetworkDefinitionCreationFlag", list(network_flags), start=0),
        DataType=enum.Enum("DataType", ["FLOAT", "HALF", "INT8"]),
        HardwareCompatibilityLevel=enum.Enum("Level", ["NONE", "AMPERE_PLUS", "SAME_COMPUTE_CAPABILITY"]),
    )
    return Flavour("tensorrt", version, trt)


WEAK = ("FP16", "INT8", "OBEY_PRECISION_CONSTRAINTS")
PASCAL = flavour_of("8.6.1", WEAK, ["EXPLICIT_BATCH"])
JETPACK_6 = flavour_of("10.3.0.30", WEAK, ["EXPLICIT_BATCH", "STRONGLY_TYPED"])
JETPACK_7 = flavour_of("10.13.3.9", WEAK, ["EXPLICIT_BATCH", "STRONGLY_TYPED"])
# Version 11 has neither flags for precision nor one for the batch.
ELEVEN = flavour_of("11.4.0.106", (), ["STRONGLY_TYPED"])


@pytest.mark.parametrize(
    ("flavour", "precision", "remainder", "flags"),
    [
        (PASCAL, "fp32", "fp32", {"OBEY_PRECISION_CONSTRAINTS"}),
        (PASCAL, "int8", "fp32", {"INT8", "OBEY_PRECISION_CONSTRAINTS"}),
        (JETPACK_6, "fp16", "fp16", {"FP16", "OBEY_PRECISION_CONSTRAINTS"}),
        (JETPACK_6, "int8", "fp16", {"INT8", "FP16", "OBEY_PRECISION_CONSTRAINTS"}),
        (JETPACK_6, "tf32", "tf32", {"TF32", "OBEY_PRECISION_CONSTRAINTS"}),
        (JETPACK_7, "fp16", "fp16", set()),
        (JETPACK_7, "int8", "fp16", set()),
        (ELEVEN, "fp32", "fp32", set()),
        (ELEVEN, "tf32", "tf32", {"TF32"}),
        (ELEVEN, "fp16", "fp16", set()),
        (ELEVEN, "int8", "fp32", set()),
    ],
)
def test_precision_is_asked_for_by_flags_where_the_network_is_weakly_typed(flavour, precision, remainder, flags):
    config = Config()
    flavour.set_precision(config, precision, remainder)
    assert config.flags == flags


@pytest.mark.parametrize(
    ("flavour", "flags"), [(PASCAL, 1), (JETPACK_6, 0), (JETPACK_7, 2), (ELEVEN, 0)], ids=["8.6", "10.3", "10.13", "11"]
)
def test_a_network_is_created_as_its_version_has_it(flavour, flags):
    assert flavour.create_network(SimpleNamespace(create_network=lambda given: given)) == flags


def test_a_layer_is_in_half_precision_if_it_is_asked_for_and_so_is_its_output():
    trt = JETPACK_6.trt

    class Layer:
        precision = trt.DataType.FLOAT
        precision_is_set = False
        output = trt.DataType.FLOAT

        def set_output_type(self, number, kind):
            self.output = kind

        def get_output_type(self, number):
            return self.output

    layer = Layer()
    JETPACK_6.ask_for_half(layer)
    # What the library does itself as soon as a precision is set.
    layer.precision_is_set = True
    assert JETPACK_6.asks_for_half(layer)
    layer.output = trt.DataType.FLOAT
    assert not JETPACK_6.asks_for_half(layer)


def test_hardware_compatibility_is_offered_as_the_version_has_it():
    assert PASCAL.hardware_levels() == JETPACK_6.hardware_levels() == ("ampere+",)
    assert ELEVEN.hardware_levels() == ("ampere+", "same-capability")
    assert Flavour("tensorrt_rtx", "1.7.1.116", None).hardware_levels() == ()
    config = Config()
    ELEVEN.set_hardware_level(config, "same-capability")
    assert config.hardware_compatibility_level.name == "SAME_COMPUTE_CAPABILITY"


RTX = Flavour("tensorrt_rtx", "1.7.1.116", None)


@pytest.mark.parametrize(
    ("version", "capability", "refusal"),
    [
        ("8.6.1", "6.1", None),
        ("8.6.1", "5.2", r"needs sm_60 or newer, and this GPU is sm_52$"),
        ("10.0.1", "6.1", r"TensorRT 10\.0\.1 needs sm_70 or newer, and this GPU is sm_61; .* TensorRT 8\.6\.1"),
        ("10.4.0", "7.0", None),
        ("10.5.0", "7.0", r"needs sm_75 or newer, and this GPU is sm_70; the last that did is TensorRT 10\.4"),
        ("11.4.0.106", "6.1", r"the last that did is TensorRT 8\.6\.1"),
        ("11.4.0.106", "8.7", None),
        ("11.4.0.106", "12.0", None),
    ],
)
def test_a_gpu_that_a_version_does_not_run_on_is_refused(version, capability, refusal):
    said = Flavour("tensorrt", version, None).refusal(capability)
    assert said is None if refusal is None else re.search(refusal, said)


@pytest.mark.parametrize(("capability", "runs"), [("7.5", True), ("8.7", False), ("9.0", False), ("12.1", True)])
def test_tensorrt_rtx_runs_on_its_own_gpus(capability, runs):
    assert (RTX.refusal(capability) is None) == runs


COMPATIBLE = ("version-compatible",)


@pytest.mark.parametrize(
    ("here", "built", "flags", "loads"),
    [
        ("10.3.0.30", "10.3.0.30", (), True),
        ("10.3.0.30", "10.3.0.26", (), False),
        ("10.13.3.9", "10.3.0.30", (), False),
        ("10.13.3.9", "10.3.0.30", COMPATIBLE, True),
        ("10.3.0.30", "10.13.3.9", COMPATIBLE, False),
        ("10.3.0.30", "8.6.1", COMPATIBLE, True),
        ("11.4.0.106", "10.3.0.30", COMPATIBLE, True),
        ("11.4.0.106", "8.6.1", COMPATIBLE, False),
    ],
)
def test_which_versions_run_whose_plans(here, built, flags, loads):
    assert Flavour("tensorrt", here, None).loads("tensorrt", built, flags) == loads


def test_neither_library_runs_the_others_plans():
    assert not RTX.loads("tensorrt", "1.7.1.116", ())


@pytest.mark.parametrize(
    ("flavour", "error", "said"),
    [
        (PASCAL, SimpleNamespace(node=lambda: 12), "node 12: "),
        (ELEVEN, SimpleNamespace(node_name=lambda: "odd", node_operator=lambda: "Erf"), "Erf odd: "),
        (ELEVEN, SimpleNamespace(node_name=lambda: "", node_operator=lambda: ""), ""),
    ],
)
def test_the_node_that_the_parser_refused_is_named_as_far_as_the_version_knows_it(flavour, error, said):
    assert flavour.refused_node(error) == said


@pytest.mark.parametrize(
    ("message", "line"),
    [
        ("Failed.\n\nMore.", "Failed."),
        ("x (bad. In f at /_src/a.cpp:5)", "x (bad.)"),
        ("", "no reason given"),
    ],
)
def test_a_reason_is_one_line_without_the_librarys_own_places(message, line):
    assert first_line(message) == line


@needs_rtx
def test_the_first_error_is_given_once_and_noise_only_where_there_is_nothing_else():
    flavour = find_flavour("tensorrt_rtx")
    severity = flavour.trt.ILogger.Severity
    logger = flavour.logger()
    logger.errors.clear()
    logger.log(severity.WARNING, "a warning")
    assert flavour.first_error() == "it gives no reason"
    logger.log(severity.ERROR, "cudaError 35: CUDA driver version is insufficient for CUDA runtime version")
    logger.log(severity.ERROR, "the reason")
    assert flavour.first_error() == "the reason"
    assert flavour.first_error() == "it gives no reason"
    logger.log(severity.ERROR, "cudaError 35: CUDA driver version is insufficient for CUDA runtime version")
    assert flavour.first_error().startswith("cudaError 35")


@needs_rtx
def test_what_the_builder_reports_is_kept_until_it_is_forgotten():
    flavour = find_flavour("tensorrt_rtx")
    severity = flavour.trt.ILogger.Severity
    flavour.forget()
    assert flavour.builder_report() is None
    flavour.logger().log(severity.VERBOSE, "Layers:\nName: c, LayerType: deconv")
    flavour.logger().log(severity.VERBOSE, "something else")
    assert flavour.builder_report() == "Layers:\nName: c, LayerType: deconv"
    flavour.logger().log(severity.ERROR, "a reason")
    flavour.forget()
    assert (flavour.builder_report(), flavour.first_error()) == (None, "it gives no reason")


@needs_rtx
def test_a_plan_that_tensorrt_rtx_cannot_run_is_known_before_it_is_opened():
    flavour = find_flavour("tensorrt_rtx")
    assert flavour.invalidity(flavour.create_runtime(()), b"not an engine" * 100) == "malformed engine"


def test_other_libraries_say_nothing_beforehand():
    assert ELEVEN.invalidity(None, b"anything") is None
