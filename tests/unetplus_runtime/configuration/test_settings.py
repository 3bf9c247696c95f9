from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from unetplus_runtime.cameras import SimulatedSettings
from unetplus_runtime.configuration import ServeSettings
from unetplus_runtime.configuration.settings import default_data_dir

CAMERA = {"camera": "simulated"}


def test_only_the_camera_has_to_be_given() -> None:
    assert ServeSettings(camera=CAMERA).camera == SimulatedSettings()
    with pytest.raises(ValidationError, match="camera"):
        ServeSettings.model_validate({})


@pytest.mark.parametrize(
    "wrong",
    [
        {"durability": {"interval": 0}},
        {"durability": {"interval": 0.21}},
        {"durability": {"interval": float("nan")}},
        {"retention": {"max_age": 0}},
        {"retention": {"max_age": float("inf")}},
        {"retention": {"max_size": -1}},
        {"retention": {"max_size": "-1 GiB"}},
        {"retention": {"max_size": 1.5}},
        {"retention": {"min_free": -1}},
        {"stopping": {"deadline": 0}},
        {"pixel_size": 0},
        {"model": {"engine": "theano"}},
        {"model": {"execution": "fp64"}},
        {"model": {"grid": "round"}},
        {"model": {"threads": 0}},
        {"model": {"bundle": ""}},
        {"log": {"level": "loud"}},
        {"restarts": {"storm": 0}},
        {"nothing": 1},
    ],
    ids=str,
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        ServeSettings.model_validate({"camera": CAMERA, **wrong})


def test_sizes_may_be_written_with_their_unit() -> None:
    settings = ServeSettings.model_validate({"camera": CAMERA, "retention": {"max_size": "3 GiB", "min_free": 5}})
    assert (settings.retention.max_size, settings.retention.min_free) == (3 * 1024**3, 5)


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"XDG_STATE_HOME": "/state", "HOME": "/home/ada"}, "/state/unetplus-edge"),
        ({"XDG_STATE_HOME": "", "HOME": "/home/ada"}, "/home/ada/.local/state/unetplus-edge"),
        ({"XDG_STATE_HOME": "state", "HOME": "/home/ada"}, "/home/ada/.local/state/unetplus-edge"),
    ],
)
def test_results_go_to_the_user_s_state_folder(environ: dict[str, str], expected: str) -> None:
    assert default_data_dir(environ) == Path(expected)
