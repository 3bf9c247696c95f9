from __future__ import annotations

import os
import sys
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile

from unetplus_edge.errors import CameraError
from unetplus_runtime.cameras import FileIdentity, FolderSettings, Start
from unetplus_runtime.cameras.folder import FolderCamera
from unetplus_runtime.inputs import find_images, frames_of
from unetplus_runtime.readers import open_pages

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from unetplus_runtime.cameras import Frame

    Open = Callable[..., FolderCamera]


@pytest.fixture
def watch(tmp_path: Path, clock: Any) -> Iterator[Open]:
    """Opens cameras on the folder `tmp_path / "in"`, whose files rest by the test's clock."""
    cameras = []
    (tmp_path / "in").mkdir()

    def opened(*seen: FileIdentity, **settings: object) -> FolderCamera:
        given = {"path": tmp_path / "in", "settle": 2, "patience": 10, "poll": 1} | settings
        camera = FolderCamera(FolderSettings.model_validate(given), Start(seen=seen), clock=clock)
        cameras.append(camera)
        camera.open()
        return camera

    yield opened
    for camera in cameras:
        camera.close()


@pytest.fixture
def read_all(clock: Any) -> Callable[[FolderCamera], list[Frame]]:
    """Reads what is complete after some polls."""

    def read(camera: FolderCamera, seconds: float = 2.5) -> list[Frame]:
        frames = []
        end = clock.now + seconds
        while clock.now < end:
            clock.now += 0.5
            frame = camera.read(0)
            while frame is not None:
                frames.append(frame)
                frame = camera.read(0)
        return frames

    return read


def write_stack(path: Path, pages: int) -> None:
    """Write a plain TIFF file whose pages are told by their first pixels."""
    frames = np.arange(40 * 50, dtype=np.uint16).reshape(40, 50) + np.zeros((pages, 1, 1), np.uint16)
    frames[:, 0, 0] = np.arange(pages)
    with tifffile.TiffWriter(path) as file:
        for frame in frames:
            file.write(frame, photometric="minisblack", contiguous=False, metadata=None)
    os.utime(path, (1, 1))


def first_pixels(frames: list[Frame]) -> list[int]:
    return [int(frame.array[0, 0]) for frame in frames]


def test_the_folder_gives_the_frames_and_names_that_segment_gives(
    tmp_path: Path, watch: Open, read_all: Callable[..., list[Frame]], put_image: Callable[..., Path]
) -> None:
    put_image(tmp_path / "in/day 1/a.png", 5)
    put_image(tmp_path / "in/b.png", 6)
    write_stack(tmp_path / "in/stack.tif", 3)
    camera = watch()
    got = {frame.metadata["id"]: frame.array for frame in read_all(camera)}
    expected = {}
    for file in find_images([tmp_path / "in"]).files:
        for source in frames_of(file).sources:
            with open_pages(file.path) as pages:
                expected[source.id] = pages.read(source.plane)
    assert got.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(got[name], array)
        assert got[name].dtype == array.dtype
    assert camera.counts.totals() == (5, {})


def test_a_slow_writer_is_waited_for(
    tmp_path: Path, watch: Open, read_all: Callable[..., list[Frame]], put_image: Callable[..., Path]
) -> None:
    content = put_image(tmp_path / "whole.png", 9).read_bytes()
    camera = watch()
    third = len(content) // 3
    with (tmp_path / "in/slow.png").open("wb") as file:
        for part in (content[:third], content[third : 2 * third], content[2 * third :]):
            # Each pause is longer than a file has to rest, and shorter than a broken one is waited for.
            assert read_all(camera, seconds=5) == []
            file.write(part)
            file.flush()
    assert first_pixels(read_all(camera)) == [9]
    assert camera.counts.totals() == (1, {})
    assert camera.counts.take_refusals() == []


