"""From request to record: what is kept, what is repaired, what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from unetplus_edge.bundle import Bundle, create_bundle, open_bundle
from unetplus_edge.errors import ConversionError, EngineError, OutputError
from unetplus_edge.files import sha256_of
from unetplus_edge.manifest import ParityRecord, VerificationRecord
from unetplus_export import exporter, targets
from unetplus_export.calibration import Calibration
from unetplus_export.conversion import Converted
from unetplus_export.exporter import Exporter, Options
from unetplus_export.stages import Stages

_CALIBRATION = Calibration(np.zeros((2, 32, 32, 1), np.float32), "two black patches", False, "1" * 64)


class _Opened:
    """What the exporter needs of an opened engine: its info."""

    def __init__(self, file, engine):
        # A file of this test says its stored precision in its name, and holds what was asked for.
        self.file, self.engine = file, engine
        self.info = self
        self.stored_precision = "fp32" if "in fp32" in file.read_text() else file.stem.split("_")[1]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


class _Verdicts:
    """A verifier that reads from a file by how much its scores drop in int8, and otherwise its largest difference."""

    def __init__(self):
        self.seen = []

    def verify(self, opened):
        text = opened.file.read_text()
        self.seen.append((text, opened.engine))
        loss = float(text.rpartition(" ")[2])
        drop = loss if opened.stored_precision == "int8" else 0.0
        return VerificationRecord(
            engine=opened.engine,
            executed_precision=opened.stored_precision,
            library="text 1.0",
            verified=loss <= 0.005,
            reason=None if loss <= 0.005 else f"off by {loss}",
            parity=ParityRecord(patches=1, max_difference=loss, mean_difference=0.0, flipped_per_million=0),
            score_drop={"average_iou": drop, "kaggle_score": drop / 2},
        )


@pytest.fixture
def bundle(manifest, tmp_path) -> Bundle:
    model = tmp_path / "model.keras"
    model.write_bytes(b"weights")
    changed = manifest.model_copy(update={"keras_sha256": sha256_of(model)})
    return create_bundle(tmp_path / "bundle", model, changed)


@pytest.fixture
def world(bundle, monkeypatch):
    """An exporter whose converter writes text: the method, the layers kept, and the loss that these cause."""
    verdicts = _Verdicts()
    drops = {"min-max": 0.05, "entropy": 0.01, "percentile": 0.02, "plain": 0.0}
    gain = {0: 0.0, 1: 0.002, 2: 0.006, 4: 0.009}

    def convert(request, destination):
        words = request.method if request.precision == "int8" else "plain"
        drop = drops[words] - gain[len(request.keep)]
        destination.write_text(f"{request.precision} {words} {','.join(request.keep) or '-'} {drop}")
        return Converted({"writer": "1.0"}, operators={"Conv": 3}, higher_precision=request.keep)

    def layer_errors(request, file):
        assert file.is_file()
        assert request.calibration == _CALIBRATION
        return [(f"layer_{number}", float(number)) for number in range(5)]

    monkeypatch.setattr(exporter, "open_engine", _Opened)
    monkeypatch.setattr(exporter, "converter", lambda target: convert)
    monkeypatch.setattr(exporter, "layer_errors", lambda target, precision: layer_errors)
    made = Exporter(bundle, Options(32), lambda: verdicts, lambda: _CALIBRATION, Stages())
    return made, verdicts, drops


def test_what_passes_is_in_the_bundle_with_all_that_is_known_of_it(world, bundle):
    made, verdicts, _ = world
    outcome = made.make("onnx", "fp32")
    assert (outcome.status, outcome.reason) == ("verified", None)
    (record,) = open_bundle(bundle.path).manifest.conversions
    assert record == outcome.record
    assert (record.file, record.target, record.stored_precision) == ("exports/model_fp32.onnx", "onnx", "fp32")
    assert (record.operators, record.tools, record.calibration) == ({"Conv": 3}, {"writer": "1.0"}, None)
    assert [verdict.engine for verdict in record.verifications] == ["onnxruntime", "openvino"]
    assert [engine for _, engine in verdicts.seen] == ["onnxruntime", "openvino"]
    assert outcome.size == (bundle.path / record.file).stat().st_size


def test_int8_ranges_are_taken_in_the_way_that_loses_least(world, bundle):
    made, _, drops = world
    drops.update({"min-max": 0.004, "entropy": 0.001, "percentile": 0.003})
    outcome = made.make("onnx", "int8")
    assert outcome.status == "verified"
    record = open_bundle(bundle.path).manifest.conversions[0]
    assert record.calibration.method == "entropy"
    assert (record.calibration.patches, record.calibration.sha256) == (2, "1" * 64)
    assert (record.remainder, record.higher_precision) == ("fp32", ())


def test_int8_past_its_limit_is_repaired_by_keeping_the_worst_layers_out(world, bundle):
    made, verdicts, _ = world
    outcome = made.make("onnx", "int8")
    # 0.01 - 0.002 and 0.01 - 0.006: the second passes.
    assert outcome.status == "verified"
    assert outcome.record.higher_precision == ("layer_0", "layer_1")
    tried = [text for text, engine in verdicts.seen if engine == "onnxruntime" and "layer" in text]
    assert [text.split()[2] for text in tried] == ["layer_0", "layer_0,layer_1"]


def test_fp16_past_its_limit_is_repaired_by_keeping_the_worst_layers_in_fp32(world, bundle):
    made, verdicts, drops = world
    drops["plain"] = 0.01
    outcome = made.make("tflite", "fp16")
    assert outcome.status == "verified"
    assert open_bundle(bundle.path).manifest.conversions == (outcome.record,)
    assert outcome.record.higher_precision == ("layer_0", "layer_1")
    assert outcome.record.verifications[0].parity.max_difference == pytest.approx(0.004)
    # What layers are compared on decides no ranges.
    assert (outcome.record.calibration, outcome.record.remainder) == (None, None)
    assert [text.split()[2] for text, _ in verdicts.seen] == ["-", "layer_0", "layer_0,layer_1"]


def test_a_repair_ends_after_a_few_tries(world, bundle):
    made, verdicts, drops = world
    drops["plain"] = 0.1
    outcome = made.make("tflite", "fp16")
    assert outcome.status == "failed"
    assert outcome.reason.startswith("off by 0.091")
    assert len(verdicts.seen) == 4
    assert open_bundle(bundle.path).manifest.conversions == ()


def test_a_repair_ends_where_most_weights_would_be_of_another_precision(world, monkeypatch):
    made, verdicts, drops = world
    drops["plain"] = 0.01
    convert = exporter.converter("tflite")

    def widen(request, destination):
        said = convert(request, destination)
        if len(request.keep) > 1:
            destination.write_text(f"in fp32 {destination.read_text()}")
        return said

    monkeypatch.setattr(exporter, "converter", lambda target: widen)
    outcome = made.make("tflite", "fp16")
    assert (outcome.status, outcome.reason) == ("failed", "off by 0.008")
    assert len(verdicts.seen) == 3


@pytest.mark.parametrize(("target", "precision"), [("onnx", "fp32"), ("tflite", "fp32")])
def test_what_has_no_repair_fails_at_once(world, monkeypatch, target, precision):
    made, verdicts, drops = world
    monkeypatch.setattr(exporter, "layer_errors", targets.layer_errors)
    drops["plain"] = 0.01
    assert made.make(target, precision).status == "failed"
    assert {text.split()[2] for text, _ in verdicts.seen} == {"-"}


@pytest.mark.parametrize(
    ("target", "precision"), [(name, each) for name in ("tflite", "openvino") for each in ("fp16", "int8")]
)
def test_these_can_be_repaired(target, precision):
    assert callable(targets.layer_errors(target, precision))


def test_what_no_repair_helps_is_a_failure_and_not_in_the_bundle(world, bundle):
    made, _, drops = world
    drops.update({"min-max": 0.5, "entropy": 0.4, "percentile": 0.6})
    outcome = made.make("onnx", "int8")
    assert outcome.status == "failed"
    assert outcome.reason.startswith("off by 0.39")
    assert open_bundle(bundle.path).manifest.conversions == ()


def test_a_way_that_is_asked_for_is_the_only_one(world):
    made, verdicts, drops = world
    drops["percentile"] = 0.0
    asked = Exporter(made.bundle, Options(32, method="percentile"), lambda: verdicts, lambda: _CALIBRATION, Stages())
    assert asked.make("onnx", "int8").status == "verified"
    assert {text.split()[1] for text, _ in verdicts.seen} == {"percentile"}


def test_a_way_that_a_target_has_not_is_impossible(world):
    made, _, _ = world
    asked = Exporter(made.bundle, Options(32, method="entropy"), lambda: None, lambda: _CALIBRATION, Stages())
    outcome = asked.make("openvino", "int8")
    assert (outcome.status, outcome.reason) == (
        "impossible",
        "openvino takes int8 ranges by min-max or percentile, not by entropy",
    )


def test_what_nothing_here_can_run_is_kept_unverified_with_the_reason(world, bundle, monkeypatch):
    made, _, _ = world

    def refuse(file, engine):
        raise EngineError(f"{engine} is not here")

    monkeypatch.setattr(exporter, "open_engine", refuse)
    outcome = made.make("tflite", "fp32")
    assert (outcome.status, outcome.reason) == ("unverified", "litert is not here")
    (verdict,) = open_bundle(bundle.path).manifest.conversions[0].verifications
    assert (verdict.verified, verdict.reason, verdict.parity) == (False, "litert is not here", None)


def test_an_engine_that_only_reads_a_format_decides_nothing(world, bundle, monkeypatch):
    made, _, _ = world

    def open_one(file, engine):
        if engine == "openvino":
            raise EngineError("openvino is not here")
        return _Opened(file, engine)

    monkeypatch.setattr(exporter, "open_engine", open_one)
    assert made.make("onnx", "fp32").status == "verified"
    first, second = open_bundle(bundle.path).manifest.conversions[0].verifications
    assert (first.verified, second.verified, second.reason) == (True, False, "openvino is not here")


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ModuleNotFoundError("No module named 'nncf'", name="nncf"), "nncf is needed for onnx; run: pip install"),
        (ConversionError("it needs Einsum"), "it needs Einsum"),
    ],
)
def test_what_cannot_be_made_says_why_and_leaves_the_bundle(world, bundle, monkeypatch, error, told):
    made, _, _ = world

    def fail(request, destination):
        raise error

    monkeypatch.setattr(exporter, "converter", lambda target: fail)
    outcome = made.make("onnx", "fp32")
    assert outcome.status == "impossible"
    assert outcome.reason.startswith(told)
    assert open_bundle(bundle.path) == bundle


def test_a_full_disk_is_an_error_and_leaves_the_bundle(world, bundle, monkeypatch):
    made, _, _ = world

    def fail(request, destination):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(exporter, "converter", lambda target: fail)
    with pytest.raises(OutputError, match=r"onnx fp32 cannot be written \(No space left on device\); free the disk"):
        made.make("onnx", "fp32")
    assert open_bundle(bundle.path) == bundle


def test_an_interruption_leaves_the_bundle(world, bundle, monkeypatch):
    made, _, _ = world

    def interrupt(request, destination):
        destination.write_text("half")
        raise KeyboardInterrupt

    monkeypatch.setattr(exporter, "converter", lambda target: interrupt)
    with pytest.raises(KeyboardInterrupt):
        made.make("onnx", "fp32")
    assert open_bundle(bundle.path) == bundle


def test_a_file_whose_weights_are_of_another_precision_is_refused(world, bundle, monkeypatch):
    made, _, _ = world

    class Mislabelled(_Opened):
        def __init__(self, file, engine):
            super().__init__(file, engine)
            self.stored_precision = "fp32"

    monkeypatch.setattr(exporter, "open_engine", Mislabelled)
    outcome = made.make("onnx", "fp16")
    assert outcome.status == "impossible"
    assert "onnx fp16 has weights in fp32" in outcome.reason
    assert open_bundle(bundle.path) == bundle


def test_every_target_names_engines_that_read_its_files():
    from unetplus_runtime.engines import ENGINES

    for target, kind in targets.TARGETS.items():
        if target != "bioimageio":
            assert all(kind.suffix in ENGINES[engine].suffixes for engine in kind.engines), target
            assert target in ENGINES[kind.engines[0]].targets


def test_a_file_for_patches_of_another_side_stands_beside_those_of_the_models_own(world, bundle):
    made, verdicts, _ = world
    made.make("onnx", "fp32")
    other = Exporter(made.bundle, Options(48), lambda: verdicts, lambda: _CALIBRATION, Stages())
    other.make("onnx", "fp32")
    other.make("onnx", "fp32")
    records = open_bundle(bundle.path).manifest.conversions
    assert [(record.file, record.patch_side) for record in records] == [
        ("exports/model_fp32.onnx", None),
        ("exports/model_fp32_48px.onnx", 48),
    ]
    assert open_bundle(bundle.path).conversion("onnx", "fp32") == records[0]
    assert open_bundle(bundle.path).conversion("onnx", "fp32", patch_side=48) == records[1]


def test_a_remainder_in_half_precision_has_its_own_file(world, bundle):
    made, _, drops = world
    drops.update(dict.fromkeys(drops, 0.0))
    made.make("onnx", "int8")
    made.make("onnx", "int8", "fp16")
    files = [record.file for record in open_bundle(bundle.path).manifest.conversions]
    assert files == ["exports/model_int8.onnx", "exports/model_int8_fp16.onnx"]
