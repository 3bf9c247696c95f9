"""What this machine can make and run, what not and why, and what runs on which board.

Packages are looked up, none is imported.
"""

from __future__ import annotations

import platform
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from importlib.util import find_spec
from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table
from rich.text import Text

import unetplus_edge
from unetplus_edge.errors import EngineError
from unetplus_export.trt.boards import BOARDS, Board
from unetplus_runtime.engines.cuda_memory import installed_library
from unetplus_runtime.engines.gpu import Gpu, find_gpu
from unetplus_runtime.engines.tensorrt_flavour import MODULES, TITLES, Flavour, installed_module

if TYPE_CHECKING:
    from collections.abc import Mapping

    from unetplus_edge.manifest import EngineName, Target
    from unetplus_runtime.engines.tensorrt_flavour import FlavourName

_TENSORFLOW = {"tensorflow": "tensorflow", "keras": "keras"}
_ONNX = {**_TENSORFLOW, "tf2onnx": "tf2onnx", "onnx": "onnx", "onnxruntime": "onnxruntime"}
# Modules and the packages that they are in, by what needs them.
_TO_MAKE: dict[Target, Mapping[str, str]] = {
    "tflite": _TENSORFLOW,
    "onnx": _ONNX,
    "openvino": {**_TENSORFLOW, "openvino": "openvino", "nncf": "nncf"},
    "bioimageio": {**_ONNX, "bioimageio.core": "bioimageio.core"},
}
_TO_RUN: dict[EngineName, Mapping[str, str]] = {
    "onnxruntime": {"onnxruntime": "onnxruntime"},
    "openvino": {"openvino": "openvino"},
    "keras": _TENSORFLOW,
}
_EXTRAS = {"onnxruntime": "onnx", "openvino": "openvino", "keras": "train"}
_LITERT = {"ai_edge_litert": "ai-edge-litert", "tflite_runtime": "tflite-runtime"}


@dataclass(frozen=True)
class Ability:
    """Whether something can be done here.

    Attributes
    ----------
    name
        The target that is made, or the engine that runs one.
    here
        Whether it can be done.
    versions
        Of what does it, by package.
    reason
        Why not, or what of it not; None where nothing is to be said.
    """

    name: str
    here: bool
    versions: dict[str, str] = field(default_factory=dict)
    reason: str | None = None


@dataclass(frozen=True)
class DoctorReport:
    """What a machine can do.

    Attributes
    ----------
    version
        Of unetplus-edge.
    python
        Version of Python.
    machine
        System and processor.
    gpu
        The NVIDIA GPU that is taken; None where there is none.
    no_gpu
        Why there is none.
    targets
        What can be made here.
    engines
        What can be run here.
    boards
        What runs elsewhere.
    """

    version: str
    python: str
    machine: str
    gpu: Gpu | None
    no_gpu: str | None
    targets: tuple[Ability, ...]
    engines: tuple[Ability, ...]
    boards: tuple[Board, ...] = BOARDS


def doctor_report() -> DoctorReport:
    """Return what this machine can do. It asks the GPU's driver and looks packages up, which is cheap."""
    gpu, no_gpu = _find_gpu()
    flavours = _flavours()
    return DoctorReport(
        version=unetplus_edge.__version__,
        python=platform.python_version(),
        machine=f"{platform.system()} {platform.machine()}",
        gpu=gpu,
        no_gpu=no_gpu,
        targets=(
            *(_ability(target, modules, "export") for target, modules in _TO_MAKE.items()),
            _trt_target(flavours, gpu, no_gpu),
        ),
        engines=(
            _litert(),
            *(_ability(engine, modules, _EXTRAS[engine]) for engine, modules in _TO_RUN.items()),
            _tensorrt_engine(flavours, gpu, no_gpu),
        ),
    )


def render(report: DoctorReport) -> Group:
    """Return a report as a person reads it: what is here, what can be made, what can be run, the boards."""
    gpu = f"{report.gpu.name}, {report.gpu.sm}" if report.gpu else f"none: {report.no_gpu}"
    lines = (
        f"unetplus-edge {report.version}, Python {report.python}, {report.machine}",
        f"NVIDIA GPU: {gpu}",
    )
    return Group(
        *map(Text, lines),
        _abilities("Can be made here", "target", report.targets),
        _abilities("Can be run here", "engine", report.engines),
        _boards(report.boards),
    )


def _find_gpu() -> tuple[Gpu | None, str | None]:
    try:
        return find_gpu(), None
    except EngineError as error:
        # What to do about it is for who must have one.
        return None, str(error).partition(";")[0]


