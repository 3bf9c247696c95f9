"""`unetplus-export`, as it is typed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner

from unetplus_edge.architectures import UNetPlus
from unetplus_edge.bundle import open_bundle
from unetplus_export.command import main
from unetplus_runtime.engines import open_engine

keras = pytest.importorskip("keras", reason="needs the export extra")
pytest.importorskip("tensorflow", reason="needs the export extra")


@pytest.fixture(scope="module")
def plain(tmp_path_factory, make_network, make_bundle):
    """A bundle without conversions; tests export copies of it."""
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
    assert json.loads(result.stdout) == record.model_dump(mode="json")


def test_without_the_data_set_simulated_frames_are_used_with_a_warning(exported):
    _, result = exported
    assert "warning: UNETPLUS_DATA is not set" in result.stderr


def test_a_second_export_takes_the_place_of_the_first(exported):
    folder, _ = exported
    result = typed(folder)
    assert result.exit_code == 0, result.output
    assert len(open_bundle(folder).manifest.conversions) == 1
    assert "litert" in result.stdout


def test_a_file_that_fails_is_not_put_into_the_bundle(tmp_path, make_network, make_bundle):
    model = make_network(UNetPlus(base_filters=1, depth=2))
    model.set_weights([np.full_like(weight, np.nan) for weight in model.get_weights()])
    bundle = make_bundle(model, tmp_path / "broken")
    before = contents(bundle.path)
    result = typed(bundle.path)
    assert result.exit_code == 5
    assert "error: tflite fp32: keras answers" in result.stderr
    assert contents(bundle.path) == before


def test_a_bundle_of_the_zoo_is_copied_and_left_as_it_is(tmp_path, plain, monkeypatch):
    zoo = tmp_path / "installed"
    shutil.copytree(plain, zoo / "tiny")
    monkeypatch.setattr("unetplus_edge.zoo._folder", lambda: zoo)
    before = contents(zoo)
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    result = typed("tiny", "--quiet")
    assert result.exit_code == 0, result.output
    assert result.stdout == ""
    assert contents(zoo) == before
    assert [path.name for path in work.iterdir()] == ["tiny"]
    assert open_bundle(work / "tiny").conversion("tflite", "fp32") is not None


def test_a_copy_that_has_no_room_is_an_error(tmp_path, plain, monkeypatch):
    monkeypatch.setattr("unetplus_edge.zoo._folder", lambda: plain.parent)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny").write_text("in the way")
    result = typed("tiny")
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
    done = subprocess.run([sys.executable, "-c", code, str(plain)], env=environment, capture_output=True, text=True)
    assert done.returncode == 18
    assert done.stderr == "error: keras is needed to convert to tflite; run: pip install 'unetplus-edge[export]'\n"
    assert contents(plain) == before