def test_a_broken_file_is_put_aside_with_the_reason(
    tmp_path: Path, watch: Open, read_all: Callable[..., list[Frame]], put_image: Callable[..., Path]
) -> None:
    broken = put_image(tmp_path / "in/day 1/broken.png")
    broken.write_bytes(broken.read_bytes()[:80])
    put_image(tmp_path / "in/sound.png", 3)
    camera = watch()
    assert first_pixels(read_all(camera, seconds=8)) == [3]
    assert broken.exists(), "it may be written to still"
    assert read_all(camera, seconds=8) == []
    aside = tmp_path / "in/quarantine/day 1/broken.png"
    reason = aside.with_name("broken.png.reason.txt").read_text()
    assert reason == f"{broken} is cut off after 80 bytes; copy or save the image again\n"
    assert not broken.exists()
    assert aside.stat().st_size == 80
    assert camera.counts.totals() == (2, {"unreadable": 1})
    (refusal,) = camera.counts.take_refusals()
    assert refusal.reason == reason.strip()
    assert refusal.file is not None
    assert (refusal.file.path, refusal.file.size, refusal.file.pages) == (str(broken), 80, 1)
    assert read_all(camera, seconds=8) == []


def test_a_file_that_cannot_be_put_aside_is_refused_once(
    tmp_path: Path, watch: Open, read_all: Callable[..., list[Frame]]
) -> None:
    (tmp_path / "in/notes.png").write_bytes(b"no picture at all")
    (tmp_path / "file").touch()
    settings = {"patience": 0, "quarantine": tmp_path / "file/aside"}
    camera = watch(**settings)
    assert read_all(camera, seconds=8) == []
    assert camera.counts.totals() == (1, {"unreadable": 1})
    whole, unmoved = camera.counts.take_refusals()
    assert "cannot be moved" in unmoved.reason
    assert whole.file is not None
    assert whole.file.pages == 0
    again = watch(whole.file, **settings)
    assert read_all(again, seconds=8) == []
    assert again.counts.totals() == (0, {})


def test_sound_pages_of_a_damaged_file_are_handed_out(
    tmp_path: Path, watch: Open, read_all: Callable[..., list[Frame]]
) -> None:
    path = tmp_path / "in/stack.tif"
    tiles = [np.full((64, 64), value, np.uint8) for value in range(4)]
    with tifffile.TiffWriter(path) as file:
        for tile in tiles:
            file.write(tile, compression="zlib", photometric="minisblack", contiguous=False, metadata=None)
    with tifffile.TiffFile(path) as file:
        offset = file.pages[2].dataoffsets[0]
    content = bytearray(path.read_bytes())
    content[offset : offset + 4] = b"\xff\xff\xff\xff"
    path.write_bytes(content)
    camera = watch(patience=0)
    frames = read_all(camera)
    assert first_pixels(frames) == [0, 1, 3]
    assert [frame.file and frame.file[3:] for frame in frames] == [(0, 4), (1, 4), (3, 4)]
    assert camera.counts.totals() == (4, {"unreadable": 1})
    assert (tmp_path / "in/quarantine/stack.tif").exists()


def test_what_was_seen_is_not_handed_out_again(
    tmp_path: Path, watch: Open, read_all: Callable[..., list[Frame]], put_image: Callable[..., Path]
) -> None:
    for number in range(4):
        put_image(tmp_path / f"in/{number}.png", number, age=-number)
    write_stack(tmp_path / "in/stack.tif", 3)
    before = read_all(watch())
    files = [frame.file for frame in before if frame.file is not None]
    assert len({*files}) == 7
    assert read_all(watch(*files)) == []
    assert [frame.file for frame in read_all(watch(*files[::2]))] == files[1::2]


def test_a_file_that_is_written_anew_is_handed_out_again(
    tmp_path: Path, watch: Open, read_all: Callable[..., list[Frame]], put_image: Callable[..., Path]
) -> None:
    put_image(tmp_path / "in/a.png", 1, age=2)
    camera = watch()
    assert first_pixels(read_all(camera)) == [1]
    put_image(tmp_path / "in/a.png", 2, age=1)
    assert first_pixels(read_all(camera)) == [2]


