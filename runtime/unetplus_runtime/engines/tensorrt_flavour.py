"""Which TensorRT is installed, and everything that its versions do differently.

What a version has is decided by its number, never by asking whether an attribute exists: a flag
that is silently left out makes an engine that computes in float32 under another name.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal

from unetplus_edge.errors import EngineError
from unetplus_runtime.engines.gpu import sm

if TYPE_CHECKING:
    from collections.abc import Iterable

    from unetplus_edge.manifest import Precision

FlavourName = Literal["tensorrt", "tensorrt_rtx"]
HardwareLevel = Literal["ampere+", "same-capability"]

TITLES: dict[FlavourName, str] = {"tensorrt": "TensorRT", "tensorrt_rtx": "TensorRT-RTX"}
"""What a flavour is called."""

MODULES: dict[FlavourName, tuple[str, ...]] = {
    "tensorrt": ("tensorrt",),
    "tensorrt_rtx": ("tensorrt_rtx", "tensorrt_rtx_bindings"),
}
"""The modules that a flavour may come as, the first that is there being taken."""

VERSION_COMPATIBLE = "version-compatible"
"""Among a plan's flags: later versions may run it too."""

WEAKLY_TYPED = "weakly-typed"
"""Among a plan's flags: precision was asked for by the builder's flags instead of the graph's types."""

_OLDEST: dict[FlavourName, tuple[int, ...]] = {"tensorrt": (8, 6), "tensorrt_rtx": (1,)}
# Up to where older GPUs are supported: version from which it holds, lowest compute capability.
_LOWEST_CAPABILITY = (((10, 5), "7.5"), ((10,), "7.0"), ((8, 6), "6.0"))
_LAST_FOR = (("7.0", "10.4"), ("6.0", "8.6.1"))
_RTX_CAPABILITIES = ("7.5", "8.0", "8.6", "8.9")
# How the builder's list of the layers of a finished engine begins.
_LAYERS = "Layers:\n"
_NOISE = ("CUDA driver version is insufficient", "Thread context has not been set")


def flag_of(level: HardwareLevel) -> str:
    """Return how a plan's flags name a level of hardware compatibility."""
    return f"hardware:{level}"


