from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from unetplus_runtime.configuration.camera_text import camera_from_text

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("simulated", {"camera": "simulated"}),
        ("folder:/a:b", {"camera": "folder", "path": "/a:b"}),
        ("opencv:2", {"camera": "opencv", "source": "2"}),
        ("opencv:film.avi", {"camera": "opencv", "source": "film.avi"}),
        ("2", {"camera": "opencv", "source": "2"}),
        ("/dev/video1", {"camera": "opencv", "source": "/dev/video1"}),
        ("rtsp://u:p@host/x", {"camera": "opencv", "source": "rtsp://u:p@host/x"}),
        ("opencv:http://host/x", {"camera": "opencv", "source": "http://host/x"}),
    ],
)
def test_a_camera_has_a_short_name(text: str, expected: dict[str, str]) -> None:
    assert camera_from_text(text) == expected


def test_a_folder_that_exists_is_watched(folder: Path) -> None:
    assert camera_from_text(str(folder)) == {"camera": "folder", "path": str(folder)}


@pytest.mark.parametrize("text", ["", "webcam", "film.avi", "folder:", "simulated:3", "gige:1"])
def test_anything_else_is_refused(folder: Path, text: str) -> None:
    with pytest.raises(ValueError, match="write simulated, folder:PATH, or opencv:SOURCE"):
        camera_from_text(text)
