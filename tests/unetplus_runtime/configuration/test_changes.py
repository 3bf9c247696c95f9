from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from typing import Any

import pytest

from unetplus_runtime.configuration import ServeSettings, live_changes, settings_hash
from unetplus_runtime.configuration.changes import leaves, public_json

FOLDER = {"camera": "folder", "path": "/images"}


def serve(camera: dict[str, Any] | None = None, **sections: Any) -> ServeSettings:
    return ServeSettings.model_validate({"data_dir": "/data", "camera": camera or FOLDER, **sections})


def test_the_hash_is_that_of_the_canonical_json() -> None:
    canonical = json.dumps(serve().model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
    assert settings_hash(serve()) == hashlib.sha256(canonical.encode()).hexdigest()
    assert public_json(serve()) == canonical


def test_the_hash_is_the_same_in_another_process() -> None:
    code = (
        "from unetplus_runtime.configuration import *;"
        "print(settings_hash(ServeSettings(data_dir='/data', camera={'camera': 'folder', 'path': '/images'})))"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == settings_hash(serve())


@pytest.mark.parametrize(
    "other",
    [
        serve({**FOLDER, "settle": 3}),
        serve(model={"threads": 1}),
        serve(model={"grid": "halo"}),
        serve(record={"labels": True}),
        serve(pixel_size=0.5),
    ],
)
def test_other_settings_have_another_hash(other: ServeSettings) -> None:
    assert settings_hash(other) != settings_hash(serve())


def test_a_password_changes_the_hash_and_is_not_shown() -> None:
    one = serve({"camera": "opencv", "source": "rtsp://ada:secret@host/live"})
    other = serve({"camera": "opencv", "source": "rtsp://ada:changed@host/live"})
    assert settings_hash(one) != settings_hash(other)
    assert public_json(one) == public_json(other)
    assert "secret" not in public_json(one)


def test_what_can_be_taken_over_is_told_from_what_needs_a_restart() -> None:
    new = serve(
        {**FOLDER, "settle": 3},
        pixel_size=0.5,
        model={"threads": 1},
        durability={"interval": 0.1},
        record={"frames": True},
        retention={"max_age": 3},
        restarts={"first": 1},
        stopping={"deadline": 3},
        log={"level": "debug"},
    )
    live, restart = live_changes(serve(), new)
    assert live == [
        "pixel_size",
        "durability.interval",
        "record.frames",
        "retention.max_age",
        "stopping.deadline",
        "log.level",
    ]
    assert restart == ["camera.settle", "model.threads", "restarts.first"]
    assert live_changes(new, new) == ([], [])


def test_another_camera_differs_in_all_that_only_one_of_them_has() -> None:
    live, restart = live_changes(serve(), serve({"camera": "opencv", "source": 0}))
    assert live == []
    assert {"camera.camera", "camera.path", "camera.source"} <= set(restart)
    assert "camera.channel" not in restart  # both have one, and the same


def test_a_password_that_changes_is_a_change() -> None:
    one = serve({"camera": "opencv", "source": "rtsp://ada:secret@host/live"})
    other = serve({"camera": "opencv", "source": "rtsp://ada:changed@host/live"})
    assert live_changes(one, other) == ([], ["camera.source"])


def test_faults_are_one_field() -> None:
    camera = {"camera": "simulated", "faults": [{"kind": "crash"}]}
    assert [name for name in leaves(serve(camera)) if "faults" in name] == ["camera.faults"]
