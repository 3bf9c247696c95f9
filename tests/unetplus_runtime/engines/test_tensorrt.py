"""The engine with stand-ins for CUDA and for an opened plan; with the real ones in tests/unetplus_export/trt."""

from __future__ import annotations

import ctypes
import enum
import hashlib
import json
from types import SimpleNamespace

import numpy as np
import pytest

from unetplus_edge.errors import EngineError, InputError
from unetplus_edge.manifest import PlanRecord, VerificationRecord
from unetplus_runtime.engines.gpu import Gpu
from unetplus_runtime.engines.plan_cache import plan_key, store_plan
from unetplus_runtime.engines.tensorrt import TensorRTEngine
from unetplus_runtime.engines.tensorrt_flavour import Flavour

SIDE = 8
PLAN = b"an engine"
ORIN = Gpu("Orin", "8.7")


class Mode(enum.Enum):
    INPUT = 1
    OUTPUT = 2


class FakeContext:
    """Runs a network whose answer is 1 - patch, on the stand-in for CUDA."""

    def __init__(self, cuda):
        self.cuda = cuda
        self.shape = None
        self.shapes = []
        self.addresses = {}
        self.fails = False
        self.refuses_capture = False

    def set_input_shape(self, name, shape):
        self.shape = tuple(shape)
        self.shapes.append(self.shape)
        return True

    def set_tensor_address(self, name, address):
        self.addresses[name] = address

    def execute_async_v3(self, stream):
        count = int(np.prod(self.shape))
        source, to = ((ctypes.c_float * count).from_address(self.addresses[name]) for name in ("image", "probability"))

        def work():
            to[:] = 1 - np.array(source, np.float32)

        self.cuda.give(stream, work)
        is_captured = self.cuda.capturing is not None
        return not (self.fails or (self.refuses_capture and is_captured))


class FakeLibrary:
    """The part of a TensorRT module that an opened plan needs."""

    TensorIOMode = Mode
    DataType = enum.Enum("DataType", ["FLOAT", "HALF"])
    LayerInformationFormat = enum.Enum("LayerInformationFormat", ["ONELINE", "JSON"])
    ILogger = type("ILogger", (), {"Severity": enum.IntEnum("Severity", ["INTERNAL_ERROR", "ERROR", "WARNING"])})
    CudaGraphStrategy = enum.Enum("CudaGraphStrategy", ["DISABLED", "WHOLE_GRAPH_CAPTURE"])
    DynamicShapesKernelSpecializationStrategy = enum.Enum("Strategy", ["LAZY", "EAGER"])
    EngineValidity = enum.Enum("EngineValidity", ["VALID", "INVALID"])
    EngineInvalidityDiagnostics = enum.IntEnum("Diagnostics", {"VERSION_MISMATCH": 1, "UNSUPPORTED_CC": 2})

    def __init__(self, cuda):
        self.context = FakeContext(cuda)
        self.ends = {"image": (-1, SIDE, SIDE, 1), "probability": (-1, SIDE, SIDE, 1)}
        self.report = report("Half", "Half", "Float")
        self.opens = True
        self.validity = (self.EngineValidity.VALID, 0)
        self.runtimes = []
        self.runtime_config = None

    def Runtime(self, logger):  # noqa: N802
        runtime = SimpleNamespace(
            deserialize_cuda_engine=lambda plan: self._engine() if self.opens else None,
            get_engine_validity=lambda plan: self.validity,
        )
        self.runtimes.append(runtime)
        return runtime

    def _engine(self):
        names = list(self.ends)
        return SimpleNamespace(
            num_io_tensors=len(names),
            get_tensor_name=names.__getitem__,
            get_tensor_mode=lambda name: Mode.INPUT if name == "image" else Mode.OUTPUT,
            get_tensor_shape=self.ends.__getitem__,
            get_tensor_dtype=lambda name: self.DataType.FLOAT,
            create_engine_inspector=lambda: SimpleNamespace(get_engine_information=lambda form: self.report),
            create_execution_context=self._context,
            create_runtime_config=SimpleNamespace,
        )

    def _context(self, runtime_config=None):
        self.runtime_config = runtime_config
        return self.context


