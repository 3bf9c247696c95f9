"""The scope camera: what became of frames that came at a fixed rate."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

import click
import pytest
from click.testing import CliRunner

from unetplus_bench.measuring import camera as room
from unetplus_bench.measuring.camera import CameraSubject, measure_cameras
from unetplus_runtime.configuration import load
from unetplus_runtime.configuration.options import options_of, settings_options

if TYPE_CHECKING:
    from pathlib import Path

    from unetplus_bench.measuring.rounds import Measured
    from unetplus_bench.results import CameraRecord
    from unetplus_edge.bundle import Bundle

# A service of real parts, that takes a fixed time for a frame instead of segmenting it.
SERVICE = """
import sys, time
import click, numpy as np
from pathlib import Path
from unetplus_edge.imaging import measure
from unetplus_runtime.cameras import CameraFacts
from unetplus_runtime.cameras.isolation import IsolatedCamera
from unetplus_runtime.configuration import Recording, Retention, load
from unetplus_runtime.configuration.options import options_of, settings_options
from unetplus_runtime.records import RecordStore, RunFacts
from unetplus_runtime.segmenter import Result

@click.command()
@settings_options
def serve(**typed):
    settings = load(None, options_of(**typed), {}).settings
    facts = CameraFacts("simulated", "SIMULATED", lossless=False, simulated=True)
    run = RunFacts("run", "{}", "c", "m")
    keep, room = Recording(), Retention(min_free=0)
    with RecordStore(settings.data_dir, interval=0.05, recording=keep, retention=room, run=run) as store:
        with IsolatedCamera(settings.camera) as camera:
            store.count_with(lambda: camera.status().totals)
            while not camera.ended:
                frame = camera.read(timeout=0.1)
                if frame is None:
                    continue
                time.sleep(BUSY)
                labels = np.zeros(frame.array.shape, np.int32)
                labels[4:8, 4:8] = 1
                result = Result(labels, measure(labels, frame.array), (labels > 0).astype(np.float32), {"net": BUSY})
                store.put(frame, result, facts=facts, model_hash="m", configuration_hash="c",
                          on_commit=lambda committed, frame=frame: camera.done(frame))
            store.flush(60)

serve()
"""


def subject(folder: Path, rate: float = 20.0, **changed: Any) -> CameraSubject:
    told: dict[str, Any] = {"engine": "litert", "execution": "fp32", "threads": 1, "shape": (64, 96), "rate": rate}
    return CameraSubject(folder, **{**told, **changed})


def record_of(measured: Measured) -> CameraRecord:
    assert measured.error is None, measured.error
    record: CameraRecord = measured.facts["camera"]
    return record


@pytest.fixture
def busy(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Puts a service in place that takes so many seconds for a frame."""
    return lambda seconds: monkeypatch.setattr(room, "SERVE", ("-c", SERVICE.replace("BUSY", str(seconds))))


def test_the_service_is_told_in_words_that_it_takes(tmp_path: Path) -> None:
    found = []

    @click.command()
    @settings_options
    def serve(**typed: Any) -> None:
        found.append(load(None, options_of(**typed), {}).settings)

    words = subject(tmp_path, 2.5).options(tmp_path / "data", 40)
    assert CliRunner().invoke(serve, words).exit_code == 0
    (settings,) = found
    camera = settings.camera
    assert (camera.camera, camera.height, camera.width, camera.rate, camera.frames) == ("simulated", 64, 96, 2.5, 40)
    assert (settings.model.engine, settings.model.execution, settings.model.threads) == ("litert", "fp32", 1)
    assert (settings.model.bundle, settings.data_dir) == (str(tmp_path), tmp_path / "data")


def test_every_frame_is_processed_or_dropped_for_a_reason(tmp_path: Path, busy: Any) -> None:
    busy(0.2)  # four times as long as there is between two frames
    (measured,) = measure_cameras([subject(tmp_path)], runs=2, seconds=1.0)
    record = record_of(measured)
    assert record.dropped["newest_only"] > 0
    assert record.settled == 2 * 20
    assert record.achieved == pytest.approx(20.0 * record.processed / 40)
    assert len(measured.rounds) == 2
    assert sum(map(len, measured.rounds)) == record.processed
    assert min(min(times) for times in measured.rounds) >= 0.2
    assert set(measured.stages["net"]) == {0.2}


def test_a_service_that_loses_frames_unseen_is_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    silent = SERVICE.replace("store.count_with(lambda: camera.status().totals)", "pass")
    monkeypatch.setattr(room, "SERVE", ("-c", silent.replace("BUSY", "0.2")))
    (measured,) = measure_cameras([subject(tmp_path)], runs=1, seconds=1.0)
    assert measured.error is not None
    assert re.search(r"gave 20 frames, and \d+ are told to be processed or dropped", measured.error)


def test_what_a_service_keeps_up_with_is_achieved(tmp_path: Path, busy: Any) -> None:
    busy(0.0)
    # No other frame is due before all is over, however slow the machine is.
    (measured,) = measure_cameras([subject(tmp_path, rate=0.5)], runs=1, seconds=2.0)
    record = record_of(measured)
    assert (record.achieved, record.dropped) == (0.5, {})
    assert len(measured.rounds[0]) == 1


def test_no_setting_of_the_environment_changes_what_is_measured(
    tmp_path: Path, busy: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNETPLUS_SERVE__CAMERA__RATE", "999")
    script = "import os, sys; sys.exit(str([name for name in os.environ if name.startswith('UNETPLUS_SERVE')]))"
    monkeypatch.setattr(room, "SERVE", ("-c", script))
    (measured,) = measure_cameras([subject(tmp_path)], runs=1, seconds=1.0)
    assert measured.error == "the service left with code 1; its last words were: []"


def test_a_service_that_fails_says_why_and_the_others_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = f"import sys; 'fp32' in sys.argv and sys.exit('error: no model'); {SERVICE.strip().replace('BUSY', '0.0')}"
    monkeypatch.setattr(room, "SERVE", ("-c", script.replace("; import sys, time", "\nimport sys, time", 1)))
    failed, fine = measure_cameras([subject(tmp_path), subject(tmp_path, execution="int8")], runs=1, seconds=0.5)
    assert failed.error == "the service left with code 1; its last words were: error: no model"
    assert record_of(fine).processed > 0


def test_nothing_of_a_service_that_hangs_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = tmp_path / "pid"
    script = f"import os, time; open({str(told)!r}, 'w').write(str(os.getpid())); time.sleep(600)"
    monkeypatch.setattr(room, "SERVE", ("-c", script))
    (measured,) = measure_cameras([subject(tmp_path)], runs=1, seconds=0.1, patience=5.0)
    assert measured.error == "the service did not end after its camera's last frame; it said nothing"
    with pytest.raises(ProcessLookupError):
        os.kill(int(told.read_text()), 0)


def test_the_real_service_is_measured(bundle: Bundle) -> None:
    asked = subject(bundle.path, rate=5.0, shape=(64, 64))
    (measured,) = measure_cameras([asked], runs=1, seconds=1.0)
    record = record_of(measured)
    assert record.processed == len(measured.rounds[0]) > 0
    assert record.rate == 5.0
