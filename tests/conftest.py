"""What all tests share."""

from __future__ import annotations

import os
import subprocess
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

# As unetplus-train has it, so that a process that a test starts computes as the test's own does.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The folder with the real data sets, where the environment names one."""
    value = os.environ.get("UNETPLUS_DATA")
    if not value:
        pytest.skip("UNETPLUS_DATA is not set: the data sets are not part of the project")
    return Path(value)


class Places:
    """Places with little room, or with rights of others."""

    @staticmethod
    @contextmanager
    def mounted(folder: Path, options: str) -> Iterator[None]:
        folder.mkdir()
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", folder], capture_output=True, check=False)
        if done.returncode:
            pytest.skip(f"mounting is not permitted here: {done.stderr.decode().strip()}")
        try:
            yield
        finally:
            subprocess.run(["umount", folder], check=True)

    @staticmethod
    @contextmanager
    def as_nobody() -> Iterator[None]:
        """Take away the rights of the superuser, to whom no file is closed."""
        if os.geteuid() != 0:
            yield
            return
        os.seteuid(65534)
        try:
            yield
        finally:
            os.seteuid(0)


@pytest.fixture(scope="session")
def places() -> type[Places]:
    """Makes them for the length of a block."""
    return Places


@pytest.fixture
def open_folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that everyone may use, which pytest's own are not."""
    with TemporaryDirectory() as name:
        Path(name).chmod(0o777)
        with monkeypatch.context() as context:
            context.chdir(name)
            yield Path(name)
