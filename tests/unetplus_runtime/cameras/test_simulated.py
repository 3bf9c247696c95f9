from __future__ import annotations

import subprocess
import sys
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
import pytest

from unetplus_edge.datasets.specimen import Specimen, stream
from unetplus_edge.errors import CameraError
from unetplus_runtime.cameras import Fault, SimulatedSettings, Start, open_camera

if TYPE_CHECKING:
    from unetplus_runtime.cameras import Camera, Frame


def opened(*faults: Fault, life: int = 0, **settings: object) -> Camera:
    small = {"height": 48, "width": 64, "loop": 3, "rate": None, "faults": faults} | settings
    return open_camera(SimulatedSettings.model_validate(small), Start(life=life))


def read_all(camera: Camera) -> list[Frame]:
    frames = []
    while not camera.ended:
        frame = camera.read(10)
        if frame is not None:
            frames.append(frame)
    camera.close()
    return frames


def test_frames_are_those_of_the_specimen_there_and_back() -> None:
    frames = read_all(opened(frames=6, bit_depth=12, seed=4))
    specimen = list(islice(stream(Specimen(height=48, width=64, bit_depth=12, seed=4)), 3))
    for frame, index in zip(frames, (0, 1, 2, 1, 0, 1), strict=True):
        np.testing.assert_array_equal(frame.array, specimen[index].image)
        assert frame.array.dtype == np.uint16
        assert frame.metadata["true_nuclei"] == len({*specimen[index].labels.flat} - {0})
        assert frame.metadata["specimen_frame"] == index


def test_every_frame_says_that_it_is_simulated() -> None:
    camera = opened(frames=4)
    assert camera.facts.simulated
    assert "SIMULATED" in camera.facts.source
    assert [frame.metadata["simulated"] for frame in read_all(camera)] == [True] * 4


def test_a_frame_belongs_to_whoever_has_it() -> None:
    camera = opened(frames=9, loop=1)
    first = camera.read(10)
    assert first is not None
    kept = first.array.copy()
    first.array[:] = 0
    second = camera.read(10)
    assert second is not None
    np.testing.assert_array_equal(second.array, kept)


def test_with_a_rate_what_is_not_read_in_time_is_lost_and_counted() -> None:
    camera = opened(rate=500, frames=40)
    frames = read_all(camera)
    sequences = [frame.sequence for frame in frames]
    assert sequences == sorted(set(sequences))
    assert sequences[-1] == 39
    captured, dropped = camera.counts.totals()
    assert captured == 40
    assert sum(dropped.values()) == dropped.get("newest_only", 0) == 40 - len(frames)


def test_a_frame_that_is_not_due_is_not_there() -> None:
    camera = opened(rate=0.0001)
    assert camera.read(10) is not None
    assert camera.read(0) is None
    assert camera.counts.totals() == (1, {})


def test_a_corrupt_frame_is_dropped_with_a_reason() -> None:
    camera = opened(Fault(kind="corrupt", frame=1), frames=3)
    assert [frame.sequence for frame in read_all(camera)] == [0, 2]
    assert camera.counts.totals() == (3, {"corrupt": 1})
    assert [refusal.reason for refusal in camera.counts.take_refusals()] == [
        "frame 1 of the simulated camera arrived cut off"
    ]


def test_skipped_frames_are_a_gap() -> None:
    camera = opened(Fault(kind="skip", frame=2, frames=5), frames=9)
    assert [frame.sequence for frame in read_all(camera)] == [0, 1, 7, 8]
    assert camera.counts.totals() == (9, {"gap_at_source": 5})


def test_the_clock_of_the_device_jumps_and_that_of_the_host_does_not() -> None:
    frames = read_all(opened(Fault(kind="clock_jump", frame=2, seconds=-5000), frames=4))
    device = [frame.device_time or 0.0 for frame in frames]
    assert device[2] < device[1] - 4000
    host = [frame.monotonic for frame in frames]
    assert host == sorted(host)


def test_an_absent_camera_cannot_be_opened_in_those_lives() -> None:
    absent = Fault(kind="absent", lives=(1, 2))
    with pytest.raises(CameraError, match="absent"):
        opened(absent, life=1)
    opened(absent, life=3).close()


def test_a_camera_that_disappears_says_so() -> None:
    camera = opened(Fault(kind="disappear", frame=1))
    assert camera.read(10) is not None
    with pytest.raises(CameraError, match="disappeared"):
        camera.read(10)


def test_a_stall_delays_what_follows() -> None:
    camera = opened(Fault(kind="stall", frame=1, seconds=3600), rate=100)
    assert camera.read(10) is not None
    assert camera.read(0.2) is None


def test_frames_grow() -> None:
    frames = read_all(opened(Fault(kind="growth", frame=1), frames=2))
    assert [frame.array.shape for frame in frames] == [(48, 64), (96, 128)]


def test_a_crash_is_a_segmentation_fault() -> None:
    code = (
        "from unetplus_runtime.cameras import *\n"
        "fault = Fault(kind='crash', frame=1)\n"
        "camera = open_camera(SimulatedSettings(height=48, width=48, loop=1, rate=None, faults=(fault,)))\n"
        "camera.read(10); print('one', flush=True); camera.read(10); print('two')"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (-11, "one\n")
