from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from unetplus_bench.endurance.clock import Clock

if TYPE_CHECKING:
    from pathlib import Path

_CODE = "import sys, time\nfor _ in sys.stdin: print(time.time(), time.time_ns() / 1e9, time.monotonic(), flush=True)"


def test_the_wall_clock_of_another_process_is_set_and_no_other_clock(tmp_path: Path) -> None:
    clock = Clock(tmp_path)
    with subprocess.Popen(
        [sys.executable, "-c", _CODE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | clock.environment,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for seconds, expected in ((0.0, 0.0), (-3600.0, -3600.0), (86400.0, 82800.0)):
            clock.set_on(seconds)
            before, before_monotonic = time.time(), time.monotonic()
            process.stdin.write("\n")
            process.stdin.flush()
            wall, wall_ns, monotonic = map(float, process.stdout.readline().split())
            after, after_monotonic = time.time(), time.monotonic()
            assert before - 0.1 <= wall - expected <= after + 0.1
            assert before - 0.1 <= wall_ns - expected <= after + 0.1
            assert before_monotonic - 0.1 <= monotonic <= after_monotonic + 0.1
        process.stdin.close()
