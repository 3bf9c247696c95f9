from __future__ import annotations

import random
from typing import TYPE_CHECKING

from unetplus_bench.endurance import server
from unetplus_bench.endurance.parts import PARTS
from unetplus_bench.endurance.stage import Model, Stage

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def _planned(folder: Path, monkeypatch: pytest.MonkeyPatch, lacks: str) -> tuple[dict[str, int], Stage]:
    """Return how often which server would be killed in the full form, without killing any."""
    planned: dict[str, int] = {}
    stage = Stage(folder, Model(folder), PARTS["server"].full, random.Random(1), 64)  # noqa: S311 - no secret
    monkeypatch.setattr(server, "rtsp_lacks", lambda: lacks)
    monkeypatch.setattr(server, "mjpeg_camera", lambda _: "MJPEG")
    monkeypatch.setattr(server, "rtsp_camera", lambda _: "RTSP")
    monkeypatch.setattr(server, "kill_server", lambda _, camera, times: planned.update({camera: times}))
    server.server(stage)
    return planned, stage


def test_servers_of_both_kinds_are_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    planned, stage = _planned(tmp_path, monkeypatch, lacks="")
    assert planned["MJPEG"] >= 20
    assert planned["RTSP"] >= 10
    assert sum(planned.values()) == stage.count


def test_without_gstreamer_the_result_says_that_there_was_no_rtsp(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned, stage = _planned(tmp_path, monkeypatch, lacks="GStreamer has no appsrc")
    assert planned == {"MJPEG": stage.count}
    assert stage.proof.figures == {"kills of the RTSP server": "not run: GStreamer has no appsrc"}
