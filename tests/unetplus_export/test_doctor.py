from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict

import pytest
from rich.console import Console

import unetplus_edge
from unetplus_edge.errors import EngineError
from unetplus_export.doctor import doctor_report, render
from unetplus_export.trt.boards import BOARDS
from unetplus_runtime.engines.gpu import Gpu

NO_DRIVER = "there is no NVIDIA driver here (libcuda.so.1 is missing)"


@pytest.fixture
def machine(monkeypatch):
    """Makes this machine one with given packages, by their modules, and a GPU."""

    def put(modules, gpu=None, cuda="cuda-python", flavours=()):
        def version(package):
            return "1.0"

        def find_gpu():
            if gpu is None:
                raise EngineError(f"{NO_DRIVER}; use a machine with an NVIDIA GPU, or another engine")
            return gpu

        installed = dict(flavours)
        for name, value in {
            "find_spec": lambda module: module if module in modules else None,
            "version": version,
            "find_gpu": find_gpu,
            "installed_library": lambda: cuda,
            "installed_module": lambda flavour: flavour if flavour in installed else None,
            "_module_version": installed.get,
        }.items():
            monkeypatch.setattr(f"unetplus_export.doctor.{name}", value)
        return doctor_report()

    return put


def by_name(abilities):
    return {ability.name: ability for ability in abilities}


EXPORT = ["tensorflow", "keras", "tf2onnx", "onnx", "onnxruntime", "openvino", "nncf", "ai_edge_litert"]


def test_what_is_installed_is_named_with_its_version(machine):
    report = machine(EXPORT)
    assert report.version == unetplus_edge.__version__
    assert by_name(report.targets)["tflite"].versions == {"tensorflow": "1.0", "keras": "1.0"}
    assert [ability.name for ability in report.targets if ability.here] == ["tflite", "onnx", "openvino"]
    assert [ability.name for ability in report.engines if ability.here] == [
        "litert",
        "onnxruntime",
        "openvino",
        "keras",
    ]


def test_what_is_missing_is_named_with_what_installs_it(machine):
    report = machine(["tensorflow", "keras", "ai_edge_litert"])
    onnx = by_name(report.targets)["onnx"]
    assert not onnx.here
    assert onnx.reason == ("tf2onnx, onnx, onnxruntime not installed; run: pip install 'unetplus-edge[export]'")
    assert by_name(report.engines)["openvino"].reason == (
        "openvino not installed; run: pip install 'unetplus-edge[openvino]'"
    )


def test_an_old_boards_interpreter_runs_litert(machine):
    assert by_name(machine(["tflite_runtime"]).engines)["litert"].versions == {"tflite-runtime": "1.0"}
    assert not by_name(machine([]).engines)["litert"].here


PASCAL, ORIN, ADA = Gpu("GTX 1080 Ti", "6.1"), Gpu("Orin", "8.7"), Gpu("RTX 4090", "8.9")


@pytest.mark.parametrize(
    ("flavours", "gpu", "cuda", "builds", "runs", "said"),
    [
        ({"tensorrt": "8.6.1"}, PASCAL, "cuda-python", True, True, ""),
        ({"tensorrt": "10.13.3"}, PASCAL, "cuda-python", False, False, "needs sm_75 or newer, and this GPU is sm_61"),
        ({"tensorrt": "10.3.0"}, ORIN, "pycuda", True, True, ""),
        ({"tensorrt": "10.3.0"}, ORIN, None, True, False, "neither cuda-python nor pycuda is installed"),
        ({"tensorrt": "11.4.0"}, None, "cuda-python", False, False, NO_DRIVER),
        ({"tensorrt_rtx": "1.7.1"}, None, "cuda-python", True, False, NO_DRIVER),
        ({"tensorrt_rtx": "1.7.1"}, ORIN, "cuda-python", True, False, "this GPU is sm_87"),
        ({"tensorrt": "11.4.0", "tensorrt_rtx": "1.7.1"}, ADA, "cuda-python", True, True, ""),
        ({}, ADA, "cuda-python", False, False, "neither TensorRT nor TensorRT-RTX is installed"),
    ],
)
def test_tensorrt_is_here_where_library_and_gpu_fit(machine, flavours, gpu, cuda, builds, runs, said):
    report = machine([], gpu=gpu, cuda=cuda, flavours=flavours)
    target, engine = by_name(report.targets)["trt"], by_name(report.engines)["tensorrt"]
    assert (target.here, engine.here) == (builds, runs)
    assert said in (engine.reason or "")


def test_an_engine_that_can_be_built_and_not_run_is_said_to_be(machine):
    report = machine([], flavours={"tensorrt_rtx": "1.7.1"})
    assert by_name(report.targets)["trt"].reason == (
        f"engines are built for whatever GPU opens them, none can be tried here: {NO_DRIVER}"
    )


def printed(report, width=160):
    console = Console(width=width, record=True, file=None, quiet=False)
    with console.capture() as capture:
        console.print(render(report))
    return capture.get()


def test_a_report_is_printed_with_every_target_engine_and_board(machine):
    text = printed(machine(EXPORT, gpu=ORIN, flavours={"tensorrt": "10.3.0"}))
    assert "NVIDIA GPU: Orin, sm_87" in text
    for name in ("tflite", "onnx", "openvino", "trt", "bioimageio", "litert", "onnxruntime", "tensorrt", "keras"):
        assert f"│ {name} " in text
    words = " ".join(text.replace("│", " ").split())
    for board in BOARDS:
        assert board.name.split()[0] in words
    assert "TensorRT 10.3.0" in text


def test_a_reason_is_printed_as_it_is(machine):
    # Square brackets are markup to the printer, unless it is told otherwise.
    assert "unetplus-edge[export]" in printed(machine([]), width=400)
    assert f"none: {NO_DRIVER}" in printed(machine([]))


def test_a_report_can_be_written_as_json(machine):
    report = machine(EXPORT, gpu=ORIN)
    read = json.loads(json.dumps(asdict(report)))
    assert read["gpu"] == {"name": "Orin", "compute_capability": "8.7"}
    assert len(read["boards"]) == len(BOARDS)


def test_this_machine_is_looked_at_without_loading_a_library():
    code = """
import sys
from unetplus_export.doctor import doctor_report
report = doctor_report()
heavy = {"tensorflow", "keras", "onnx", "onnxruntime", "openvino", "nncf", "ai_edge_litert", "tensorrt",
         "tensorrt_rtx_bindings", "cuda", "torch"}
print(sorted(name for name in heavy if name in sys.modules and sys.modules[name].__spec__.origin))
print([ability.name for ability in report.engines])
"""
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert said == "[]\n['litert', 'onnxruntime', 'openvino', 'keras', 'tensorrt']\n"
