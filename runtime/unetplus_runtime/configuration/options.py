"""Settings as options of a command."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_args

import click

from unetplus_edge.errors import ConfigurationError
from unetplus_edge.manifest import EngineName, Precision
from unetplus_runtime.configuration.sources import Typed
from unetplus_runtime.pipeline import GRIDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    F = TypeVar("F", bound=Callable[..., Any])

_FIELDS = {
    "camera": ("camera", "--camera"),
    "bundle": ("model.bundle", "--bundle"),
    "engine": ("model.engine", "--engine"),
    "execution": ("model.execution", "--execution"),
    "grid": ("model.grid", "--grid"),
    "threads": ("model.threads", "--threads"),
    "pixel_size": ("pixel_size", "--pixel-size"),
    "data_dir": ("data_dir", "--data-dir"),
    "log_json": ("log.json_lines", "--log-json"),
}

_OPTIONS = (
    click.option("--config", type=click.Path(path_type=Path), help="Configuration file (TOML)."),
    click.option(
        "--camera", metavar="CAMERA", help="simulated, folder:PATH, or opencv:SOURCE (an index, a URL, a video file)."
    ),
    click.option("--bundle", help="The model: a folder, or a name in the zoo."),
    click.option("--engine", type=click.Choice(["auto", *get_args(EngineName)]), help="What runs it."),
    click.option("--execution", type=click.Choice(get_args(Precision)), help="Precision to compute in."),
    click.option("--grid", type=click.Choice(GRIDS), help="How frames are cut into patches."),
    click.option("--threads", metavar="N", help="Threads of all stages together."),
    click.option("--pixel-size", metavar="MICROMETRES", help="Side of a pixel."),
    click.option("--data-dir", metavar="FOLDER", help="Folder of the results."),
    click.option("--log-json", is_flag=True, default=None, help="Log in lines of JSON."),
    click.option(
        "--set", "assignments", metavar="FIELD=VALUE", multiple=True, help="Any other field, such as camera.rate=10."
    ),
)


def settings_options(command: F) -> F:
    """Add the options of the settings to a command, which gets their values for `options_of`."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def options_of(*, assignments: Iterable[str] = (), config: Path | None = None, **values: Any) -> Mapping[str, Any]:
    """Return for `load` what was typed.

    Parameters
    ----------
    assignments
        As of `--set`: `field=value`.
    config
        Passed over: `load` takes it by itself.
    **values
        Of the other options by their parameters; None for those that were not typed.

    Raises
    ------
    ConfigurationError
        If an assignment is none, or its field is set twice.

    Examples
    --------
    >>> options = options_of(camera="0", bundle=None, assignments=["camera.rate=10"])
    >>> {field: typed.value for field, typed in options.items()}
    {'camera': '0', 'camera.rate': '10'}
    """
    options = {
        field: Typed(flag, values[name]) for name, (field, flag) in _FIELDS.items() if values.get(name) is not None
    }
    problems = []
    for assignment in assignments:
        field, equals, value = assignment.partition("=")
        field = field.strip()
        flag = f"--set {field}"
        if not (equals and re.fullmatch(r"[\w-]+(\.[\w-]+)*", field)):
            # What was typed is not repeated: it may be a URL with a password.
            problems.append("--set: what was given is no FIELD=VALUE; write it such as camera.rate=10")
        elif field in options:
            problems.append(f"{flag}: is set by {options[field].flag} as well; leave one of them out")
        else:
            options[field] = Typed(flag, value)
    if problems:
        raise ConfigurationError(*problems)
    return options
