"""Cameras in processes of their own. After each test, the fixture `isolate` accounts for every frame."""

from __future__ import annotations

import os
import signal
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from unetplus_edge.datasets.specimen import Specimen, stream
from unetplus_edge.errors import InputError
from unetplus_runtime.cameras import Fault, FolderSettings, OpenCVSettings
from unetplus_runtime.cameras.isolation import BackOff, Patience

if TYPE_CHECKING:
    from collections.abc import Callable

    from unetplus_runtime.cameras import Frame, SimulatedSettings
    from unetplus_runtime.cameras.isolation import IsolatedCamera

    Wait = Callable[..., None]
    Isolate = Callable[..., IsolatedCamera]
    Simulated = Callable[..., SimulatedSettings]
    ProcessAll = Callable[[IsolatedCamera], list[Frame]]


def next_frame(camera: IsolatedCamera) -> Frame:
    frame = camera.read(180)
    assert frame is not None, camera.changes()
    camera.done(frame)
    return frame


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def driver(camera: IsolatedCamera) -> int:
    pid = camera.status().pid
    assert pid is not None
    return pid


def test_every_frame_of_a_lossless_camera_arrives_as_it_is(
    isolate: Isolate, simulated: Simulated, process_all: ProcessAll
) -> None:
    camera = isolate(simulated(frames=20, loop=20, seed=3, bit_depth=12))
    frames = process_all(camera)
    truth = islice(stream(Specimen(height=48, width=64, bit_depth=12, seed=3)), 20)
    for number, (frame, true) in enumerate(zip(frames, truth, strict=True)):
        np.testing.assert_array_equal(frame.array, true.image)
        assert frame.array.dtype == true.image.dtype
        assert frame.sequence == number
        assert frame.metadata["simulated"] is True
    totals = camera.status().totals
    assert (totals.captured, totals.processed, dict(totals.dropped)) == (20, 20, {})
    facts = camera.status().facts
    assert facts is not None
    assert facts.simulated
    assert [change.state for change in camera.changes()] == ["offline", "starting", "online", "offline"]
    assert camera.changes()[-1].reason == "the camera has no more frames"


def test_of_a_live_camera_only_the_newest_frame_waits(isolate: Isolate, simulated: Simulated, wait: Wait) -> None:
    camera = isolate(simulated(rate=300, frames=60))
    wait(lambda: camera.changes()[-1].reason == "the camera has no more frames")
    assert next_frame(camera).sequence == 59
    assert camera.read(0) is None
    assert camera.ended
    totals = camera.status().totals
    assert (totals.captured, totals.processed, dict(totals.dropped)) == (60, 1, {"newest_only": 59})


def test_a_lossless_camera_waits_for_whoever_takes_its_frames(
    isolate: Isolate, simulated: Simulated, process_all: ProcessAll, wait: Wait
) -> None:
    camera = isolate(simulated(frames=30))
    wait(lambda: camera.status().totals.waiting == 4)
    first = camera.read(0)
    assert first is not None
    wait(lambda: camera.status().totals.waiting == 4)
    totals = camera.status().totals
    assert (totals.captured, totals.taken) == (5, 1)
    camera.done(first)
    assert [frame.sequence for frame in process_all(camera)] == list(range(1, 30))
    assert camera.status().totals.dropped == {}


def test_a_segmentation_fault_costs_one_life_and_no_more(
    isolate: Isolate, simulated: Simulated, process_all: ProcessAll
) -> None:
    crash = Fault(kind="crash", frame=4, lives=(0, 1))
    camera = isolate(simulated(frames=6, faults=(crash,)))
    frames = process_all(camera)
    assert [(frame.life, frame.sequence) for frame in frames] == [
        *((0, number) for number in range(4)),
        *((1, number) for number in range(4)),
        *((2, number) for number in range(6)),
    ]
    offline = [change for change in camera.changes() if change.state == "offline"]
    assert [change.reason for change in offline[1:3]] == ["the driver was killed by SIGSEGV; it is started anew"] * 2
    assert camera.status().restarts == 2


def test_a_driver_that_is_stopped_is_replaced(isolate: Isolate, simulated: Simulated, wait: Wait) -> None:
    camera = isolate(simulated(rate=20), patience=Patience(late=2, lost=6))
    life = next_frame(camera).life
    pid = driver(camera)
    os.kill(pid, signal.SIGSTOP)
    wait(lambda: next_frame(camera).life > life)
    assert not is_running(pid)
    states = [change.state for change in camera.changes() if change.life == life]
    assert states[-2:] == ["degraded", "offline"]
    reasons = [change.reason for change in camera.changes() if change.life == life]
    assert reasons[-2:] == ["there was no frame for 2 s", "there was no frame for 6 s; the driver is started anew"]


def test_a_driver_that_hangs_without_frames_to_expect_is_replaced(
    isolate: Isolate, simulated: Simulated, wait: Wait
) -> None:
    camera = isolate(simulated(), patience=Patience(hung=6))
    next_frame(camera)
    os.kill(driver(camera), signal.SIGSTOP)
    wait(lambda: next_frame(camera).life > 0)
    reasons = [change.reason for change in camera.changes()]
    assert "the driver gave no sign of life for 6 s; the driver is started anew" in reasons


def test_a_camera_that_is_away_comes_back(isolate: Isolate, simulated: Simulated) -> None:
    gone = Fault(kind="disappear", frame=2, lives=(0,))
    away = Fault(kind="absent", lives=(1, 2))
    camera = isolate(simulated(faults=(gone, away)))
    assert [next_frame(camera).life for _ in range(4)] == [0, 0, 3, 3]
    reasons = [change.reason for change in camera.changes() if change.state == "offline"]
    assert "disappeared" in reasons[1]
    assert "absent" in reasons[2]
    assert "absent" in reasons[3]