def _flavours() -> list[Flavour]:
    """Return the TensorRTs that are installed, not imported."""
    found: list[Flavour] = []
    for name in MODULES:
        module = installed_module(name)
        if module is not None:
            found.append(Flavour(name, _module_version(module), trt=None))
    return found


def _module_version(module: str) -> str:
    packages = packages_distributions().get(module, [])
    return version(packages[0]) if packages else "0"


def _package_version(package: str, module: str) -> str | None:
    try:
        if find_spec(module) is None:
            return None
        return version(package)
    except ModuleNotFoundError:  # the parent of a module in a package
        return None
    except PackageNotFoundError:
        # Such as a build of it under another name.
        return _module_version(module)


def _ability(name: Target | EngineName, modules: Mapping[str, str], extra: str) -> Ability:
    versions = {package: _package_version(package, module) for module, package in modules.items()}
    absent = [package for package, found in versions.items() if found is None]
    reason = f"{', '.join(absent)} not installed; run: pip install 'unetplus-edge[{extra}]'" if absent else None
    present = {package: found for package, found in versions.items() if found is not None}
    return Ability(name, not absent, present, reason)


def _litert() -> Ability:
    found = {package: _package_version(package, module) for module, package in _LITERT.items()}
    present = {package: number for package, number in found.items() if number is not None}
    reason = None if present else "ai-edge-litert not installed; run: pip install 'unetplus-edge'"
    return Ability("litert", bool(present), present, reason)


def _versions(flavours: list[Flavour]) -> dict[str, str]:
    return {TITLES[flavour.name]: flavour.version for flavour in flavours}


def _trt_target(flavours: list[Flavour], gpu: Gpu | None, no_gpu: str | None) -> Ability:
    reasons = [_cannot_build(flavour, gpu, no_gpu) for flavour in flavours]
    can = any(reason is None for reason in reasons)
    remarks = [reason for reason in reasons if reason is not None] if not can else []
    if not flavours:
        remarks = [_no_flavour()]
    if can and gpu is None:
        remarks.append(f"engines are built for whatever GPU opens them, none can be tried here: {no_gpu}")
    return Ability("trt", can, _versions(flavours), "; ".join(remarks) or None)


def _cannot_build(flavour: Flavour, gpu: Gpu | None, no_gpu: str | None) -> str | None:
    if flavour.builds_without_gpu:
        return None
    if gpu is None:
        return f"{flavour.title} builds engines on the GPU that they are for, and {no_gpu}"
    return flavour.refusal(gpu.compute_capability)


def _tensorrt_engine(flavours: list[Flavour], gpu: Gpu | None, no_gpu: str | None) -> Ability:
    reasons: list[str] = []
    if gpu is None:
        reasons.append(str(no_gpu))
    else:
        refusals = [flavour.refusal(gpu.compute_capability) for flavour in flavours]
        if refusals and None not in refusals:
            reasons += [refusal for refusal in refusals if refusal]
    if not flavours:
        reasons.append(_no_flavour())
    if installed_library() is None:
        reasons.append("neither cuda-python nor pycuda is installed; run: pip install 'unetplus-edge[trt]'")
    return Ability("tensorrt", not reasons, _versions(flavours), "; ".join(reasons) or None)


def _no_flavour() -> str:
    names: tuple[FlavourName, ...] = tuple(MODULES)
    return (
        f"neither {' nor '.join(TITLES[name] for name in names)} is installed; on a Jetson it comes with JetPack, "
        "elsewhere run: pip install 'unetplus-edge[trt-desktop]' or 'unetplus-edge[trt-rtx]'"
    )


def _abilities(title: str, kind: str, abilities: tuple[Ability, ...]) -> Table:
    table = Table(title=title, title_justify="left", expand=True)
    table.add_column(kind, no_wrap=True)
    table.add_column("here", no_wrap=True)
    table.add_column("with", ratio=2)
    table.add_column("remark", ratio=3)
    for ability in abilities:
        versions = ", ".join(f"{package} {number}" for package, number in ability.versions.items())
        table.add_row(ability.name, "yes" if ability.here else "no", versions or "-", Text(ability.reason or "-"))
    return table


def _boards(boards: tuple[Board, ...]) -> Table:
    table = Table(title="TensorRT on boards and GPUs", title_justify="left", expand=True, show_lines=True)
    for column, ratio in (("board", 3), ("sm", 1), ("TensorRT", 3), ("Python", 1), ("precisions", 2), ("remark", 4)):
        table.add_column(column, ratio=ratio)
    for board in boards:
        table.add_row(
            board.name,
            ", ".join(board.compute_capabilities),
            board.tensorrt,
            board.python,
            ", ".join(board.precisions) or "none",
            board.remark,
        )
    return table
