from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from unetplus_edge.errors import ConfigurationError
from unetplus_runtime.cameras import SimulatedSettings
from unetplus_runtime.configuration import Loaded, load
from unetplus_runtime.configuration.options import options_of, settings_options


def loaded(*words: str) -> Loaded:
    """Return the settings of a command line."""
    found: list[Loaded] = []

    @click.command()
    @settings_options
    def command(config: Path | None, **typed: Any) -> None:
        found.append(load(config, options_of(**typed), {"HOME": "/home/ada"}))

    result = CliRunner().invoke(command, words, catch_exceptions=False, standalone_mode=False)
    assert result.exit_code == 0
    return found[0]


@pytest.mark.parametrize(
    ("words", "field", "value"),
    [
        (["--bundle", "unet_plus_tc_b8"], "model.bundle", "unet_plus_tc_b8"),
        (["--engine", "litert"], "model.engine", "litert"),
        (["--execution", "fp32"], "model.execution", "fp32"),
        (["--grid", "halo"], "model.grid", "halo"),
        (["--threads", "2"], "model.threads", 2),
        (["--pixel-size", "0.5"], "pixel_size", 0.5),
        (["--data-dir", "/data"], "data_dir", Path("/data")),
        (["--log-json"], "log.json_lines", True),
    ],
)
def test_each_option_sets_its_field(words: list[str], field: str, value: object) -> None:
    settings, origin, _ = loaded(*words)
    found: Any = settings
    for name in field.split("."):
        found = getattr(found, name)
    assert found == value
    assert {name: where for name, where in origin.items() if where != "default"} == {field: f"option {words[0]}"}


def test_any_field_can_be_set() -> None:
    settings, origin, _ = loaded("--camera", "simulated", "--set", "camera.rate=10", "--set", "stopping.deadline = 3")
    assert (settings.camera, settings.stopping.deadline) == (SimulatedSettings(rate=10), 3)
    assert origin["stopping.deadline"] == "option --set stopping.deadline"


def test_what_is_not_typed_is_as_by_default() -> None:
    assert loaded() == load(None, {}, {"HOME": "/home/ada"})


@pytest.mark.parametrize("assignment", ["camera.rate", "=3", "", "camera rate=3", "rtsp://ada:secret@host/?a=b"])
def test_what_sets_nothing_is_refused_and_not_repeated(assignment: str) -> None:
    with pytest.raises(ConfigurationError, match="--set: what was given is no FIELD=VALUE") as caught:
        options_of(assignments=[assignment])
    assert "secret" not in str(caught.value)


def test_a_field_that_is_set_twice_is_refused() -> None:
    with pytest.raises(ConfigurationError) as caught:
        options_of(assignments=["camera.rate=1", "camera.rate=2", "model.bundle=a"], bundle="b")
    assert caught.value.problems == (
        "--set camera.rate: is set by --set camera.rate as well; leave one of them out",
        "--set model.bundle: is set by --bundle as well; leave one of them out",
    )
