"""What all tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# As unetplus-train has it, so that a process that a test starts computes as the test's own does.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The folder with the real data sets, where the environment names one."""
    value = os.environ.get("UNETPLUS_DATA")
    if not value:
        pytest.skip("UNETPLUS_DATA is not set: the data sets are not part of the project")
    return Path(value)
