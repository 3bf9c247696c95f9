from __future__ import annotations

import importlib.util
import json
from typing import TYPE_CHECKING

from click.testing import CliRunner

from unetplus_runtime.cameras import CAMERAS
from unetplus_runtime.cameras.listing import Listed, list_cameras
from unetplus_runtime.command import main

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def put_device(root: Path, number: int, name: str, part: int = 0) -> None:
    (root / "dev").mkdir(exist_ok=True)
    (root / f"dev/video{number}").touch()
    (root / f"sys/video{number}").mkdir(parents=True)
    (root / f"sys/video{number}/name").write_text(f"{name}\n")
    (root / f"sys/video{number}/index").write_text(f"{part}\n")


def uvc(root: Path) -> list[Listed]:
    listed = list_cameras(root / "dev", root / "sys")
    return [each for each in listed if each.camera == "opencv" and each.source not in ("FILE", "URL")]


def test_every_camera_is_listed() -> None:
    assert {each.camera for each in list_cameras()} == set(CAMERAS)


def test_what_needs_no_device_is_there() -> None:
    there = {(each.camera, each.source) for each in list_cameras() if each.available}
    assert there >= {("simulated", ""), ("folder", "PATH"), ("opencv", "FILE"), ("opencv", "URL")}


def test_devices_are_listed_by_number_with_their_names(tmp_path: Path) -> None:
    for number, name in ((10, "Ten"), (2, "Two")):
        put_device(tmp_path, number, name)
    put_device(tmp_path, 3, "Two", part=1)
    assert [(each.source, each.description, each.available) for each in uvc(tmp_path)] == [
        ("2", "Two", True),
        ("3", "Two", False),
        ("10", "Ten", True),
    ]


def test_without_a_device_it_says_what_is_needed(tmp_path: Path) -> None:
    (each,) = uvc(tmp_path)
    assert not each.available
    assert each.needs == f"plug one in; {tmp_path}/dev has no video device"


def test_a_device_of_others_names_the_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_device(tmp_path, 0, "Camera")
    monkeypatch.setattr("os.access", lambda path, mode: False)
    (each,) = uvc(tmp_path)
    assert not each.available
    assert "usermod -aG video" in each.needs


def test_without_watchdog_the_folder_says_what_it_would_gain(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        "unetplus_runtime.cameras.listing.find_spec", lambda name: None if name == "watchdog" else find(name)
    )
    (each,) = [each for each in list_cameras() if each.camera == "folder"]
    assert each.available
    assert each.needs == "to see new files at once: pip install 'unetplus-edge[serve]'"


def test_the_command_prints_a_table_and_json() -> None:
    table = CliRunner().invoke(main, ["cameras"])
    assert table.exit_code == 0, table.output
    assert "simulated" in table.stdout
    listed = json.loads(CliRunner().invoke(main, ["cameras", "--json"]).stdout)
    assert {each["camera"] for each in listed} == set(CAMERAS)
    assert set(listed[0]) == {"camera", "source", "description", "available", "needs"}
