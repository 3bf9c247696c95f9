from __future__ import annotations

from pathlib import Path

import pytest

from unetplus_bench.endurance import camera_server, rtsp

ROOT = Path(__file__).parents[3]

_INSTALL = ": apt-get install python3-gi gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-base gstreamer1.0-plugins-good"


def test_where_gstreamer_has_no_plugins_it_is_said_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GST_PLUGIN_SYSTEM_PATH_1_0", str(tmp_path))
    monkeypatch.setenv("GST_REGISTRY_1_0", str(tmp_path / "registry"))
    lacks = camera_server.rtsp_lacks()
    assert lacks.endswith(_INSTALL)
    assert len(lacks) > len(_INSTALL)


def test_where_there_is_no_python_of_the_system_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(camera_server, "_RTSP", ("/nowhere/python3", "-I", "rtsp.py"))
    assert camera_server.rtsp_lacks() == f"there is no /nowhere/python3{_INSTALL}"


def test_a_check_that_fails_is_not_taken_for_gstreamer_that_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = tmp_path / "python3"
    python.write_text("#!/bin/sh\necho out of memory >&2\nexit 1\n")
    python.chmod(0o755)
    monkeypatch.setattr(camera_server, "_RTSP", (str(python),))
    with pytest.raises(camera_server.GivenUpError, match="out of memory"):
        camera_server.rtsp_lacks()


def test_what_gi_does_not_have_is_lacking(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent() -> None:
        raise ValueError("Namespace GstRtspServer not available")

    monkeypatch.setattr(rtsp, "bindings", absent)
    assert rtsp.lacking() == "Namespace GstRtspServer not available"


@pytest.mark.parametrize("name", [".ci/run", "CONTRIBUTING.md"])
def test_what_is_to_be_installed_is_what_is_needed(name: str) -> None:
    assert " ".join(rtsp.PACKAGES) in (ROOT / name).read_text()