def report(*kinds):
    tensors = [[{"Name": "x", "Format/Datatype": kind}] for kind in kinds]
    return json.dumps({"Layers": [{"Name": "c", "LayerType": "CaskConvolution", "Inputs": one} for one in tensors]})


def made(**changes):
    record = PlanRecord(
        key="0" * 64,
        onnx_file="exports/model_fp16.onnx",
        onnx_sha256="1" * 64,
        precision="fp16",
        flavour="tensorrt",
        version="10.13.3.9",
        gpu="Orin",
        compute_capability="8.7",
        batches=(1, 2, 4),
        patch_side=SIDE,
        sha256=hashlib.sha256(PLAN).hexdigest(),
        precision_evidence="inspector",
        verification=VerificationRecord(
            engine="tensorrt", executed_precision="fp16", verified=False, reason="it was never run"
        ),
    ).model_copy(update=changes)
    return record.model_copy(update={"key": plan_key(record)})


@pytest.fixture
def library(fake_cuda, monkeypatch, tmp_path):
    """A TensorRT and an Orin, which are there for the length of a test."""
    library = FakeLibrary(fake_cuda)
    monkeypatch.setenv("UNETPLUS_CACHE", str(tmp_path))
    monkeypatch.setattr("unetplus_runtime.engines.tensorrt.find_gpu", lambda number: ORIN)
    monkeypatch.setattr(
        "unetplus_runtime.engines.tensorrt.find_flavour",
        lambda name: Flavour(name, {"tensorrt": "10.13.3.9", "tensorrt_rtx": "1.7.1.116"}[name], library),
    )
    return library


def opened(record=None, **options):
    return TensorRTEngine(store_plan(PLAN, record or made()), **options)


def patches(count, seed=0):
    return np.random.default_rng(seed).random((count, SIDE, SIDE, 1), np.float32)


def test_the_engine_says_what_it_opened(library):
    with opened(threads=3) as engine:
        info = engine.info
    assert (info.engine, info.library, info.library_version) == ("tensorrt", "tensorrt", "10.13.3.9")
    assert (info.stored_precision, info.executed_precision) == ("fp16", "fp16")
    assert (info.device, info.threads, info.batch, info.patch_side) == ("cuda (Orin)", 1, 4, SIDE)


@pytest.mark.parametrize("count", range(1, 14))
def test_every_number_of_patches_is_answered_whatever_the_batch(library, count):
    with opened() as engine:
        # The third call, since by then the work is captured.
        for seed in range(3):
            given = patches(count, seed)
            np.testing.assert_array_equal(engine.infer(given), 1 - given)


def test_batches_of_a_call_have_one_size_that_wastes_little(library):
    with opened() as engine:
        library.context.shapes.clear()
        for count in (9, 3, 4, 8):
            engine.infer(patches(count))
    # 9 patches in 3 batches of 3; 3 in one of the same; 4 and 8 in batches of 4.
    assert [shape[0] for shape in library.context.shapes] == [3, 4]


def test_an_engine_for_one_size_alone_is_filled_up(library):
    with opened(made(batches=(4, 4, 4))) as engine:
        given = patches(5)
        np.testing.assert_array_equal(engine.infer(given), 1 - given)
    assert {shape[0] for shape in library.context.shapes} == {4}


def test_no_patches_have_no_answers(library):
    with opened() as engine:
        assert engine.infer(patches(0)).shape == (0, SIDE, SIDE, 1)


def test_patches_are_not_changed_and_answers_are_overwritten(library):
    given = patches(6)
    before = given.copy()
    with opened() as engine:
        first = engine.infer(given)
        kept = first.copy()
        engine.infer(1 - given)
    np.testing.assert_array_equal(given, before)
    assert not np.array_equal(first, kept)