def test_a_camera_that_does_not_open_is_given_up_and_tried_again(isolate: Isolate, simulated: Simulated) -> None:
    slow = Fault(kind="slow_start", seconds=86400, lives=(0,))
    camera = isolate(simulated(faults=(slow,)), patience=Patience(opening=20))
    assert next_frame(camera).life > 0
    assert camera.changes()[2].reason == "the camera was not open after 20 s; the driver is started anew"


def test_frames_that_grow_are_given_room(isolate: Isolate, simulated: Simulated, process_all: ProcessAll) -> None:
    growth = Fault(kind="growth", frame=3)
    camera = isolate(simulated(frames=8, faults=(growth,)))
    assert [frame.array.shape for frame in process_all(camera)] == [(48, 64)] * 3 + [(96, 128)] * 5


def test_what_is_corrupt_or_never_arrives_is_counted(
    isolate: Isolate, simulated: Simulated, process_all: ProcessAll
) -> None:
    faults = (Fault(kind="corrupt", frame=1), Fault(kind="skip", frame=4, frames=3))
    camera = isolate(simulated(frames=9, faults=faults))
    assert [frame.sequence for frame in process_all(camera)] == [0, 2, 3, 7, 8]
    totals = camera.status().totals
    assert (totals.captured, dict(totals.dropped)) == (9, {"corrupt": 1, "gap_at_source": 3})
    assert [refusal.reason for _, refusal in camera.refusals()] == ["frame 1 of the simulated camera arrived cut off"]


def test_a_frame_is_settled_once(isolate: Isolate, simulated: Simulated) -> None:
    camera = isolate(simulated(frames=3))
    frames = [camera.read(180) for _ in range(3)]
    for frame, settle in zip(frames, (camera.done, camera.drop, camera.done), strict=True):
        assert frame is not None
        settle(frame)
        with pytest.raises(InputError, match="settle each frame once"):
            camera.done(frame)
    totals = camera.status().totals
    assert (totals.processed, dict(totals.dropped)) == (2, {"failed": 1})


def test_closing_drops_what_waits_and_keeps_what_was_taken(isolate: Isolate, simulated: Simulated, wait: Wait) -> None:
    camera = isolate(simulated())
    taken = camera.read(180)
    wait(lambda: camera.status().totals.waiting == 4)
    camera.close()
    assert camera.ended
    assert camera.read(180) is None
    totals = camera.status().totals
    assert (totals.taken, totals.in_flight, totals.dropped) == (1, 1, {"shutdown": totals.captured - 1})
    assert taken is not None
    camera.done(taken)


def test_closing_ends_a_driver_that_is_stopped(isolate: Isolate, simulated: Simulated) -> None:
    camera = isolate(simulated(), grace=0.1)
    next_frame(camera)
    pid = driver(camera)
    os.kill(pid, signal.SIGSTOP)
    camera.close()
    assert not is_running(pid)
    assert camera.status().now.reason == "the camera was closed"


def test_a_storm_of_crashes_is_held_up(isolate: Isolate, simulated: Simulated, wait: Wait) -> None:
    crash = Fault(kind="crash", frame=0)
    back_off = BackOff(first=0.01, longest=0.01, storm=2, window=86400)
    camera = isolate(simulated(faults=(crash,)), back_off=back_off)
    wait(lambda: camera.status().storm)
    status = camera.status()
    assert (status.restarts, status.now.state) == (2, "offline")
    assert status.next_start is not None
    assert status.next_start > status.now.monotonic + 80000


def test_files_are_handed_out_once_through_all_lives(
    isolate: Isolate, tmp_path: Any, put_image: Callable[..., Any], wait: Wait
) -> None:

    for number in range(30):
        put_image(tmp_path / f"{number:02}.png", number, age=-number)
    camera = isolate(FolderSettings(path=tmp_path))
    values = []
    for number in range(30):
        frame = camera.read(180)
        assert frame is not None, camera.changes()
        values.append(int(frame.array[0, 0]))
        if number in (3, 4, 17):
            # With one frame taken and others waiting.
            life = camera.status().restarts
            os.kill(driver(camera), signal.SIGKILL)
            wait(lambda life=life: camera.status().restarts > life and camera.status().pid)
        camera.done(frame)
    assert values == list(range(30))
    assert camera.status().totals.processed == 30


def test_files_that_were_done_before_are_not_handed_out(
    isolate: Isolate, tmp_path: Any, put_image: Callable[..., Any]
) -> None:

    for number in range(6):
        put_image(tmp_path / f"{number}.png", number, age=-number)
    first = isolate(FolderSettings(path=tmp_path))
    done = [next_frame(first).file for _ in range(4)]
    first.close()
    again = isolate(FolderSettings(path=tmp_path), seen=lambda: done)
    assert [int(next_frame(again).array[0, 0]) for _ in range(2)] == [4, 5]


def test_a_server_that_goes_and_comes_back_is_found_again(isolate: Isolate, mjpeg_server: Any, wait: Wait) -> None:
    camera = isolate(OpenCVSettings(source=mjpeg_server.url, read_timeout=5))
    first = next_frame(camera)
    assert first.array.shape == (48, 64)
    mjpeg_server.stop()
    wait(lambda: "cannot be opened" in camera.status().now.reason)
    mjpeg_server.start()
    last = camera.changes()[-1].life
    wait(lambda: next_frame(camera).life > last - 1)
    wait(lambda: camera.status().now.state == "online")
