"""A run over one image that a test may kill, or whose memory it measures.

Arguments: bundle, image, folder of results, side of a block, name of a function and the number of
its call before which the process kills itself (none: "-" and 0). Prints its peak memory in bytes.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
from pathlib import Path
from typing import Any

from unetplus_edge.bundle import open_bundle
from unetplus_runtime.batch import segment_files
from unetplus_runtime.engines import EngineInfo
from unetplus_runtime.large import job
from unetplus_runtime.large.work import WorkFolder
from unetplus_runtime.plan import Cutting, make_plan
from unetplus_runtime.segmenter import Segmenter


class _Engine:
    """What is bright is a nucleus."""

    def __init__(self, side: int) -> None:
        self.info = EngineInfo("keras", "none", "0", Path("none"), "fp32", "fp32", "cpu", 1, None, side)

    def infer(self, patches: Any) -> Any:
        return patches

    def close(self) -> None:
        pass


def _peak() -> int:
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _kill_before(name: str, call: int) -> None:
    owner: Any = WorkFolder if hasattr(WorkFolder, name) else job
    original, left = getattr(owner, name), iter(range(call - 1))

    def killing(*arguments: Any) -> Any:
        if next(left, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*arguments)

    setattr(owner, name, killing)


if __name__ == "__main__":
    bundle, image, out, side, name, call = sys.argv[1:]
    if name != "-":
        _kill_before(name, int(call))
    opened = open_bundle(Path(bundle))
    plan = make_plan([Path(image)], Path(out), cutting=Cutting(max_pixels=1, side=int(side)))
    with Segmenter(opened, _Engine(opened.manifest.recipe.patch_side)) as segmenter:
        segment_files(plan, segmenter)
    print(_peak())