@dataclass(frozen=True)
class Flavour:
    """An installed TensorRT.

    Attributes
    ----------
    name
        Which of the two libraries.
    version
        Its whole version, such as "10.3.0.30".
    trt
        The library, imported.
    """

    name: FlavourName
    version: str
    trt: Any

    @property
    def title(self) -> str:
        """Name and version for a reader."""
        return f"{TITLES[self.name]} {self.version}"

    @property
    def is_strongly_typed(self) -> bool:
        """Whether precision is what the graph's types say; else it is asked for by flags.

        TensorRT 8 has nothing else than flags, 11 nothing else than types; strong typing is whole
        from 10.12 on.
        """
        return self.name == "tensorrt_rtx" or self._release >= (10, 12)

    @property
    def builds_without_gpu(self) -> bool:
        """Whether engines are compiled for a GPU only when they are opened."""
        return self.name == "tensorrt_rtx"

    @property
    def keeps_timings(self) -> bool:
        """Whether the builder measures, and can be given what it measured before."""
        return self.name == "tensorrt"

    @property
    def records_graphs_itself(self) -> bool:
        """Whether the library makes CUDA graphs of its own work; else the caller may capture them."""
        return self.name == "tensorrt_rtx"

    @property
    def _release(self) -> tuple[int, ...]:
        return _release(self.version)

    def refusal(self, compute_capability: str) -> str | None:
        """Return why this version does not run on a GPU, as a clause, or None if it does."""
        here = _numbers(compute_capability)
        if self.name == "tensorrt_rtx":
            if compute_capability in _RTX_CAPABILITIES or here >= (12, 0):
                return None
            wanted = ", ".join(map(sm, _RTX_CAPABILITIES))
            return f"{self.title} runs on {wanted}, sm_120 and newer, and this GPU is {sm(compute_capability)}"
        lowest = next(low for since, low in _LOWEST_CAPABILITY if self._release >= since)
        if here >= _numbers(lowest):
            return None
        last = next((version for low, version in _LAST_FOR if here >= _numbers(low)), None)
        hint = f"; the last that did is TensorRT {last}" if last else ""
        return f"{self.title} needs {sm(lowest)} or newer, and this GPU is {sm(compute_capability)}{hint}"

    def loads(self, built_by: FlavourName, version: str, flags: Iterable[str]) -> bool:
        """Return whether this version runs a plan that another one may have built.

        Without the flag for compatible versions all four numbers must be the same. With it, a
        later version of the same major one runs it, and of major versions 10 those of 8, 11
        those of 10.
        """
        if built_by != self.name:
            return False
        if version == self.version:
            return True
        built, here = _release(version), self._release
        if VERSION_COMPATIBLE not in flags or here < built:
            return False
        return built[0] == here[0] or (built[0], here[0]) in {(8, 10), (10, 11)}

    def hardware_levels(self) -> tuple[HardwareLevel, ...]:
        """Return the levels of hardware compatibility that the builder offers."""
        if self.name == "tensorrt_rtx":
            return ()
        return ("ampere+", "same-capability") if self._release >= (10, 9) else ("ampere+",)

    @property
    def has_compatible_versions(self) -> bool:
        """Whether engines can be built that later versions run."""
        return self.name == "tensorrt"

    def logger(self) -> Any:
        """Return the logger of this process, which keeps what went wrong and what was built."""
        return _logger(self.trt)

    def create_network(self, builder: Any) -> Any:
        """Return an empty network, for a batch that is part of every shape."""
        kinds = self.trt.NetworkDefinitionCreationFlag
        if self.name == "tensorrt" and self._release[0] < 10:
            return builder.create_network(1 << int(kinds.EXPLICIT_BATCH))
        if self.name == "tensorrt" and (self._release[0] >= 11 or not self.is_strongly_typed):
            # Before 10.12 this is a weakly typed network, from 11 on a strongly typed one.
            return builder.create_network(0)
        return builder.create_network(1 << int(kinds.STRONGLY_TYPED))

    def set_precision(self, config: Any, precision: Precision, remainder: Precision) -> None:
        """Tell the builder in what it may compute.

        Parameters
        ----------
        config
            The builder's.
        precision
            Of the convolutions.
        remainder
            Of what int8 leaves out of int8.
        """
        flags = self.trt.BuilderFlag
        # On by default: it rounds float32 to 10 bits of mantissa.
        if precision == "tf32":
            config.set_flag(flags.TF32)
        else:
            config.clear_flag(flags.TF32)
        if self.is_strongly_typed:
            return
        if precision == "int8":
            config.set_flag(flags.INT8)
        if "fp16" in (precision, remainder):
            config.set_flag(flags.FP16)
        # Else the builder takes float32 wherever it finds that faster.
        config.set_flag(flags.OBEY_PRECISION_CONSTRAINTS)

    def ask_for_half(self, layer: Any) -> None:
        """Have a layer of a weakly typed network computed in float16."""
        layer.precision = self.trt.DataType.HALF
        layer.set_output_type(0, self.trt.DataType.HALF)

    def asks_for_half(self, layer: Any) -> bool:
        """Return whether a layer is to be computed in float16."""
        half = self.trt.DataType.HALF
        if self.is_strongly_typed:
            return bool(layer.get_output(0).dtype == half)
        return bool(layer.precision_is_set and layer.precision == half and layer.get_output_type(0) == half)

    def set_target(self, config: Any) -> None:
        """Have the plan built for the GPU of this machine, where that is not the only way."""
        if self.name == "tensorrt_rtx":
            config.num_compute_capabilities = 1
            config.set_compute_capability(self.trt.ComputeCapability.CURRENT, 0)

    def set_version_compatible(self, config: Any) -> None:
        """Have the plan run by later versions too."""
        config.set_flag(self.trt.BuilderFlag.VERSION_COMPATIBLE)

    def set_hardware_level(self, config: Any, level: HardwareLevel) -> None:
        """Have the plan run on more GPUs than the one that it is built on."""
        levels = self.trt.HardwareCompatibilityLevel
        names = {"ampere+": "AMPERE_PLUS", "same-capability": "SAME_COMPUTE_CAPABILITY"}
        config.hardware_compatibility_level = getattr(levels, names[level])

    def create_runtime(self, flags: Iterable[str]) -> Any:
        """Return what opens plans that have these flags."""
        runtime = self.trt.Runtime(self.logger())
        if VERSION_COMPATIBLE in flags:
            # Such a plan brings the runtime of its own version along.
            runtime.engine_host_code_allowed = True
        return runtime

    def invalidity(self, runtime: Any, plan: bytes) -> str | None:
        """Return why a plan cannot be opened here, as the library says before it tries; None if it does not."""
        if self.name != "tensorrt_rtx":
            return None
        validity, found = runtime.get_engine_validity(plan)
        if validity != self.trt.EngineValidity.INVALID:
            return None
        kinds = self.trt.EngineInvalidityDiagnostics.__members__
        reasons = [name.replace("_", " ").lower() for name, kind in kinds.items() if int(found) & int(kind)]
        return ", ".join(reasons) or self.first_error()

    def create_context(self, engine: Any) -> Any:
        """Return what runs an engine, with CUDA graphs where the library makes them itself."""
        if not self.records_graphs_itself:
            return engine.create_execution_context()
        config = engine.create_runtime_config()
        config.cuda_graph_strategy = self.trt.CudaGraphStrategy.WHOLE_GRAPH_CAPTURE
        # Else the first answers for a number of patches come from other kernels than later ones.
        eager = self.trt.DynamicShapesKernelSpecializationStrategy.EAGER
        config.dynamic_shapes_kernel_specialization_strategy = eager
        return engine.create_execution_context(config)

    def refused_node(self, error: Any) -> str:
        """Return which node the parser did not take, before a colon; empty if it does not say."""
        if self.name == "tensorrt" and self._release[0] < 10:
            return f"node {error.node()}: "
        return f"{error.node_operator()} {error.node_name()}: " if error.node_operator() else ""

    def forget(self) -> None:
        """Forget what went wrong and what was built before."""
        logger = self.logger()
        logger.errors.clear()
        logger.layers = None

    def builder_report(self) -> str | None:
        """Return the builder's own list of the layers that it made last; None where this library writes none.

        TensorRT's builder has a GPU, on which the inspector says more.
        """
        layers: str | None = self.logger().layers
        return layers if self.name == "tensorrt_rtx" else None

    def first_error(self) -> str:
        """Return the first thing that went wrong since the last call, on one line."""
        errors = [message for message in self.logger().errors if not any(noise in message for noise in _NOISE)]
        errors = errors or list(self.logger().errors)
        self.logger().errors.clear()
        return first_line(errors[0]) if errors else "it gives no reason"


