from __future__ import annotations

import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from unetplus_runtime.daemon.stopping import Stopping

if TYPE_CHECKING:
    from pathlib import Path

    from unetplus_edge.bundle import Bundle

# The engine answers while it is warmed up, and never again.
_HANGING = """
import sys, time
from pathlib import Path
from unetplus_runtime.configuration import Loaded, ServeSettings
from unetplus_runtime.daemon import Daemon, daemon
from unetplus_runtime.daemon.signals import Signals
from unetplus_runtime.segmenter import Segmenter

def segment(self, array, pixel_size=None, segment=Segmenter.segment):
    if array.shape == (64, 80):
        print("hangs", flush=True)
        time.sleep(600)
    return segment(self, array, pixel_size)

Segmenter.segment, daemon.GRACE = segment, 0.3
settings = ServeSettings.model_validate({
    "data_dir": sys.argv[1], "model": {"bundle": sys.argv[2], "engine": "litert", "threads": 1},
    "camera": {"camera": "simulated", "height": 64, "width": 80}, "stopping": {"deadline": 0.1},
    "retention": {"min_free": 0},
})
running = Daemon(Loaded(settings, {}, False))
with Signals(running.stop, running.reload):
    running.run()
"""


def test_nobody_has_asked_at_first() -> None:
    stopping = Stopping()
    assert (stopping.asked, stopping.left, stopping.wait(0)) == (False, 0.0, False)


def test_asking_again_changes_nothing() -> None:
    stopping = Stopping()
    stopping.ask("first", 1000)
    stopping.ask("second", 1)
    assert stopping.asked
    assert stopping.wait(0)
    assert stopping.reason == "first"
    assert 900 < stopping.left <= 1000


def test_an_engine_that_never_answers_cannot_keep_the_daemon_from_ending(bundle: Bundle, tmp_path: Path) -> None:
    command = [sys.executable, "-c", _HANGING, str(tmp_path / "data"), str(bundle.path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "hangs\n"
            process.send_signal(signal.SIGTERM)
            assert process.wait(120) == 14
            said: Any = process.stderr
            assert "could not end within the deadline" in said.read()
        finally:
            process.kill()
