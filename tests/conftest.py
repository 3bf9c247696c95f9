"""What all tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The folder with the real data sets, where the environment names one."""
    value = os.environ.get("UNETPLUS_DATA")
    if not value:
        pytest.skip("UNETPLUS_DATA is not set: the data sets are not part of the project")
    return Path(value)