def test_frames_are_numbered_and_timed_by_their_files(
    tmp_path: Path, watch: Open, read_all: Callable[..., list[Frame]], put_image: Callable[..., Path]
) -> None:
    paths = [put_image(tmp_path / f"in/{name}.png", age=age) for name, age in (("z", 30), ("a", 20), ("m", 10))]
    frames = read_all(watch())
    assert [frame.sequence for frame in frames] == [0, 1, 2]
    assert [frame.metadata["id"] for frame in frames] == ["z", "a", "m"]
    assert [frame.device_time for frame in frames] == [path.stat().st_mtime for path in paths]


def test_a_file_that_goes_before_it_is_read_is_no_frame(
    tmp_path: Path, watch: Open, read_all: Callable[..., list[Frame]], put_image: Callable[..., Path]
) -> None:
    for number in range(3):
        put_image(tmp_path / f"in/{number}.png", number, age=-number)
    camera = watch()
    assert camera.read(10) is not None
    (tmp_path / "in/1.png").unlink()
    assert first_pixels(read_all(camera)) == [2]
    assert camera.counts.totals() == (2, {})


def test_a_rename_wakes_whoever_waits(tmp_path: Path, watch: Open, put_image: Callable[..., Path]) -> None:
    pytest.importorskip("watchdog")
    camera = watch(poll=86400)
    assert camera.read(0) is None
    assert "inotify" in camera.facts.details["watched"]
    got: list[Frame | None] = []
    reader = threading.Thread(target=lambda: got.append(camera.read(120)))
    reader.start()
    put_image(tmp_path / "in/.part", 8).rename(tmp_path / "in/a.png")
    reader.join()
    assert got[0] is not None
    assert got[0].array[0, 0] == 8


def test_a_file_that_comes_from_elsewhere_by_rename_needs_no_rest(
    tmp_path: Path, watch: Open, put_image: Callable[..., Path]
) -> None:
    pytest.importorskip("watchdog")
    camera = watch(poll=86400, settle=86400)
    assert camera.read(0) is None
    part = put_image(tmp_path / "elsewhere.png", 4)
    part.write_bytes(part.read_bytes())
    part.rename(tmp_path / "in/a.png")
    frame = camera.read(120)
    assert frame is not None
    assert frame.array[0, 0] == 4


def test_without_watchdog_the_folder_is_looked_at(
    tmp_path: Path,
    watch: Open,
    read_all: Callable[..., list[Frame]],
    put_image: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "watchdog.events", None)
    camera = watch()
    assert camera.facts.details["watched"] == "every 1 s"
    assert "pip install 'unetplus-edge[serve]'" in camera.facts.details["inotify"]
    put_image(tmp_path / "in/a.png", 4)
    assert first_pixels(read_all(camera)) == [4]


def test_a_folder_that_is_not_there_is_an_error(watch: Open, tmp_path: Path) -> None:
    with pytest.raises(CameraError, match=r"away cannot be watched \(No such file or directory\)"):
        watch(path=tmp_path / "away")


def test_broken_files_do_not_go_where_images_are_looked_for(watch: Open, tmp_path: Path) -> None:
    for quarantine in (".", "..", tmp_path):
        with pytest.raises(CameraError, match="cannot be the folder of broken files"):
            watch(quarantine=quarantine)


def test_a_name_that_is_no_unicode_is_handed_out(
    tmp_path: Path, watch: Open, read_all: Callable[..., list[Frame]], put_image: Callable[..., Path]
) -> None:
    odd = os.fsdecode(b"caf\xe9.png")
    put_image(tmp_path / "in" / odd, 2)
    (frame,) = read_all(watch())
    assert frame.file is not None
    assert read_all(watch(frame.file)) == []
