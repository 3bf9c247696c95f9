from __future__ import annotations

import pytest
from pydantic import TypeAdapter, ValidationError

from unetplus_runtime.cameras import CAMERAS, CameraSettings, FolderSettings, OpenCVSettings, SimulatedSettings

ADAPTER: TypeAdapter[CameraSettings] = TypeAdapter(CameraSettings)


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ({"camera": "simulated"}, SimulatedSettings),
        ({"camera": "folder", "path": "in"}, FolderSettings),
        ({"camera": "opencv", "source": 0}, OpenCVSettings),
    ],
)
def test_settings_are_told_apart_by_their_camera(given: dict[str, object], kind: type) -> None:
    settings = ADAPTER.validate_python(given)
    assert type(settings) is kind
    assert ADAPTER.validate_python(settings.model_dump(mode="json")) == settings


def test_every_camera_has_settings() -> None:
    kinds = (SimulatedSettings, FolderSettings, OpenCVSettings)
    assert {kind.model_fields["camera"].default for kind in kinds} == set(CAMERAS)


@pytest.mark.parametrize(
    "given",
    [
        {"camera": "webcam"},
        {"camera": "folder"},
        {"camera": "folder", "path": "in", "colour": "red"},
        {"camera": "simulated", "rate": 0},
        {"camera": "simulated", "bit_depth": 10},
        {"camera": "opencv", "source": -1},
    ],
)
def test_settings_that_make_no_sense_are_refused(given: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        ADAPTER.validate_python(given)


def test_an_index_may_be_text() -> None:
    assert OpenCVSettings(source="2").source == 2
    assert OpenCVSettings(source="2.avi").source == "2.avi"
