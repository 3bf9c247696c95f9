from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from unetplus_runtime.configuration import load
from unetplus_runtime.configuration.changes import leaves
from unetplus_runtime.configuration.show import as_rows, as_toml

if TYPE_CHECKING:
    from .conftest import Write

HOME = {"HOME": "/home/ada"}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"camera": "simulated", "camera.rate": "none", "camera.faults": '[{kind = "skip", frames = 2, lives = [0]}]'},
        {"camera": 'folder:/a "b"\\c\nd', "camera.channel": "2", "record.nuclei": "no"},
        {"camera": "opencv:http://host/video.mjpg", "camera.channel": "blue", "pixel_size": "0.325"},
        {"camera": "1", "retention.max_size": "1 TiB", "model.threads": "2", "restarts.storm": "9"},
    ],
    ids=["default", "simulated", "folder", "stream", "index"],
)
def test_what_is_shown_is_a_file_of_the_same_settings(write: Write, options: dict[str, Any]) -> None:
    shown = load(None, options, HOME)
    assert load(write(as_toml(shown)), {}, {}).settings == shown.settings


@pytest.mark.parametrize("camera", ["simulated", "folder:/images", "0"])
def test_every_field_is_shown_once_with_its_kind_and_origin(camera: str) -> None:
    loaded = load(None, {"camera": camera, "pixel_size": "1"}, HOME)
    rows = as_rows(loaded)
    assert {row["field"]: row["value"] for row in rows} == leaves(loaded.settings)
    assert {row["field"]: row["origin"] for row in rows} == loaded.origin
    text = as_toml(loaded)
    names = re.findall(r"^(\w+) = ", text, re.MULTILINE)
    assert names == [row["field"].rpartition(".")[2] for row in rows]
    assert "# Set by option --set pixel_size.\npixel_size = 1.0\n" in text


def test_the_other_cameras_are_shown_as_comments() -> None:
    text = as_toml(load(None, {"camera": "0"}, HOME))
    assert re.findall(r'^(#? ?camera = "\w+")', text, re.MULTILINE) == [
        'camera = "opencv"',
        '# camera = "simulated"',
        '# camera = "folder"',
    ]


def test_simulated_settings_say_so() -> None:
    assert "SIMULATED" in as_toml(load(None, {}, HOME))
    assert "SIMULATED" not in as_toml(load(None, {"camera": "0"}, HOME))


def test_secrets_are_not_shown() -> None:
    loaded = load(None, {"camera": "rtsp://ada:secret@host/live?key=secret"}, HOME)
    text = as_toml(loaded)
    assert "secret" not in text + str(as_rows(loaded))
    assert 'it in full.\nsource = "rtsp://***@host/live?***"\n' in text
