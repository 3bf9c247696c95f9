"""Engines on a GPU: built, inspected, run, and compared with onnxruntime."""

from __future__ import annotations

import numpy as np
import pytest

from unetplus_edge.errors import EngineError
from unetplus_export.trt import BuildOptions, build_plan
from unetplus_runtime.engines.cuda_memory import installed_library
from unetplus_runtime.engines.gpu import find_gpu
from unetplus_runtime.engines.plan_cache import plan_key, update_record
from unetplus_runtime.engines.tensorrt import TensorRTEngine
from unetplus_runtime.engines.tensorrt_flavour import MODULES, find_flavour

onnxruntime = pytest.importorskip("onnxruntime", reason="needs the onnx extra")


def _flavours():
    """Return the TensorRTs that run here, or why none does."""
    found, reasons = [], []
    for name in MODULES:
        try:
            refusal = find_flavour(name).refusal(find_gpu().compute_capability)
        except EngineError as error:
            refusal = str(error)
        reasons.append(refusal)
        found += [] if refusal else [name]
    if installed_library() is None:
        return [], "neither cuda-python nor pycuda is installed"
    return found, "; ".join(filter(None, reasons))


FLAVOURS, REASON = _flavours()
pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not FLAVOURS, reason=REASON)]

# Of a network of four layers with weights of about 0.3.
TOLERANCES = {"fp32": 1e-5, "fp16": 5e-3, "int8": 3e-2}


@pytest.fixture(params=FLAVOURS or ["none"])
def options(request):
    return BuildOptions(flavour=request.param, batches=(1, 4, 8))


def patches(count):
    return np.random.default_rng(0).random((count, 32, 32, 1), np.float32)


def expected(file, given):
    """Answers of onnxruntime to the same file."""
    session = onnxruntime.InferenceSession(file.read_bytes(), providers=["CPUExecutionProvider"])
    return session.run(None, {"image": given})[0]


@pytest.mark.parametrize(
    ("precision", "remainder"), [("fp32", None), ("fp16", None), ("int8", "fp32"), ("int8", "fp16")]
)
def test_an_engine_answers_as_onnxruntime_does(make_onnx, options, precision, remainder):
    file, onnx = make_onnx(precision, remainder=remainder)
    plan = build_plan(file, onnx, precision, options)
    assert plan.record.precision_evidence == "inspector"
    given = patches(19)
    with TensorRTEngine(plan.path) as engine:
        assert engine.info.executed_precision == precision
        for _ in range(3):
            difference = np.abs(engine.infer(given) - expected(file, given)).max()
            assert difference < TOLERANCES[precision]


def test_the_answer_to_a_patch_does_not_depend_on_the_others(make_onnx, options):
    file, onnx = make_onnx()
    given = patches(11)
    with TensorRTEngine(build_plan(file, onnx, "fp32", options).path) as engine:
        together = engine.infer(given).copy()
        alone = np.concatenate([engine.infer(given[number : number + 1]).copy() for number in range(11)])
    assert together.std() > 0.001
    np.testing.assert_allclose(together, alone, atol=1e-6)


def test_many_engines_can_be_opened_one_after_the_other(make_onnx, options):
    path = build_plan(*make_onnx(), "fp32", options).path
    answers = []
    for _ in range(5):
        with TensorRTEngine(path) as engine:
            answers.append(engine.infer(patches(9)).copy())
    for other in answers[1:]:
        np.testing.assert_array_equal(answers[0], other)


def test_a_plan_of_another_gpu_is_refused(make_onnx, options):
    plan = build_plan(*make_onnx(), "fp32", options)
    other = plan.record.model_copy(update={"gpu": "Orin", "compute_capability": "8.7"})
    update_record(plan.path, other.model_copy(update={"key": plan_key(other)}))
    with pytest.raises(EngineError, match="for sm_87; this machine has"):
        TensorRTEngine(plan.path)