def test_the_same_number_of_patches_again_is_a_captured_graph(library, fake_cuda):
    with opened() as engine:
        engine.infer(patches(8))
        assert fake_cuda.launched == 0
        for _ in range(2):
            engine.infer(patches(8))
        assert fake_cuda.launched == 4
        # Another size needs another graph, and that only if it stays.
        engine.infer(patches(3))
        engine.infer(patches(8))
        assert fake_cuda.launched == 4


@pytest.mark.parametrize(("count", "batches"), [(1, 1), (4, 1), (9, 3)])
def test_the_time_of_computing_is_without_copies(library, count, batches):
    with opened() as engine:
        # Whatever a stream does takes a millisecond here: copies would be told by two more a batch.
        for seed in range(3):
            assert engine.compute_seconds(patches(count, seed)) == pytest.approx(1e-3 * batches)


def test_timing_leaves_answers_as_they_are_and_memory_as_it_was(library, fake_cuda):
    engine = opened()
    given = patches(5)
    for _ in range(3):
        engine.compute_seconds(given)
        np.testing.assert_array_equal(engine.infer(given), 1 - given)
    engine.close()
    assert fake_cuda.taken == {}


def test_computing_that_may_not_be_captured_is_timed_all_the_same(library):
    with opened() as engine:
        library.context.refuses_capture = True
        assert [engine.compute_seconds(patches(2)) for _ in range(3)] == pytest.approx([1e-3] * 3)


def test_no_patches_take_no_time(library):
    with opened() as engine:
        assert engine.compute_seconds(patches(0)) == 0


def test_what_may_not_be_captured_is_run_step_by_step(library, fake_cuda):
    library.context.refuses_capture = True
    given = patches(8)
    with opened() as engine:
        for _ in range(3):
            np.testing.assert_array_equal(engine.infer(given), 1 - given)
    assert fake_cuda.launched == 0


def test_tensorrt_rtx_makes_its_graphs_itself(library, fake_cuda):
    with opened(made(flavour="tensorrt_rtx", version="1.7.1.116", gpu="portable", compute_capability=None)) as engine:
        for _ in range(3):
            engine.infer(patches(4))
    assert fake_cuda.launched == 0
    assert library.runtime_config.cuda_graph_strategy.name == "WHOLE_GRAPH_CAPTURE"
    assert library.runtime_config.dynamic_shapes_kernel_specialization_strategy.name == "EAGER"


def test_closing_gives_all_memory_back(library, fake_cuda):
    engine = opened()
    for _ in range(3):
        engine.infer(patches(8))
    assert fake_cuda.taken
    engine.close()
    engine.close()
    assert fake_cuda.taken == {}
    with pytest.raises(EngineError, match="is closed"):
        engine.infer(patches(1))


def test_a_run_that_fails_is_an_error_and_the_engine_goes_on(library, fake_cuda):
    given = patches(8)
    with opened() as engine:
        library.context.fails = True
        with pytest.raises(EngineError, match="TensorRT failed to run the network"):
            engine.infer(given)
        # Nothing that was begun may write to memory that is freed or used again.
        assert fake_cuda.pending == 0
        library.context.fails = False
        np.testing.assert_array_equal(engine.infer(given), 1 - given)


def test_patches_of_another_size_are_refused(library):
    with opened() as engine, pytest.raises(InputError, match="PatchGrid of side 8"):
        engine.infer(np.zeros((1, 16, 16, 1), np.float32))


@pytest.mark.parametrize("device", ["cpu", "gpu", "cuda:", "cuda:one"])
def test_another_device_is_refused(device):
    with pytest.raises(EngineError, match=f"tensorrt has device cuda here, not {device}"):
        TensorRTEngine(None, device=device)


def test_the_second_gpu_is_taken_where_it_is_asked_for(library, fake_cuda):
    with opened(device="cuda:1") as engine:
        assert engine.info.device == "cuda:1 (Orin)"
    assert fake_cuda.device == 1


