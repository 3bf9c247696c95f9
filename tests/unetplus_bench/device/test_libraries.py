from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version

import numpy as np

import unetplus_edge
from unetplus_bench.device.libraries import PACKAGES, library_versions


def test_versions_are_those_of_what_is_installed():
    versions = library_versions()
    assert versions["numpy"] == np.__version__
    assert versions["python"] == ".".join(map(str, sys.version_info[:3]))
    assert versions["unetplus-edge"] == version("unetplus-edge") == unetplus_edge.__version__


def test_what_is_not_installed_is_left_out(monkeypatch):
    monkeypatch.setattr("unetplus_bench.device.libraries.PACKAGES", ("no-such-package", "numpy"))
    assert library_versions().keys() == {"python", "numpy"}


def test_nothing_is_imported():
    code = (
        "import sys; from unetplus_bench.device.libraries import library_versions; library_versions();"
        "print({'numpy', 'cv2', 'keras', 'tensorflow', 'onnxruntime', 'openvino'} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_no_package_is_named_twice():
    assert len(set(PACKAGES)) == len(PACKAGES)
