"""What is left of a part that is played, however it ends."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from unetplus_bench.endurance import processes
from unetplus_bench.endurance.parts import PARTS, Part
from unetplus_bench.endurance.playing import play
from unetplus_bench.endurance.stage import Model

if TYPE_CHECKING:
    from unetplus_bench.endurance.stage import Stage


@pytest.mark.parametrize("ending", [KeyboardInterrupt, ValueError])
def test_no_process_of_a_part_outlives_it(ending: type[BaseException], monkeypatch: pytest.MonkeyPatch) -> None:
    marks, started = [], []

    def broken_off(stage: Stage) -> None:
        environment = os.environ | {processes.MARK: stage.mark}
        code = "import time; time.sleep(600)"
        started.append(subprocess.Popen([sys.executable, "-c", code], env=environment))
        marks.append(stage.mark)
        raise ending

    monkeypatch.setitem(PARTS, "broken", Part(broken_off, "broken off", full=1, short=1, side=64))
    if ending is KeyboardInterrupt:
        with pytest.raises(KeyboardInterrupt):
            play("broken", 1, Model(Path("none")), 0)
    else:
        assert play("broken", 1, Model(Path("none")), 0).error == "ValueError: "
    assert processes.marked(marks[0]) == {}
    assert started[0].wait(60) < 0
