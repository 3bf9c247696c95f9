from __future__ import annotations

import doctest
import re
from pathlib import Path
from typing import get_args

from unetplus_runtime.cameras.counts import DropReason
from unetplus_runtime.cameras.settings import CameraName, FaultKind

PAGE = Path(__file__).parents[3] / "docs" / "cameras.md"


def test_the_python_of_the_page_runs_as_shown() -> None:
    failed, tried = doctest.testfile(str(PAGE), module_relative=False)
    assert (failed, tried > 0) == (0, True)


def test_the_page_names_every_camera_fault_and_reason() -> None:
    named = {*re.findall(r"`([a-z_]+)`", PAGE.read_text())}
    assert named >= {*get_args(CameraName), *get_args(FaultKind), *get_args(DropReason)}
