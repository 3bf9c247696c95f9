from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest

from unetplus_edge.errors import CameraError
from unetplus_runtime.cameras import OpenCVSettings, open_camera

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from unetplus_runtime.cameras import Camera, Frame


def write_video(path: Path, pictures: list[NDArray[Any]], codec: str = "FFV1") -> Path:
    """Write a film of 10 pictures a second; FFV1 loses nothing."""
    first = pictures[0]
    properties = [cv2.VIDEOWRITER_PROP_IS_COLOR, int(first.ndim == 3)]
    properties += [cv2.VIDEOWRITER_PROP_DEPTH, cv2.CV_16U if first.dtype == np.uint16 else cv2.CV_8U]
    size = (first.shape[1], first.shape[0])
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*codec), 10.0, size, properties)
    assert writer.isOpened()
    for picture in pictures:
        writer.write(picture)
    writer.release()
    return path


def grey(count: int = 7) -> list[NDArray[np.uint8]]:
    rng = np.random.default_rng(1)
    return list(rng.integers(0, 256, (count, 48, 64), dtype=np.uint8))


def opened(source: Path | str, **settings: object) -> Camera:
    return open_camera(OpenCVSettings.model_validate({"source": str(source), **settings}))


def read_all(camera: Camera) -> list[Frame]:
    frames = []
    while not camera.ended:
        frame = camera.read(10)
        if frame is not None:
            frames.append(frame)
    camera.close()
    return frames


def test_every_picture_of_a_film_is_read_and_then_it_ends(tmp_path: Path) -> None:
    pictures = grey()
    camera = opened(write_video(tmp_path / "film.mkv", pictures))
    assert camera.facts.lossless
    frames = read_all(camera)
    assert len(frames) == len(pictures)
    for number, (frame, picture) in enumerate(zip(frames, pictures, strict=True)):
        np.testing.assert_array_equal(frame.array, picture)
        assert frame.sequence == number
        assert frame.device_time == pytest.approx(number / 10)
        assert frame.metadata == {"codec": "ffv1", "lossy": False}
    assert camera.counts.totals() == (7, {})
    assert camera.counts.take_refusals() == []


def test_a_film_that_was_compressed_with_loss_says_so(tmp_path: Path) -> None:
    frames = read_all(opened(write_video(tmp_path / "film.avi", grey(2), "MJPG")))
    assert [frame.metadata for frame in frames] == [{"codec": "mjpg", "lossy": True}] * 2


def test_16_bits_are_refused_instead_of_cut_to_8(tmp_path: Path) -> None:
    deep = [np.full((48, 64), 1000 * number, np.uint16) for number in range(3)]
    path = write_video(tmp_path / "deep.mkv", deep)
    with pytest.raises(CameraError) as caught:
        opened(path)
    assert str(caught.value) == (
        f"{path} has 16-bit pixels, of which OpenCV would keep 8; record it as TIFF files and watch their folder, or "
        "use the camera's own driver"
    )


def test_a_film_in_colour_needs_a_channel(tmp_path: Path) -> None:
    picture = np.zeros((48, 64, 3), np.uint8)
    picture[...] = (200, 30, 60)
    path = write_video(tmp_path / "colour.mkv", [picture] * 2)
    with pytest.raises(CameraError, match="is in colour; name the channel"):
        opened(path)
    assert [int(frame.array.min()) for frame in read_all(opened(path, channel="blue"))] == [200, 200]


def test_a_film_that_is_cut_off_gives_what_it_has(tmp_path: Path) -> None:
    path = write_video(tmp_path / "film.avi", grey(30), "MJPG")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    camera = opened(path)
    frames = read_all(camera)
    assert 0 < len(frames) < 30
    assert camera.counts.totals().captured == len(frames)
    (refusal,) = camera.counts.take_refusals()
    assert refusal.reason == f"{path} says that it has 30 pictures, and ends after {len(frames)}; copy it again"


@pytest.mark.parametrize("content", [None, b"", b"no film at all"])
def test_what_is_no_film_is_an_error(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "film.mkv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CameraError, match=r"film\.mkv"):
        opened(path)


def test_a_stream_gives_its_newest_picture(mjpeg_server: Any, wait: Callable[..., None]) -> None:
    camera = opened(mjpeg_server.url)
    assert not camera.facts.lossless
    first = camera.read(60)
    assert first is not None
    assert first.array.shape == (48, 64)
    assert first.metadata == {"codec": "mjpg", "lossy": True}
    mjpeg_server.brightness = 180
    # Nobody reads for a while: what waits then is not from before.
    brightness = 0.0
    while brightness < 170:
        seen = camera.counts.totals().captured
        wait(lambda seen=seen: camera.counts.totals().captured > seen + 5)
        frame = camera.read(60)
        assert frame is not None
        brightness = float(frame.array[:, 20:].mean())
    assert frame.sequence > first.sequence + 5
    captured, dropped = camera.counts.totals()
    assert dropped.keys() == {"newest_only"}
    assert captured > frame.sequence
    camera.close()


def test_a_stream_that_breaks_off_is_an_error(mjpeg_server: Any) -> None:
    camera = opened(mjpeg_server.url)
    assert camera.read(60) is not None
    mjpeg_server.stop()

    def read_on() -> None:
        while camera.read(60) is not None:
            pass

    with pytest.raises(CameraError, match="sends no more pictures"):
        read_on()
    camera.close()
    mjpeg_server.start()


def test_a_stream_that_falls_silent_is_an_error_after_the_read_timeout(mjpeg_server: Any) -> None:
    camera = opened(mjpeg_server.url, read_timeout=0.5)
    assert camera.read(60) is not None
    mjpeg_server.is_stalled = True

    def read_on() -> None:
        while camera.read(60) is not None:
            pass

    with pytest.raises(CameraError, match="sends no more pictures"):
        read_on()
    camera.close()


def test_a_stream_that_is_not_there_is_an_error_without_its_password(mjpeg_server: Any) -> None:
    url = mjpeg_server.url.replace("http://", "http://lab:secret@")
    mjpeg_server.stop()
    with pytest.raises(CameraError) as caught:
        opened(url)
    assert "cannot be opened; check that it runs" in str(caught.value)
    assert "secret" not in str(caught.value)
    mjpeg_server.start()


def test_a_uvc_camera_that_is_not_there_is_an_error() -> None:
    with pytest.raises(CameraError, match="UVC camera 93 cannot be opened; plug it in"):
        opened("93")
