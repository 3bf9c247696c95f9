"""The versions of what computes: looked up among the installed packages, nothing is imported."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

PACKAGES = (
    *("unetplus-edge", "numpy", "opencv-python-headless", "opencv-python", "scikit-image", "numba", "llvmlite"),
    *("ai-edge-litert", "tflite-runtime", "onnxruntime", "onnxruntime-gpu", "openvino", "nncf"),
    *("tensorrt", "tensorrt-cu12", "tensorrt-cu13", "tensorrt-rtx", "tensorrt-rtx-cu13-libs"),
    *("tensorrt-rtx-cu13-bindings", "cuda-bindings", "cuda-python", "pycuda"),
    *("tensorflow", "tensorflow-cpu", "keras", "jax", "torch", "stardist", "jetson-stats", "nvidia-ml-py"),
)
"""Those that a measured time may depend on."""


def library_versions() -> dict[str, str]:
    """Return the versions of Python and of those of `PACKAGES` that are installed, by name."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            number = version(package)
        except PackageNotFoundError:
            continue
        # None is what a half removed package has.
        if number:
            found[package] = number
    return found
