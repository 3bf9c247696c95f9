"""What breaks an export: damaged files, full disks, read-only folders, Ctrl-C; and no bundle is harmed by it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
from click.testing import CliRunner

from unetplus_edge.architectures import UNetPlus
from unetplus_edge.bundle import add_conversion, open_bundle
from unetplus_edge.errors import EngineError
from unetplus_edge.files import sha256_of
from unetplus_edge.manifest import ConversionRecord, VerificationRecord
from unetplus_export.command import main
from unetplus_runtime.engines import open_engine

pytest.importorskip("keras", reason="needs the export extra")
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


def errors(result):
    """Return the lines of stderr that are errors; there is nothing like a traceback beside them."""
    assert "Traceback" not in result.output
    return [line for line in result.stderr.splitlines() if not line.startswith("warning: ")]


def with_onnx(plain, folder, content):
    """Return a copy of the bundle with a file that its manifest calls verified ONNX."""
    shutil.copytree(plain, folder)
    file = folder.with_suffix(".onnx")
    file.write_bytes(content)
    tried = VerificationRecord(engine="onnxruntime", executed_precision="fp32", verified=True)
    record = ConversionRecord(
        file="exports/model_fp32.onnx",
        sha256=sha256_of(file),
        target="onnx",
        stored_precision="fp32",
        verifications=(tried,),
    )
    return add_conversion(open_bundle(folder), file, record)


@pytest.mark.parametrize("words", [("--target", "trt"), ("--target", "tflite"), ("verify",)], ids=" ".join)
def test_a_file_with_a_wrong_hash_is_an_error_before_anything_is_done(plain, tmp_path, words):
    bundle = with_onnx(plain, tmp_path / "tiny", b"a network")
    (bundle.path / "exports" / "model_fp32.onnx").write_bytes(b"a network, or what is left of it")
    before = contents(bundle.path)
    result = typed(*words, bundle.path) if words == ("verify",) else typed(bundle.path, *words)
    assert result.exit_code == 13
    (line,) = errors(result)
    assert "model_fp32.onnx is not the file that the manifest was written for (its SHA-256 differs)" in line
    assert contents(bundle.path) == before


def test_a_corrupted_onnx_becomes_no_engine_and_opens_nowhere(plain, tmp_path, monkeypatch):
    monkeypatch.setenv("UNETPLUS_CACHE", str(tmp_path / "cache"))
    bundle = with_onnx(plain, tmp_path / "tiny", b"\x08\x08 no graph")
    before = contents(bundle.path)
    result = typed(bundle.path, "--target", "trt")
    assert result.exit_code == 18
    (line,) = errors(result)
    assert line.startswith("not made: trt fp32: ")
    assert "model_fp32.onnx" in line
    assert contents(bundle.path) == before
    assert not (tmp_path / "cache").exists()
    with pytest.raises(EngineError, match=r"model_fp32\.onnx is no ONNX network"):
        open_engine(bundle, "onnxruntime")


def test_a_full_disk_is_an_error_and_leaves_the_bundle(plain, tmp_path, places):
    with places.mounted(tmp_path / "disk", "size=4m"):
        bundle = tmp_path / "disk" / "tiny"
        shutil.copytree(plain, bundle)
        left = os.statvfs(bundle)
        (tmp_path / "disk" / "other").write_bytes(bytes(left.f_bavail * left.f_frsize - 4096))
        before = contents(bundle)
        result = typed(bundle, "--target", "tflite")
        assert result.exit_code == 15
        (line,) = errors(result)
        assert "exports/model_fp32.tflite cannot be written (No space left on device); free the disk" in line
        assert contents(bundle) == before


def test_a_bundle_that_cannot_be_written_is_an_error_and_is_left(plain, tmp_path, places):
    with places.mounted(tmp_path / "disk", "size=4m"):
        bundle = tmp_path / "disk" / "tiny"
        shutil.copytree(plain, bundle)
        subprocess.run(["mount", "-o", "remount,ro", tmp_path / "disk"], check=True)
        before = contents(bundle)
        result = typed(bundle, "--target", "tflite")
        assert result.exit_code == 15
        (line,) = errors(result)
        assert "exports/model_fp32.tflite cannot be written (Read-only file system)" in line
        assert contents(bundle) == before


def test_control_c_in_the_middle_of_a_conversion_leaves_the_bundle_and_nothing_else(plain, tmp_path):
    before = contents(plain)
    # Where the tests themselves run in the background, shells have interruptions ignored.
    code = """
import signal
from unetplus_export.command import main
signal.signal(signal.SIGINT, signal.default_int_handler)
main()
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code, plain, "--target", "tflite"],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    # What TensorFlow converts is there: it is at it.
    while process.poll() is None and not any(tmp_path.glob("*/saved_model.pb")):
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate()
    assert process.returncode == 130, stderr
    assert stderr.splitlines()[-1] == "error: interrupted"
    assert "Traceback" not in stderr
    assert contents(plain) == before
    assert list(tmp_path.iterdir()) == []
