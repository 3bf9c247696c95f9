"""`unetplus-export`, as it is typed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tifffile
from click.testing import CliRunner

from unetplus_edge.architectures import UNetPlus
from unetplus_edge.bundle import open_bundle, update_manifest
from unetplus_edge.errors import EngineError
from unetplus_edge.zoo import DEFAULT
from unetplus_export.command import main
from unetplus_export.outcome import Outcome
from unetplus_runtime.engines import open_engine
from unetplus_runtime.segmenter import Segmenter

keras = pytest.importorskip("keras", reason="needs the export extra")
pytest.importorskip("tensorflow", reason="needs the export extra")


@pytest.fixture(scope="module")
def plain(tmp_path_factory, make_network, make_bundle):
    """A bundle without conversions; tests export copies of it."""
    keras.utils.set_random_seed(7)
    return make_bundle(make_network(UNetPlus(base_filters=2, depth=2)), tmp_path_factory.mktemp("plain") / "tiny").path


@pytest.fixture(autouse=True)
def no_data(monkeypatch):
    monkeypatch.delenv("UNETPLUS_DATA", raising=False)


def typed(*words):
    return CliRunner().invoke(main, [str(word) for word in words])


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def exported(tmp_path_factory, plain):
    """A bundle after its export, and what the command said."""
    folder = tmp_path_factory.mktemp("exported") / "tiny"
    shutil.copytree(plain, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("UNETPLUS_DATA", raising=False)
        return folder, typed(folder, "--target", "tflite", "--precision", "fp32", "--json")


def test_an_exported_file_is_verified_and_runs_from_the_bundle(exported):
    folder, result = exported
    assert result.exit_code == 0, result.output
    (record,) = open_bundle(folder).manifest.conversions
    assert (record.target, record.stored_precision, record.file) == ("tflite", "fp32", "exports/model_fp32.tflite")
    (verification,) = record.verifications
    assert (verification.engine, verification.executed_precision, verification.verified) == ("litert", "fp32", True)
    assert verification.parity.max_difference < 1e-4
    assert verification.parity.patches == 32
    patches = np.random.default_rng(0).random((2, 32, 32, 1), np.float32)
    with open_engine(open_bundle(folder)) as engine, open_engine(open_bundle(folder), "keras") as reference:
        assert engine.info.engine == "litert"
        np.testing.assert_allclose(engine.infer(patches), reference.infer(patches), atol=1e-4)


def test_json_is_what_the_manifest_says(exported):
    folder, result = exported
    (record,) = open_bundle(folder).manifest.conversions
    (outcome,) = json.loads(result.stdout)
    assert outcome["record"] == record.model_dump(mode="json")
    assert (outcome["target"], outcome["precision"], outcome["status"]) == ("tflite", "fp32", "verified")
    assert outcome["size"] == (folder / record.file).stat().st_size


def test_without_the_data_set_simulated_frames_are_used_with_a_warning(exported):
    _, result = exported
    assert "warning: UNETPLUS_DATA is not set" in result.stderr


def test_a_second_export_takes_the_place_of_the_first(exported):
    folder, _ = exported
    result = typed(folder, "--target", "tflite")
    assert result.exit_code == 0, result.output
    assert len(open_bundle(folder).manifest.conversions) == 1
    assert "litert" in result.stdout


def test_a_file_that_fails_is_not_put_into_the_bundle(tmp_path, make_network, make_bundle):
    model = make_network(UNetPlus(base_filters=1, depth=2))
    model.set_weights([np.full_like(weight, np.nan) for weight in model.get_weights()])
    bundle = make_bundle(model, tmp_path / "broken")
    before = contents(bundle.path)
    result = typed(bundle.path, "--target", "tflite")
    assert result.exit_code == 5
    assert "error: tflite fp32: keras answers" in result.stderr
    assert contents(bundle.path) == before


def test_the_default_bundle_of_the_zoo_is_copied_and_left_as_it_is(tmp_path, plain, monkeypatch):
    zoo = tmp_path / "installed"
    shutil.copytree(plain, zoo / DEFAULT)
    monkeypatch.setattr("unetplus_edge.zoo._folder", lambda: zoo)
    before = contents(zoo)
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    result = typed("--target", "tflite", "--batch", 3, "--quiet")
    assert result.exit_code == 0, result.output
    assert result.stdout == ""
    assert contents(zoo) == before
    assert [path.name for path in work.iterdir()] == [DEFAULT]
    bundle = open_bundle(work / DEFAULT)
    with open_engine(bundle.file_of(bundle.conversion("tflite", "fp32"))) as engine:
        assert engine.info.batch == 3


def test_a_copy_that_has_no_room_is_an_error(tmp_path, plain, monkeypatch):
    monkeypatch.setattr("unetplus_edge.zoo._folder", lambda: plain.parent)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny").write_text("in the way")
    result = typed("tiny", "--target", "tflite")
    assert result.exit_code == 15
    assert "error: tiny cannot be written here" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["tiny"]


def test_what_is_no_bundle_is_refused(tmp_path):
    result = typed(tmp_path)
    assert result.exit_code == 13
    assert "is no model bundle" in result.stderr


@pytest.mark.parametrize("words", [("--precision", "int4"), ("--target", "coreml")])
def test_what_cannot_be_written_is_refused_by_name(plain, words):
    result = typed(plain, *words)
    assert result.exit_code == 2
    assert words[0] in result.stderr


def test_without_tensorflow_the_command_says_what_to_install(plain):
    before = contents(plain)
    code = 'import sys; sys.modules["keras"] = None; from unetplus_export.command import main; main()'
    environment = {**os.environ, "KERAS_BACKEND": "torch"}
    command = [sys.executable, "-c", code, str(plain), "--target", "tflite"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 18
    assert "keras is needed for tflite; run: pip install 'unetplus-edge[export]'" in done.stderr
    assert "Traceback" not in done.stderr
    assert contents(plain) == before


@pytest.fixture(scope="module")
def everything(tmp_path_factory, plain):
    """A bundle after `--target all --precision all`, with a cache of its own, and what the command said."""
    folder = tmp_path_factory.mktemp("everything") / "tiny"
    shutil.copytree(plain, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("UNETPLUS_DATA", raising=False)
        patch.setenv("UNETPLUS_CACHE", str(folder.parent / "cache"))
        words = ("--target", "all", "--precision", "all", "--max-drop", "0.05", "--calibration-patches", "12")
        yield folder, typed(folder, *words, "--json")


@pytest.mark.slow
def test_one_command_makes_every_target_in_every_precision(everything):
    folder, result = everything
    outcomes = {(one["target"], one["precision"]): one["status"] for one in json.loads(result.stdout)}
    files = {
        (target, each): "verified" for target in ("tflite", "onnx", "openvino") for each in ("fp32", "fp16", "int8")
    }
    # Nothing without an NVIDIA GPU runs a TensorRT engine.
    engines = {("trt", each): "unverified" for each in ("fp32", "fp16", "int8")}
    assert outcomes == {**files, **engines, ("bioimageio", "fp32"): "verified"}
    assert result.exit_code == 4
    assert "not verified: trt fp16: " in result.stderr
    made = {
        (record.target, record.stored_precision, record.remainder)
        for record in open_bundle(folder).manifest.conversions
    }
    assert made == {
        *((*pair, "fp32" if pair[1] == "int8" else None) for pair in files),
        ("onnx", "int8", "fp16"),
        ("bioimageio", "fp32", None),
    }


@pytest.mark.slow
def test_what_cannot_be_run_here_is_stored_without_a_score_and_opens_nowhere(everything):
    folder, _ = everything
    plans = open_bundle(folder).manifest.plans
    assert {plan.precision for plan in plans} == {"fp32", "fp16", "int8"}
    for plan in plans:
        assert (plan.verification.verified, plan.verification.parity, plan.verification.score_drop) == (
            False,
            None,
            None,
        )
        assert plan.precision_evidence == "network"
    with pytest.raises(EngineError, match="is not verified"):
        open_engine(open_bundle(folder), "tensorrt")


@pytest.mark.slow
def test_every_conversion_says_what_it_was_calibrated_on_and_compared_with(everything):
    folder, result = everything
    assert "int8 is calibrated on simulated frames" in result.stderr
    for record in open_bundle(folder).manifest.conversions:
        assert all(verdict.frames == "simulated" for verdict in record.verifications)
        assert (record.calibration is not None) == (record.stored_precision == "int8")
        if record.calibration:
            assert record.calibration.simulated
            assert record.calibration.patches == 12


@pytest.mark.slow
def test_verify_tries_all_of_them_again(everything):
    folder, _ = everything
    before = open_bundle(folder).manifest
    forgotten = [record.model_copy(update={"verifications": ()}) for record in before.conversions]
    update_manifest(open_bundle(folder), before.model_copy(update={"conversions": tuple(forgotten)}))
    result = typed("verify", folder, "--max-drop", "0.05", "--json")
    assert result.exit_code == 4, result.output
    after = open_bundle(folder).manifest
    assert [(r.file, r.verifications) for r in after.conversions] == [
        (r.file, r.verifications) for r in before.conversions
    ]


@pytest.mark.parametrize(
    ("words", "printed", "said"), [((), "", True), (("--json",), "[]\n", True), (("--quiet",), "", False)]
)
def test_where_there_is_no_conversion_verify_says_how_to_make_one(plain, words, printed, said):
    before = contents(plain)
    result = typed("verify", plain, *words)
    assert (result.exit_code, result.exception) == (0, None)
    assert result.stdout == printed
    told = f"tiny holds no conversion; make one: unetplus-export {plain}\n"
    assert result.stderr == (told if said else "")
    assert contents(plain) == before


@pytest.mark.parametrize(
    ("words", "chosen"),
    [
        ((), (None, False)),
        (("--calibration-method", "entropy"), ("entropy", False)),
        (("--calibration", "images"), (None, True)),
        (("--calibration-patches", "300"), (None, True)),
    ],
)
def test_it_is_known_what_was_chosen_of_the_calibration_of_an_engine(plain, monkeypatch, words, chosen):
    seen = []

    def make_plan(options, precision, *_):
        seen.append((options.method, options.calibration_chosen))
        return Outcome("trt", precision, "impossible", "not tried")

    monkeypatch.setattr("unetplus_export.command.Exporter", lambda bundle, options, *_: options)
    monkeypatch.setattr("unetplus_export.command.make_plan", make_plan)
    typed(plain, "--target", "trt", "--precision", "int8", *words)
    assert seen == [chosen]


def test_a_target_that_cannot_be_made_here_is_an_error_when_it_is_named(plain, monkeypatch):
    monkeypatch.setitem(sys.modules, "tf2onnx", None)
    before = contents(plain)
    result = typed(plain, "--target", "onnx")
    assert result.exit_code == 18
    assert "not made: onnx fp32: tf2onnx is needed for onnx; run: pip install 'unetplus-edge[export]'" in result.stderr
    assert contents(plain) == before


def test_all_that_can_be_made_is_made_and_the_rest_is_listed_with_its_reason(tmp_path, plain, monkeypatch):
    shutil.copytree(plain, tmp_path / "tiny")
    for library in ("tf2onnx", "openvino"):
        monkeypatch.setitem(sys.modules, library, None)
    result = typed(tmp_path / "tiny", "--target", "all", "--json")
    assert result.exit_code == 3, result.output
    assert {one["target"]: one["status"] for one in json.loads(result.stdout)} == {
        "tflite": "verified",
        "onnx": "impossible",
        "openvino": "impossible",
        "trt": "impossible",
        "bioimageio": "impossible",
    }
    for target in ("onnx", "trt", "bioimageio"):
        (line,) = [line for line in result.stderr.splitlines() if line.startswith(f"not made: {target} fp32: ")]
        assert "tf2onnx is needed" in line
    assert "not made: openvino fp32: openvino is needed for openvino; run: pip install" in result.stderr
    assert [record.target for record in open_bundle(tmp_path / "tiny").manifest.conversions] == ["tflite"]


@pytest.fixture(scope="module")
def wide(tmp_path_factory, plain):
    """A bundle for patches of 32 pixels with a conversion for 48, and what the command said."""
    folder = tmp_path_factory.mktemp("wide") / "tiny"
    shutil.copytree(plain, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("UNETPLUS_DATA", raising=False)
        return folder, typed(folder, "--target", "tflite", "--patch-size", 48)


def test_a_file_for_patches_of_another_size_is_verified_and_opened_by_its_name(wide):
    folder, result = wide
    assert result.exit_code == 0, result.output
    assert "tflite fp32 48" in result.stdout
    bundle = open_bundle(folder)
    (record,) = bundle.manifest.conversions
    assert (record.file, record.patch_side) == ("exports/model_fp32_48px.tflite", 48)
    assert (record.verifications[0].verified, record.verifications[0].parity.patches) == (True, 32)
    with open_engine(bundle.file_of(record)) as engine:
        assert engine.info.patch_side == 48
        assert engine.infer(np.zeros((2, 48, 48, 1), np.float32)).shape == (2, 48, 48, 1)
        with pytest.raises(EngineError, match=r"takes patches of 48 x 48 pixels, its bundle .* is of 32 x 32"):
            Segmenter(bundle, engine)


def test_no_frame_is_segmented_with_a_file_for_patches_of_another_size(wide):
    folder, _ = wide
    with Segmenter(open_bundle(folder)) as segmenter:
        assert (segmenter.engine.engine, segmenter.engine.patch_side) == ("keras", 32)


def test_files_for_several_sizes_are_verified_again_each_on_patches_of_its_own(wide, tmp_path):
    folder = tmp_path / "tiny"
    shutil.copytree(wide[0], folder)
    assert typed(folder, "--target", "tflite").exit_code == 0
    before = open_bundle(folder).manifest.conversions
    assert [record.patch_side for record in before] == [48, None]
    result = typed("verify", folder, "--json")
    assert result.exit_code == 0, result.output
    assert open_bundle(folder).manifest.conversions == before


def test_a_size_that_the_network_cannot_be_built_for_is_refused(plain):
    before = contents(plain)
    result = typed(plain, "--target", "tflite", "--patch-size", 33)
    assert result.exit_code == 18
    assert "not made: tflite fp32: tiny cannot be built for patches of 33 pixels; take a side" in result.stderr
    assert contents(plain) == before


@pytest.mark.parametrize(
    ("images", "reason"),
    [
        ({}, "holds no image"),
        ({"one": np.arange(32 * 32, dtype=np.uint16).reshape(32, 32)}, "too few to calibrate on"),
        ({f"flat{number}": np.full((32, 32), 9, np.uint8) for number in range(9)}, "is the same everywhere"),
        ({f"wild{number}": np.full((32, 32), np.nan, np.float32) for number in range(9)}, "NaN or beyond float32"),
    ],
    ids=["none", "too few", "constant", "NaN"],
)
def test_images_that_nothing_can_be_calibrated_on_are_refused_and_leave_the_bundle(plain, tmp_path, images, reason):
    for name, image in images.items():
        tifffile.imwrite(tmp_path / f"{name}.tif", image)
    before = contents(plain)
    result = typed(plain, "--target", "tflite", "--precision", "int8", "--calibration", tmp_path)
    assert result.exit_code == 11
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert reason in line
    assert contents(plain) == before


def test_the_doctor_says_what_can_be_made_and_run_and_on_which_boards():
    result = typed("doctor", "--json")
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert {ability["name"] for ability in report["targets"]} == {"tflite", "onnx", "openvino", "trt", "bioimageio"}
    assert {ability["name"] for ability in report["engines"]} == {
        "litert",
        "onnxruntime",
        "openvino",
        "keras",
        "tensorrt",
    }
    assert any("1080 Ti" in board["name"] for board in report["boards"])
    assert "GTX 1080 Ti" in typed("doctor").stdout


def test_a_folder_called_like_a_command_is_given_with_its_path(tmp_path, plain, monkeypatch):
    shutil.copytree(plain, tmp_path / "verify")
    monkeypatch.chdir(tmp_path)
    result = typed("./verify", "--target", "tflite", "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)[0]["target"] == "tflite"


def test_help_shows_the_options_of_the_default_command_and_the_others():
    told = typed("--help").stdout
    for word in ("--target", "--precision", "--max-drop", "verify", "doctor", "Exit codes"):
        assert word in told