def find_flavour(forced: FlavourName | None = None) -> Flavour:
    """Return the TensorRT that is installed, imported.

    Parameters
    ----------
    forced
        That one or an error; None takes TensorRT before TensorRT-RTX.

    Raises
    ------
    EngineError
        If it is not installed, cannot be loaded, or is older than 8.6.
    """
    for name in (forced,) if forced else tuple(MODULES):
        module = installed_module(name)
        if module is None:
            continue
        try:
            trt = import_module(module)
        except (ImportError, OSError) as error:
            raise EngineError(
                f"{TITLES[name]} is installed, but cannot be loaded ({first_line(str(error))}); install it again"
            ) from error
        flavour = Flavour(name, trt.__version__, trt)
        if _release(trt.__version__) < _OLDEST[name]:
            oldest = ".".join(map(str, _OLDEST[name]))
            raise EngineError(f"{flavour.title} is too old; install {TITLES[name]} {oldest} or newer")
        return flavour
    if forced == "tensorrt_rtx":
        raise EngineError("TensorRT-RTX is not installed; run: pip install 'unetplus-edge[trt-rtx]'")
    raise EngineError(
        "TensorRT is not installed; on a Jetson it comes with JetPack, elsewhere run: "
        "pip install 'unetplus-edge[trt-desktop]', on a Pascal GPU 'unetplus-edge[trt-pascal]'"
    )


def installed_module(name: FlavourName) -> str | None:
    """Return the module that a flavour is installed as, or None; nothing is imported."""
    for module in MODULES[name]:
        spec = find_spec(module)
        # A folder of that name on the path has no file of its own.
        if spec is not None and spec.origin is not None:
            return module
    return None


def first_line(message: str) -> str:
    """Return the first line of a message of the library, without the place in its source.

    >>> first_line("x: Error Code 4: API Usage Error (no profile. In validate at /_src/network.cpp:40)")
    'x: Error Code 4: API Usage Error (no profile.)'
    """
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    return re.sub(r"\s*In \S+ at \S+:\d+", "", lines[0]) if lines else "no reason given"


def _release(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version.partition(".post")[0])[:4])


def _numbers(compute_capability: str) -> tuple[int, ...]:
    return tuple(map(int, compute_capability.split(".")))


@lru_cache
def _logger(trt: Any) -> Any:
    # One a process: the library keeps the first that it is given, whatever it is given later.
    class Logger(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.errors: deque[str] = deque(maxlen=100)
            self.layers: str | None = None

        def log(self, severity: Any, message: str) -> None:
            if int(severity) <= int(trt.ILogger.Severity.ERROR):
                self.errors.append(message)
            elif message.startswith(_LAYERS):
                self.layers = message

    return Logger()