def test_a_plan_of_another_version_is_refused_before_it_is_opened(library):
    with pytest.raises(EngineError) as refused:
        opened(made(version="10.3.0.30", gpu="NVIDIA H100", compute_capability="9.0"))
    assert str(refused.value) == (
        "model.plan was built by TensorRT 10.3.0.30 for sm_90; this machine has TensorRT 10.13.3.9 and sm_87. "
        "Rebuild: unetplus-export BUNDLE --target trt"
    )
    assert library.runtimes == []


def test_a_plan_for_later_versions_brings_its_own_runtime(library):
    opened(made(version="10.3.0.30", flags=("version-compatible",))).close()
    opened().close()
    assert [hasattr(runtime, "engine_host_code_allowed") for runtime in library.runtimes] == [True, False]


def test_a_plan_that_does_not_open_is_refused_and_leaves_nothing(library, fake_cuda):
    library.opens = False
    with pytest.raises(EngineError, match=r"model\.plan cannot be opened by TensorRT 10\.13\.3\.9 here .* Rebuild:"):
        opened()
    assert fake_cuda.taken == {}


def test_a_gpu_without_enough_memory_is_an_error_and_is_left_as_it_was(library, fake_cuda):
    # Room for half of what is needed.
    fake_cuda.memory_left = 4 * 4 * 4 * SIDE * SIDE
    with pytest.raises(EngineError, match="out of memory"):
        opened()
    assert fake_cuda.taken == {}


def test_tensorrt_rtx_says_beforehand_what_is_wrong_with_a_plan(library):
    library.validity = (library.EngineValidity.INVALID, 3)
    with pytest.raises(EngineError, match=r"here \(version mismatch, unsupported cc\)"):
        opened(made(flavour="tensorrt_rtx", version="1.7.1.116"))


@pytest.mark.parametrize(
    "ends",
    [
        {"image": (-1, 16, 16, 1), "probability": (-1, 16, 16, 1)},
        {"image": (-1, SIDE, SIDE, 1), "probability": (-1, SIDE, SIDE, 1), "more": (-1, SIDE, SIDE, 1)},
        {"image": (-1, SIDE, SIDE, 1), "probability": (-1, 4, 4, 1)},
    ],
    ids=["other side", "two outputs", "smaller output"],
)
def test_a_plan_that_is_no_network_of_ours_is_refused(library, ends):
    library.ends = ends
    with pytest.raises(EngineError, match=r"float32 patches of shape \(n, 8, 8, 1\) alone"):
        opened()


def test_an_engine_that_computes_in_something_else_is_refused(library):
    library.report = report("Float", "Float", "Half")
    with pytest.raises(EngineError, match="fp16 was asked for, but most convolutions of the engine compute in fp32"):
        opened()


@pytest.mark.parametrize(
    ("record", "kinds", "executed"),
    [
        (made(precision="int8"), ("Int8", "Int8", "Half"), "int8"),
        (made(precision="tf32"), ("Float", "Float"), "tf32"),
        (made(precision="fp32"), ("Float", "Float"), "fp32"),
        (made(precision="int8", flavour="tensorrt_rtx", version="1.7.1.116"), ("Int8", "Int8", "Float"), "int8"),
    ],
)
def test_the_precision_that_is_reported_is_the_inspectors(library, record, kinds, executed):
    library.report = report(*kinds)
    with opened(record) as engine:
        assert (engine.info.stored_precision, engine.info.executed_precision) == (record.precision, executed)


def test_another_precision_than_the_plans_is_refused(library):
    with pytest.raises(EngineError, match="tensorrt has precision fp16 here, not int8"):
        opened(execution="int8")


def test_without_tensorrt_the_error_says_what_to_install(library, monkeypatch):
    def absent(name):
        raise EngineError("TensorRT is not installed")

    monkeypatch.setattr("unetplus_runtime.engines.tensorrt.find_flavour", absent)
    with pytest.raises(EngineError, match="TensorRT is not installed"):
        opened()
