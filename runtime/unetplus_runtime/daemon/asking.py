"""How a command finds the daemon that it is about."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from unetplus_runtime.configuration import load
from unetplus_runtime.configuration.options import options_of

if TYPE_CHECKING:
    from collections.abc import Callable

    F = TypeVar("F", bound=Callable[..., Any])


def daemon_options(command: F) -> F:
    """Add --config and --data-dir to a command, for `data_dir_of`."""
    data_dir = click.option("--data-dir", metavar="FOLDER", help="Folder of the daemon's results.")
    config = click.option("--config", type=click.Path(path_type=Path), help="Configuration file of the daemon.")
    return config(data_dir(command))


def data_dir_of(config: Path | None, data_dir: str | None) -> Path:
    """Return the folder of the daemon that is meant: as `serve` would choose it.

    Raises
    ------
    ConfigurationError
        If the configuration is wrong.
    """
    return load(config, options_of(data_dir=data_dir), os.environ).settings.data_dir
