"""Importing the project loads no framework: an edge box has none, and commands start at once."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

_ROOT = Path(__file__).parents[1]
_PACKAGES = {
    "unetplus_edge": _ROOT,
    "unetplus_runtime": _ROOT / "runtime",
    "unetplus_export": _ROOT / "export",
    "unetplus_bench": _ROOT / "benchmarks",
}
_LIGHT_TRAINING = {
    "unetplus_edge.training",
    "unetplus_edge.training.limits",
    "unetplus_edge.training.recipe",
    "unetplus_edge.training.run_folder",
    "unetplus_edge.training.suite",
}
_HEAVY = [
    "tensorflow",
    "keras",
    "jax",
    "torch",
    "numba",
    "matplotlib",
    "skimage",
    "scipy",
    "zarr",
    "numcodecs",
    "pyarrow",
    "roifile",
    "dask",
    "distributed",
    "shapely",
    "onnx",
    "onnxruntime",
    "openvino",
    "nncf",
    "ai_edge_litert",
    "tflite_runtime",
    "tensorrt",
    "tensorrt_rtx",
    "tensorrt_rtx_bindings",
    "cuda",
    "pycuda",
]

_IMPORT_ALL = """
import importlib, json, sys
names, heavy = json.loads(sys.argv[1])
found = {}
for name in names:
    importlib.import_module(name)
    loaded = [library for library in heavy if library in sys.modules]
    if loaded:
        found[name] = loaded
        heavy = [library for library in heavy if library not in loaded]
print(json.dumps(found))
"""


def _modules() -> list[str]:
    names = []
    for package, root in _PACKAGES.items():
        for path in sorted((root / package).rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            names.append(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    return names


def _may_load_a_framework(name: str) -> bool:
    rooms = ("unetplus_edge.networks", "unetplus_edge.training")
    inside = any(name == room or name.startswith(f"{room}.") for room in rooms)
    compiled = name == "unetplus_edge.imaging.compiled" or name.endswith("_numba")
    return (inside and name not in _LIGHT_TRAINING) or compiled


def test_importing_loads_no_framework() -> None:
    names = [name for name in _modules() if not _may_load_a_framework(name) and not name.endswith("__main__")]
    assert {*_PACKAGES, *_LIGHT_TRAINING, "unetplus_edge.imaging.tv", "unetplus_edge.bundle"} <= set(names)
    done = subprocess.run(
        [sys.executable, "-c", _IMPORT_ALL, json.dumps([names, _HEAVY])],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == {}
