"""What an edge box installs: small, and without a training framework."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

from unetplus_edge.zoo import DEFAULT, WIDE

ROOT = Path(__file__).parents[2]
MEGABYTE = 1_000_000


@pytest.fixture(scope="module")
def edge_environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new virtual environment with the built wheel and what it needs."""
    folder = tmp_path_factory.mktemp("edge")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    subprocess.run([*pip, "wheel", "--no-deps", "--wheel-dir", folder, ROOT], check=True)
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    python = folder / "venv" / "bin" / "python"
    (wheel,) = folder.glob("*.whl")
    subprocess.run([python, "-m", "pip", "install", "--quiet", wheel], check=True)
    return folder / "venv"


@pytest.mark.slow
def test_the_edge_install_has_no_tensorflow_and_stays_under_600_megabytes(edge_environment: Path) -> None:
    python = edge_environment / "bin" / "python"
    listed = subprocess.run([python, "-m", "pip", "list", "--format=json"], check=True, capture_output=True).stdout
    names = {package["name"].lower() for package in json.loads(listed)}
    assert "unetplus-edge" in names
    assert not names & {"tensorflow", "keras", "torch", "jax", "scikit-image", "scipy"}
    size = sum(path.lstat().st_size for path in edge_environment.rglob("*") if path.is_file())
    assert size < 600 * MEGABYTE


@pytest.mark.slow
def test_the_wheel_carries_the_conversions_and_stays_under_20_megabytes(edge_environment: Path) -> None:
    (wheel,) = edge_environment.parent.glob("*.whl")
    assert wheel.stat().st_size < 20 * MEGABYTE
    exports: dict[str, set[str]] = {}
    with ZipFile(wheel) as archive:
        for name in archive.namelist():
            if "/exports/" in name:
                exports.setdefault(Path(name).parents[1].name, set()).add(Path(name).name)
    light = {f"model_int8.{suffix}" for suffix in ("tflite", "xml", "bin")}
    heavy = {"model_fp32.tflite", "model_fp32.onnx", "model_int8.onnx"}
    assert exports == {DEFAULT: light | heavy, WIDE: light}


@pytest.mark.slow
def test_the_demo_runs_on_the_edge_install(edge_environment: Path, tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "UNETPLUS_DATA")}
    done = subprocess.run(
        [edge_environment / "bin" / "unetplus-runtime", "demo", "--frames", "2", "--out", tmp_path / "demo"],
        check=True,
        capture_output=True,
        text=True,
        env=environment,
        cwd=tmp_path,
    )
    assert "true" in done.stdout
    assert "found" in done.stdout
    assert (tmp_path / "demo" / "demo.png").is_file()
